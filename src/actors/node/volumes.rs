//! A pod's volumes: which directories they are, and what files stand in them. Deciding what is in a volume is pure
//! ([`content`]); [`prepare`] writes it.
use super::claims;
use super::control_plane::ControlPlane;
use super::env::{Facts, pod_field, resource_field};
use super::object::PodObject;
use super::references::{Data, Names, References};
use super::spec::Places;
use super::tokens::Tokens;
use crate::protocol::quantity::Quantity;
use crate::runtime::api::{Result, RuntimeError};
use crate::runtime::volumes::{self, HostPathType, Medium};
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, Volume, VolumeProjection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The reason of the event for a volume that cannot be had.
pub const FAILED_MOUNT: &str = "FailedMount";
const MODE: i32 = 0o644;

/// Files by path: their bytes and modes.
pub type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// What stands behind a volume.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A directory of the pod's own, empty at first; `size` in bytes, 0 for no limit.
    Empty { medium: Medium, size: u64 },
    /// A path of the host; made first when it may be.
    Host { path: PathBuf, kind: HostPathType },
    /// A directory of the host that is a volume of its own and belongs to the pod's group.
    Local { path: PathBuf },
    /// Files, rewritten as a whole when they change.
    Files(Files),
}

/// Makes every volume, or brings those that are made of files up to date; answers where they are on the host.
///
/// # Errors
/// [`FAILED_MOUNT`] with the words for the event.
pub async fn prepare(
    object: &PodObject,
    places: &Places,
    facts: &Facts,
    control: &dyn ControlPlane,
    tokens: &Tokens,
    only_files: bool,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut volumes = object.spec.volumes.clone().unwrap_or_default();
    volumes.retain(|v| !only_files || follows_objects(v));
    let names = names(&volumes);
    let fetched = References::fetch(control, &object.namespace, names).await;
    let mut references = fetched.map_err(|e| RuntimeError::new(FAILED_MOUNT, e))?;
    fetch_tokens(object, &volumes, control, tokens, &mut references).await?;
    claims::fetch(object, &volumes, control, &mut references).await?;
    let mut contents = Vec::with_capacity(volumes.len());
    for volume in &volumes {
        let content = content(object, volume, facts, &references).map_err(|why| failed(&volume.name, why))?;
        contents.push((volume.name.clone(), content));
    }
    let (root, group) = (places.pod(&object.uid), fs_group(object));
    let written = tokio::task::spawn_blocking(move || write(&root, contents, group)).await;
    written.map_err(|e| RuntimeError::new(FAILED_MOUNT, e))?
}

/// Gets the tokens that volumes project.
async fn fetch_tokens(
    object: &PodObject,
    volumes: &[Volume],
    control: &dyn ControlPlane,
    tokens: &Tokens,
    references: &mut References,
) -> Result<()> {
    for volume in volumes {
        let sources = volume.projected.iter().flat_map(|p| p.sources.iter().flatten());
        for projection in sources.filter_map(|s| s.service_account_token.as_ref()) {
            let token = tokens.get(control, object, projection).await;
            let token = token.map_err(|e| failed(&volume.name, format!("failed to fetch token: {e}")))?;
            references.put_token(&volume.name, &projection.path, token);
        }
    }
    Ok(())
}

fn failed(volume: &str, why: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::new(FAILED_MOUNT, format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}"))
}

fn fs_group(object: &PodObject) -> Option<u32> {
    object.spec.security_context.as_ref().and_then(|s| s.fs_group).and_then(|g| u32::try_from(g).ok())
}

fn follows_objects(v: &Volume) -> bool {
    v.config_map.is_some() || v.secret.is_some() || v.downward_api.is_some() || v.projected.is_some()
}

/// Some volume's files follow objects that may change.
pub fn refreshable(object: &PodObject) -> bool {
    object.spec.volumes.iter().flatten().any(follows_objects)
}

