//! Images with the real kernel, as root: archives and layers that the tests make, a registry on loopback, overlay mounts.
mod builtin;
mod import;
mod lies;
pub mod registry;

use impresario::runtime::images::{Images, MirrorRule};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A store in a directory of its own; what is mounted there goes with it.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub images: Images,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let images = open(dir.path());
        Place { dir, images }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything in the store but the built-in image, to show that a refused image left nothing.
    pub fn contents(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for directory in ["layers", "layers/l", "staging", "blobs/sha256"] {
            found.extend(std::fs::read_dir(self.path("store").join(directory)).unwrap().map(|e| e.unwrap().path()));
        }
        found.sort();
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for point in table.lines().filter_map(|line| line.split(' ').nth(4)).filter(|p| Path::new(p).starts_with(self.dir.path())) {
            let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
        }
    }
}

pub fn open(dir: &Path) -> Images {
    let rule = MirrorRule { from: "luksa/kubia".into(), to: "impresario.local/kubia:latest".into() };
    Images::new(dir.join("store"), vec![rule], env!("CARGO_BIN_EXE_impresario").into()).unwrap()
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// What a layer's entry is.
pub enum Kind<'a> {
    Dir,
    File(&'a str),
    Link(&'a str),
    Hard(&'a str),
    Device(u32, u32),
}

/// A tar of entries; names are written as they are, however wrong.
pub fn layer(entries: &[(&str, Kind)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind) in entries {
        let mut header = tar::Header::new_gnu();
        let field = &mut header.as_gnu_mut().unwrap().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o755);
        header.set_uid(12);
        header.set_gid(34);
        header.set_mtime(1_000_000_000);
        let mut body = "";
        match kind {
            Kind::Dir => header.set_entry_type(tar::EntryType::Directory),
            Kind::File(text) => {
                body = text;
                header.set_mode(0o4711);
            }
            Kind::Link(target) | Kind::Hard(target) => {
                let hard = matches!(kind, Kind::Hard(_));
                header.set_entry_type(if hard { tar::EntryType::Link } else { tar::EntryType::Symlink });
                header.set_link_name_literal(target).unwrap();
            }
            Kind::Device(major, minor) => {
                header.set_entry_type(tar::EntryType::Char);
                header.set_device_major(*major).unwrap();
                header.set_device_minor(*minor).unwrap();
            }
        }
        header.set_size(body.len() as u64);
        header.set_cksum();
        tar.append(&header, body.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An image's configuration for these unpacked layers.
pub fn config(diff_ids: &[String]) -> Vec<u8> {
    serde_json::json!({
        "architecture": impresario::runtime::images::architecture(), "os": "linux",
        "config": {"Cmd": ["/bin/busybox", "sh"], "Env": ["A=b"], "User": "12", "WorkingDir": "/w", "ExposedPorts": {"80/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string()
    .into_bytes()
}

/// Writes an OCI layout with one image of packed layers. `diff_ids` may lie.
pub fn oci_layout(dir: &Path, name: &str, packed: &[Vec<u8>], diff_ids: &[String]) {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let keep = |media_type: &str, bytes: &[u8]| {
        let digest = digest(bytes);
        std::fs::write(blobs.join(&digest[7..]), bytes).unwrap();
        serde_json::json!({"mediaType": format!("application/vnd.oci.image.{media_type}"), "digest": digest, "size": bytes.len()})
    };
    let kind = |bytes: &[u8]| match bytes {
        [0x1f, 0x8b, ..] => "layer.v1.tar+gzip",
        [0x28, 0xb5, ..] => "layer.v1.tar+zstd",
        _ => "layer.v1.tar",
    };
    let layers: Vec<_> = packed.iter().map(|bytes| keep(kind(bytes), bytes)).collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": keep("config.v1+json", &config(diff_ids)), "layers": layers,
    });
    let mut entry = keep("manifest.v1+json", manifest.to_string().as_bytes());
    entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": name});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]});
    std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// A layer with a busybox that runs by itself.
pub fn busybox() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name("/bin/busybox", "bin/busybox").unwrap();
    tar.into_inner().unwrap()
}
