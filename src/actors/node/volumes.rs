//! A pod's volumes: which directories they are, and what files stand in them. Deciding what is in a volume is pure
//! ([`content`]); [`prepare`] writes it.
use super::control_plane::ControlPlane;
use super::env::{Facts, pod_field, resource_field};
use super::object::PodObject;
use super::payload::{File, make_dir, write_payload};
use super::references::{Data, Names, References};
use super::spec::Places;
use crate::runtime::api::{Result, RuntimeError};
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, Volume, VolumeProjection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The reason of the event for a volume that cannot be had.
pub const FAILED_MOUNT: &str = "FailedMount";
const MODE: i32 = 0o644;

/// What stands behind a volume.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// An empty directory of the pod's own.
    Empty,
    /// A path of the host; made first when it may be.
    Host { path: PathBuf, kind: String },
    /// Files, rewritten as a whole when they change.
    Files(Vec<File>),
}

/// Makes or refreshes every volume; answers where they are on the host.
///
/// # Errors
/// [`FAILED_MOUNT`] with the words for the event.
pub async fn prepare(object: &PodObject, places: &Places, facts: &Facts, control: &dyn ControlPlane) -> Result<BTreeMap<String, PathBuf>> {
    let volumes = object.spec.volumes.clone().unwrap_or_default();
    let names = names(&volumes);
    let fetched = References::fetch(control, &object.namespace, names).await;
    let references = fetched.map_err(|e| RuntimeError::new(FAILED_MOUNT, e))?;
    let mut contents = Vec::with_capacity(volumes.len());
    for volume in &volumes {
        let content = content(object, volume, facts, &references).map_err(|why| failed(&volume.name, why))?;
        contents.push((volume.name.clone(), content));
    }
    let (root, group) = (places.pod(&object.uid), fs_group(object));
    let written = tokio::task::spawn_blocking(move || write(&root, contents, group)).await;
    written.map_err(|e| RuntimeError::new(FAILED_MOUNT, e))?
}

fn failed(volume: &str, why: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::new(FAILED_MOUNT, format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}"))
}

fn fs_group(object: &PodObject) -> Option<u32> {
    object.spec.security_context.as_ref().and_then(|s| s.fs_group).and_then(|g| u32::try_from(g).ok())
}

/// Volumes whose files follow objects that may change.
pub fn refreshable(object: &PodObject) -> bool {
    let follows = |v: &Volume| v.config_map.is_some() || v.secret.is_some() || v.downward_api.is_some() || v.projected.is_some();
    object.spec.volumes.iter().flatten().any(follows)
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
    if volume.empty_dir.is_some() {
        return Ok(Content::Empty);
    }
    if let Some(HostPathVolumeSource { path, type_ }) = &volume.host_path {
        return Ok(Content::Host { path: path.into(), kind: type_.clone().unwrap_or_default() });
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
        let mut files = Vec::new();
        for source in projected.sources.iter().flatten() {
            files.extend(projection(object, source, mode, facts, references)?);
        }
        return Ok(Content::Files(files));
    }
    Err(format!("{} is not implemented", kind_of(volume)))
}

fn projection(
    object: &PodObject,
    source: &VolumeProjection,
    mode: i32,
    facts: &Facts,
    references: &References,
) -> std::result::Result<Vec<File>, String> {
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
    let what = if source.service_account_token.is_some() { "serviceAccountToken" } else { "this source of a projected volume" };
    Err(format!("{what} is not implemented"))
}

/// The name of the source in the volume's own words.
fn kind_of(volume: &Volume) -> String {
    let value = serde_json::to_value(volume).unwrap_or_default();
    value.as_object().into_iter().flatten().map(|(k, _)| k).find(|k| *k != "name").cloned().unwrap_or_else(|| "this volume".into())
}

fn keys(data: Option<&Data>, items: Option<&[KeyToPath]>, mode: i32, optional: bool) -> std::result::Result<Vec<File>, String> {
    let Some(data) = data else { return Ok(Vec::new()) };
    let Some(items) = items.filter(|i| !i.is_empty()) else {
        return Ok(data.iter().map(|(key, bytes)| File { path: key.clone(), mode, bytes: bytes.clone() }).collect());
    };
    let mut files = Vec::with_capacity(items.len());
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => files.push(File { path: item.path.clone(), mode: item.mode.unwrap_or(mode), bytes: bytes.clone() }),
            None if optional => {}
            None => return Err(format!("references non-existent config key: {}", item.key)),
        }
    }
    Ok(files)
}

fn fields(object: &PodObject, items: &[DownwardAPIVolumeFile], mode: i32, facts: &Facts) -> std::result::Result<Vec<File>, String> {
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
        Ok(File { path: item.path.clone(), mode: item.mode.unwrap_or(mode), bytes: text.into_bytes() })
    };
    items.iter().map(file).collect()
}

fn write(root: &Path, contents: Vec<(String, Content)>, group: Option<u32>) -> Result<BTreeMap<String, PathBuf>> {
    let mut places = BTreeMap::new();
    for (name, content) in contents {
        let own = root.join("volumes").join(&name);
        let place = match content {
            Content::Empty => make_dir(&own, 0o777, group).map(|()| own),
            Content::Files(files) => write_payload(&own, &files, group).map(|()| own),
            Content::Host { path, kind } => host_path(&path, &kind).map(|()| path),
        };
        places.insert(name.clone(), place.map_err(|e| failed(&name, e))?);
    }
    Ok(places)
}

/// `hostPath.type`: makes what may be made, refuses what isn't there.
fn host_path(path: &Path, kind: &str) -> std::io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let found = std::fs::metadata(path);
    let refused = |what: &str| Err(std::io::Error::other(format!("hostPath type check failed: {} is not a {what}", path.display())));
    let is = |test: fn(&std::fs::Metadata) -> bool| found.as_ref().is_ok_and(test);
    match kind {
        "Directory" if !is(std::fs::Metadata::is_dir) => refused("directory"),
        "File" if !is(std::fs::Metadata::is_file) => refused("file"),
        "Socket" if !is(|m| m.file_type().is_socket()) => refused("socket file"),
        "CharDevice" if !is(|m| m.file_type().is_char_device()) => refused("character device"),
        "BlockDevice" if !is(|m| m.file_type().is_block_device()) => refused("block device"),
        "FileOrCreate" if found.is_err() => std::fs::File::create(path).map(|_| ()),
        "DirectoryOrCreate" | "" if found.is_err() => std::fs::create_dir_all(path),
        _ => Ok(()),
    }
}