fn names(volumes: &[Volume]) -> Names {
    let mut names = Names::default();
    for volume in volumes {
        names.config_maps.extend(volume.config_map.iter().map(|c| c.name.clone()));
        names.secrets.extend(volume.secret.iter().filter_map(|s| s.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            names.config_maps.extend(source.config_map.iter().map(|c| c.name.clone()));
            names.secrets.extend(source.secret.iter().map(|s| s.name.clone()));
        }
    }
    names
}

/// What is to stand in a volume; the error is upstream's text, or says what is not implemented.
pub fn content(object: &PodObject, volume: &Volume, facts: &Facts, references: &References) -> std::result::Result<Content, String> {
    if let Some(empty) = &volume.empty_dir {
        let medium = match empty.medium.as_deref() {
            Some("Memory") => Medium::Memory,
            _ => Medium::Disk,
        };
        let limit = empty.size_limit.as_ref().and_then(|q| q.0.parse::<Quantity>().ok());
        return Ok(Content::Empty { medium, size: limit.and_then(|q| u64::try_from(q.value()).ok()).unwrap_or(0) });
    }
    if let Some(HostPathVolumeSource { path, type_ }) = &volume.host_path {
        return Ok(Content::Host { path: path.into(), kind: host_path_type(type_.as_deref().unwrap_or_default())? });
    }
    if let Some(map) = &volume.config_map {
        let optional = map.optional == Some(true);
        let data = references.config_map(&map.name, optional).map_err(|e| e.message)?;
        return keys(data, map.items.as_deref(), map.default_mode.unwrap_or(MODE), optional).map(Content::Files);
    }
    if let Some(secret) = &volume.secret {
        let optional = secret.optional == Some(true);
        let data = references.secret(secret.secret_name.as_deref().unwrap_or_default(), optional).map_err(|e| e.message)?;
        return keys(data, secret.items.as_deref(), secret.default_mode.unwrap_or(MODE), optional).map(Content::Files);
    }
    if let Some(downward) = &volume.downward_api {
        let mode = downward.default_mode.unwrap_or(MODE);
        return fields(object, downward.items.as_deref().unwrap_or_default(), mode, facts).map(Content::Files);
    }
    if let Some(projected) = &volume.projected {
        let mode = projected.default_mode.unwrap_or(MODE);
        let mut files = Files::new();
        for source in projected.sources.iter().flatten() {
            files.extend(projection(object, &volume.name, source, mode, facts, references)?);
        }
        return Ok(Content::Files(files));
    }
    if let Some(persistent) = references.persistent(&volume.name) {
        return claims::content(persistent);
    }
    Err(format!("{} is not implemented", kind_of(volume)))
}

fn projection(
    object: &PodObject,
    volume: &str,
    source: &VolumeProjection,
    mode: i32,
    facts: &Facts,
    references: &References,
) -> std::result::Result<Files, String> {
    if let Some(map) = &source.config_map {
        let optional = map.optional == Some(true);
        let data = references.config_map(&map.name, optional).map_err(|e| e.message)?;
        return keys(data, map.items.as_deref(), mode, optional);
    }
    if let Some(secret) = &source.secret {
        let optional = secret.optional == Some(true);
        let data = references.secret(&secret.name, optional).map_err(|e| e.message)?;
        return keys(data, secret.items.as_deref(), mode, optional);
    }
    if let Some(downward) = &source.downward_api {
        return fields(object, downward.items.as_deref().unwrap_or_default(), mode, facts);
    }
    if let Some(token) = &source.service_account_token {
        let bytes = references.token(volume, &token.path).ok_or_else(|| "its token was not fetched".to_string())?;
        return Ok(Files::from([(token.path.clone(), (bytes.as_bytes().to_vec(), bits(mode)))]));
    }
    Err("this source of a projected volume is not implemented".into())
}

fn bits(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or(0o644)
}

pub(super) fn host_path_type(word: &str) -> std::result::Result<HostPathType, String> {
    Ok(match word {
        "" => HostPathType::Unset,
        "DirectoryOrCreate" => HostPathType::DirectoryOrCreate,
        "Directory" => HostPathType::Directory,
        "FileOrCreate" => HostPathType::FileOrCreate,
        "File" => HostPathType::File,
        "Socket" => HostPathType::Socket,
        "CharDevice" => HostPathType::CharDevice,
        "BlockDevice" => HostPathType::BlockDevice,
        other => return Err(format!("hostPath type {other} is not implemented")),
    })
}

/// The name of the source in the volume's own words.
fn kind_of(volume: &Volume) -> String {
    let value = serde_json::to_value(volume).unwrap_or_default();
    value.as_object().into_iter().flatten().map(|(k, _)| k).find(|k| *k != "name").cloned().unwrap_or_else(|| "this volume".into())
}

fn keys(data: Option<&Data>, items: Option<&[KeyToPath]>, mode: i32, optional: bool) -> std::result::Result<Files, String> {
    let Some(data) = data else { return Ok(Files::new()) };
    let Some(items) = items.filter(|i| !i.is_empty()) else {
        return Ok(data.iter().map(|(key, bytes)| (key.clone(), (bytes.clone(), bits(mode)))).collect());
    };
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => drop(files.insert(item.path.clone(), (bytes.clone(), bits(item.mode.unwrap_or(mode))))),
            None if optional => {}
            None => return Err(format!("references non-existent config key: {}", item.key)),
        }
    }
    Ok(files)
}

fn fields(object: &PodObject, items: &[DownwardAPIVolumeFile], mode: i32, facts: &Facts) -> std::result::Result<Files, String> {
    let file = |item: &DownwardAPIVolumeFile| {
        let text = if let Some(field) = &item.field_ref {
            pod_field(object, &field.field_path, facts)?
        } else if let Some(selector) = &item.resource_field_ref {
            let named = selector.container_name.as_deref().unwrap_or_default();
            let container = object.containers().map(|(_, c)| c).find(|c| c.name == named);
            resource_field(container.ok_or_else(|| format!("container {named} not found"))?, selector, facts)?
        } else {
            return Err(format!("file \"{}\" has no source", item.path));
        };
        Ok((item.path.clone(), (text.into_bytes(), bits(item.mode.unwrap_or(mode)))))
    };
    items.iter().map(file).collect()
}

fn write(root: &Path, contents: Vec<(String, Content)>, group: Option<u32>) -> Result<BTreeMap<String, PathBuf>> {
    let mut places = BTreeMap::new();
    for (name, content) in contents {
        let own = root.join("volumes").join(&name);
        let place = match content {
            Content::Empty { medium, size } => volumes::empty_dir(&own, medium, size, group).map(|()| own),
            Content::Files(files) => volumes::write_projection(&own, &files, group).map(|_| own),
            Content::Host { path, kind } => volumes::host_path(&path, kind).map(|()| path),
            Content::Local { path } => volumes::local(&path, group).map(|()| path),
        };
        places.insert(name.clone(), place.map_err(|e| failed(&name, e))?);
    }
    Ok(places)
}
