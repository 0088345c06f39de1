//! `fsGroup`: a volume's files belong to a group of the pod.
use super::{Result, VolumeError};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::Permissions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;

/// Directories nested deeper than this are refused: a pod may have made them.
const DEPTH_MAX: usize = 256;

/// Gives a directory and everything in it to the group, with upstream's modes: the group may read, and write unless `read_only`;
/// directories hand the group on (setgid). Links are never followed.
pub fn set_fs_group(directory: &Path, group: u32, read_only: bool) -> Result<()> {
    apply(directory, group, read_only, 0).map_err(|e| VolumeError::io("set the group of", directory, e))
}

fn apply(path: &Path, group: u32, read_only: bool, depth: usize) -> io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    lchown(path, None, Some(group))?;
    if found.is_symlink() {
        return Ok(());
    }
    let added = match (found.is_dir(), read_only) {
        (true, true) => 0o2550,
        (true, false) => 0o2770,
        (false, true) => 0o440,
        (false, false) => 0o660,
    };
    // By descriptor, so that a running container cannot put a link in the file's place meanwhile.
    let pinned = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let by_descriptor = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    let now = std::fs::metadata(&by_descriptor)?.permissions().mode() & 0o7777;
    if now | added != now {
        std::fs::set_permissions(&by_descriptor, Permissions::from_mode(now | added))?;
    }
    if !found.is_dir() {
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        return Err(io::Error::other("directories nested too deeply"));
    }
    for entry in std::fs::read_dir(path)? {
        match apply(&entry?.path(), group, read_only, depth + 1) {
            // Removed meanwhile by a running container.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}
