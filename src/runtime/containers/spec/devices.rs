//! The host's device nodes, for privileged containers.
use oci_spec::runtime::{LinuxDevice, LinuxDeviceBuilder, LinuxDeviceType};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A machine has some hundreds; more than this are not looked at.
const MAX_DEVICES: usize = 4096;

/// All block and character devices below `/dev`, but terminals and what a container gets as its own.
pub fn host_devices() -> Vec<LinuxDevice> {
    let mut found = Vec::new();
    collect(Path::new("/dev"), &mut found);
    found
}

fn collect(directory: &Path, found: &mut Vec<LinuxDevice>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let own = ["pts", "shm", "mqueue", "fd", "console", "ptmx", "tty", "null", "zero", "full", "random", "urandom"];
        if found.len() >= MAX_DEVICES || own.iter().any(|name| path == Path::new("/dev").join(name)) {
            continue;
        }
        // Links are not followed: they lead to devices that are found anyway.
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        let kind = meta.file_type();
        let kind = match () {
            () if kind.is_dir() => {
                collect(&path, found);
                continue;
            }
            () if kind.is_block_device() => LinuxDeviceType::B,
            () if kind.is_char_device() => LinuxDeviceType::C,
            () => continue,
        };
        let (major, minor) = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
        let device = LinuxDeviceBuilder::default()
            .path(path)
            .typ(kind)
            .major(i64::from(major))
            .minor(i64::from(minor))
            .file_mode(meta.mode() & 0o777)
            .uid(meta.uid())
            .gid(meta.gid());
        found.extend(device.build());
    }
}
