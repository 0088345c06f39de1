//! `emptyDir`, and directories in memory for secrets.
use super::{Result, VolumeError, mounts, ownership};
use nix::mount::{MsFlags, mount};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where an `emptyDir` lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Medium {
    #[default]
    Disk,
    /// tmpfs; counts as memory of the pod.
    Memory,
}

/// Makes an `emptyDir` that everybody may write to, as upstream does. `size` in bytes, 0 for no limit, holds in memory only: on disk the
/// limit is watched by the node, which evicts.
pub fn empty_dir(path: &Path, medium: Medium, size: u64, fs_group: Option<u32>) -> Result<()> {
    match medium {
        Medium::Disk => std::fs::create_dir_all(path).map_err(|e| VolumeError::io("create", path, e))?,
        Medium::Memory => tmpfs(path, size)?,
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).map_err(|e| VolumeError::io("set the mode of", path, e))?;
    fs_group.map_or(Ok(()), |group| ownership::set_fs_group(path, group, false))
}

/// Mounts a tmpfs of `size` bytes (0: half of the machine's memory, the kernel's default); one that is there is kept.
pub fn tmpfs(path: &Path, size: u64) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| VolumeError::io("create", path, e))?;
    if mounts::is_mounted(path).map_err(|e| VolumeError::io("look at", path, e))? {
        return Ok(());
    }
    let options = if size == 0 { "mode=0777".to_owned() } else { format!("mode=0777,size={size}") };
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|e| VolumeError::io("mount tmpfs at", path, e))
}
