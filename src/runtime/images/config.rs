//! The parts of manifests and image configurations that a node needs; everything else in them is ignored.
use super::error::{ImageError, Result};
use super::reference::is_digest;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What an image says about the process to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// USER: `uid`, `name`, `uid:gid`, …; empty for root.
    pub user: String,
    /// WORKDIR; empty for `/`.
    pub working_dir: String,
    /// EXPOSE, as `8080/tcp`.
    pub exposed: Vec<String>,
    /// STOPSIGNAL; empty for SIGTERM.
    pub stop_signal: String,
    /// VOLUME.
    pub volumes: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawProcess {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
    stop_signal: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawRootfs {
    diff_ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawConfig {
    config: Option<RawProcess>,
    #[serde(default)]
    rootfs: RawRootfs,
}

/// A parsed image configuration blob.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigBlob {
    pub process: ImageConfig,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<String>,
}

/// overlayfs takes 500 lower directories at most.
pub const LAYERS_MAX: usize = 500;

/// Parses an image's configuration.
pub fn parse_config(bytes: &[u8]) -> Result<ConfigBlob> {
    let raw: RawConfig = serde_json::from_slice(bytes).map_err(|e| ImageError::content(format!("image configuration: {e}")))?;
    let diff_ids = raw.rootfs.diff_ids.unwrap_or_default();
    if let Some(bad) = diff_ids.iter().find(|id| !is_digest(id)) {
        return Err(ImageError::content(format!("image configuration: {bad:?} is not a sha256 digest")));
    }
    if diff_ids.len() > LAYERS_MAX {
        return Err(ImageError::content(format!("image has {} layers, more than {LAYERS_MAX}", diff_ids.len())));
    }
    let process = raw.config.unwrap_or_default();
    Ok(ConfigBlob {
        process: ImageConfig {
            entrypoint: process.entrypoint.unwrap_or_default(),
            cmd: process.cmd.unwrap_or_default(),
            env: process.env.unwrap_or_default(),
            user: process.user.unwrap_or_default(),
            working_dir: process.working_dir.unwrap_or_default(),
            exposed: process.exposed_ports.unwrap_or_default().into_keys().collect(),
            stop_signal: process.stop_signal.unwrap_or_default(),
            volumes: process.volumes.unwrap_or_default().into_keys().collect(),
        },
        diff_ids,
    })
}

/// A reference to content, as manifests and indexes have it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Where an image runs, in Go's words.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub variant: Option<String>,
}

/// A manifest, or an index of manifests.
#[derive(Clone, Debug, PartialEq)]
pub enum Manifest {
    Image { config: Descriptor, layers: Vec<Descriptor> },
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    schema_version: u32,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// Parses a manifest or index; every digest in it is checked for its form.
pub fn parse_manifest(bytes: &[u8]) -> Result<Manifest> {
    let raw: RawManifest = serde_json::from_slice(bytes).map_err(|e| ImageError::content(format!("manifest: {e}")))?;
    if raw.schema_version != 2 {
        return Err(ImageError::content(format!("manifest: schema version {} is not supported", raw.schema_version)));
    }
    let checked = |descriptors: Vec<Descriptor>| match descriptors.iter().find(|d| !is_digest(&d.digest)) {
        Some(bad) => Err(ImageError::content(format!("manifest: {:?} is not a sha256 digest", bad.digest))),
        None => Ok(descriptors),
    };
    match (raw.config, raw.layers, raw.manifests) {
        (Some(config), layers, None) => {
            let layers = checked(layers.unwrap_or_default())?;
            if layers.len() > LAYERS_MAX {
                return Err(ImageError::content(format!("image has {} layers, more than {LAYERS_MAX}", layers.len())));
            }
            let [config] =
                <[Descriptor; 1]>::try_from(checked(vec![config])?).map_err(|_| ImageError::content("manifest: no configuration"))?;
            Ok(Manifest::Image { config, layers })
        }
        (None, _, Some(manifests)) => Ok(Manifest::Index(checked(manifests)?)),
        _ => Err(ImageError::content("manifest: neither an image nor an index")),
    }
}

/// This machine's architecture in Go's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// The entry of an index for this machine; one without a platform serves where no other fits.
pub fn pick_platform(entries: &[Descriptor]) -> Result<&Descriptor> {
    let fits = |d: &&Descriptor| d.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == architecture());
    let neutral = |d: &&Descriptor| d.platform.is_none();
    entries
        .iter()
        .find(fits)
        .or_else(|| entries.iter().find(neutral))
        .ok_or_else(|| ImageError::content(format!("no match for platform in manifest: linux/{}", architecture())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lying_manifests_are_refused() {
        for bad in [
            "{}",
            r#"{"schemaVersion":1,"config":{"digest":"x"}}"#,
            r#"{"schemaVersion":2,"config":{"digest":"sha256:../../etc"},"layers":[]}"#,
            r#"{"schemaVersion":2,"manifests":[{"digest":"md5:00"}]}"#,
        ] {
            assert!(parse_manifest(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse_config(br#"{"rootfs":{"diff_ids":["sha256:../x"]}}"#).is_err());
    }

    #[test]
    fn null_fields_of_old_builders_are_empty() {
        let parsed = parse_config(
            br#"{"config":{"Cmd":["sh"],"Entrypoint":null,"Env":null,"ExposedPorts":{"80/tcp":{}}},"rootfs":{"type":"layers"}}"#,
        );
        let process = parsed.unwrap().process;
        assert_eq!((process.cmd, process.exposed), (vec!["sh".to_owned()], vec!["80/tcp".to_owned()]));
    }
}
