//! Volumes on the node: plain functions that make, fill, share and clear directories. Which volume a pod wants is decided elsewhere.
//!
//! | file | what it does |
//! |---|---|
//! | `empty_dir` | directories on disk or in memory |
//! | `host_path` | the type checks of `hostPath` |
//! | `local` | directories that are volumes of their own |
//! | `projection` | ConfigMaps, Secrets and the downward API as files, swapped as a whole |
//! | `subpath` | a part of a volume, never more than that |
//! | `ownership` | `fsGroup` |
//! | `mounts` | what is mounted below a directory |
mod empty_dir;
mod host_path;
mod local;
pub(crate) mod mounts;
mod ownership;
mod projection;
mod subpath;
#[cfg(test)]
mod tests;

pub use empty_dir::{Medium, empty_dir, tmpfs};
pub use host_path::{HostPathType, host_path};
pub use local::local;
pub use ownership::set_fs_group;
pub use projection::write_projection;
pub use subpath::bind_subpath;

use crate::runtime::api::RuntimeError;
use std::path::Path;

/// What can go wrong with a volume.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VolumeError {
    /// A `hostPath` is not what its type says; upstream's text.
    #[error("hostPath type check failed: {0}")]
    HostPath(String),
    /// A local volume that is not there, or cannot be used as it is.
    #[error("path {path:?} {why}")]
    Local { path: String, why: &'static str },
    /// A file name in a ConfigMap or Secret that must not be one.
    #[error("invalid path: {0}")]
    InvalidPath(String),
    /// A `subPath` leads out of its volume, or is no relative path.
    #[error("failed to prepare subPath {0:?} for volume mount: {1}")]
    SubPath(String, String),
    #[error("{what}: {why}")]
    Io { what: String, why: String },
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, VolumeError>;

impl VolumeError {
    pub(crate) fn io(what: &str, path: &Path, error: impl std::fmt::Display) -> Self {
        VolumeError::Io { what: format!("{what} {}", path.display()), why: error.to_string() }
    }
}

impl From<VolumeError> for RuntimeError {
    fn from(error: VolumeError) -> Self {
        let reason = match error {
            VolumeError::SubPath(..) => "CreateContainerConfigError",
            _ => "FailedMount",
        };
        RuntimeError::new(reason, error)
    }
}

/// Unmounts everything below a pod's directory and removes the directory; what is mounted there is never touched itself.
/// Nothing there is no error.
pub fn cleanup(pod_dir: &Path) -> Result<()> {
    mounts::unmount_below(pod_dir).map_err(|e| VolumeError::io("unmount", pod_dir, e))?;
    match std::fs::remove_dir_all(pod_dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(VolumeError::io("remove", pod_dir, e)),
        _ => Ok(()),
    }
}
