//! `local` volumes: a directory of this node that somebody has prepared, such as the mount point of a disk.
use super::{Result, VolumeError, set_fs_group};
use std::path::Path;

/// Checks that the directory is there, and gives it to the pod's group when there is one. It is never made, or cleared.
pub fn local(path: &Path, group: Option<u32>) -> Result<()> {
    let refused = |why| Err(VolumeError::Local { path: path.display().to_string(), why });
    match std::fs::metadata(path) {
        Err(_) => refused("does not exist"),
        Ok(found) if !found.is_dir() => refused("is not a directory: local volumes on block devices are not implemented"),
        Ok(_) => group.map_or(Ok(()), |group| set_fs_group(path, group, false)),
    }
}
