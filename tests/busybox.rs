//! Image archives made by the test from the machine's static busybox: one as an OCI layout, one as `docker save` writes it.
use crate::cluster::Cluster;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// The image's name, as imported from an OCI archive.
pub const IMAGE: &str = "test.local/busybox:1";
/// The same, as imported from a docker archive.
pub const DOCKER_IMAGE: &str = "test.local/busybox:docker";

/// The programs that the image offers.
const APPLETS: [&str; 24] = [
    "sh", "ls", "cat", "echo", "sleep", "env", "id", "ps", "wget", "hostname", "ping", "nc", "grep", "sed", "touch", "rm", "mkdir", "test",
    "true", "false", "kill", "head", "date", "stty",
];

/// Imports one of the images into a cluster's node; it need not run.
pub fn import(cluster: &Cluster, image: &str) {
    let file = archive(cluster.scratch(), image);
    cluster.impresario(&format!("image import {}", file.display())).ok();
}

/// Writes the archive of one of the images into a folder.
pub fn archive(folder: &Path, image: &str) -> PathBuf {
    let (name, bytes) = match image {
        IMAGE => ("busybox-oci.tar", oci_archive(IMAGE, &["sh"])),
        _ => ("busybox-docker.tar", docker_archive()),
    };
    let file = folder.join(name);
    std::fs::write(&file, bytes).expect("write the archive");
    file
}

/// Writes the OCI archive of an image of another name, which does something of its own.
pub fn archive_that(folder: &Path, image: &str, command: &[&str]) -> PathBuf {
    let file = folder.join(format!("{}.tar", image.replace(['/', ':'], "-")));
    std::fs::write(&file, oci_archive(image, command)).expect("write the archive");
    file
}

fn config(layer: &[u8], command: &[&str]) -> Vec<u8> {
    json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Cmd": command, "Env": ["PATH=/bin", "FROM_IMAGE=yes"], "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [digest(layer)] },
    })
    .to_string()
    .into_bytes()
}

fn oci_archive(name: &str, command: &[&str]) -> Vec<u8> {
    let layer = layer();
    let config = config(&layer, command);
    let packed = gzip(&layer);
    let described = |media: &str, bytes: &[u8]| json!({ "mediaType": media, "digest": digest(bytes), "size": bytes.len() });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
    })
    .to_string()
    .into_bytes();
    let mut entry = described("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();

    let mut archive = Builder::new(Vec::new());
    file(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644);
    file(&mut archive, "index.json", index.as_bytes(), 0o644);
    for blob in [&manifest, &config, &packed] {
        file(&mut archive, &format!("blobs/sha256/{}", &digest(blob)[7..]), blob, 0o644);
    }
    archive.into_inner().expect("in memory")
}

fn docker_archive() -> Vec<u8> {
    let layer = layer();
    let manifest = json!([{ "Config": "config.json", "RepoTags": [DOCKER_IMAGE], "Layers": ["layer/layer.tar"] }]).to_string();
    let mut archive = Builder::new(Vec::new());
    file(&mut archive, "layer/layer.tar", &layer, 0o644);
    file(&mut archive, "config.json", &config(&layer, &["sh"]), 0o644);
    file(&mut archive, "manifest.json", manifest.as_bytes(), 0o644);
    archive.into_inner().expect("in memory")
}

/// The root file system: busybox, a link for each of its programs, and the folders that programs expect.
fn layer() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("/bin/busybox: install busybox-static");
    let mut layer = Builder::new(Vec::new());
    for folder in ["bin/", "etc/", "tmp/", "root/", "dev/", "proc/", "sys/"] {
        let mut header = header(EntryType::Directory, 0, if folder == "tmp/" { 0o1777 } else { 0o755 });
        layer.append_data(&mut header, folder, std::io::empty()).expect("in memory");
    }
    file(&mut layer, "bin/busybox", &busybox, 0o755);
    for applet in APPLETS {
        let mut header = header(EntryType::Symlink, 0, 0o777);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox").expect("in memory");
    }
    file(&mut layer, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644);
    file(&mut layer, "etc/group", b"root:x:0:\n", 0o644);
    layer.into_inner().expect("in memory")
}

fn header(kind: EntryType, size: usize, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header
}

fn file(archive: &mut Builder<Vec<u8>>, path: &str, bytes: &[u8], mode: u32) {
    let mut header = header(EntryType::Regular, bytes.len(), mode);
    archive.append_data(&mut header, path, bytes).expect("in memory");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
