//! `hostPath`: what must be there, and what is made when it is not.
use super::{Result, VolumeError};
use std::fs::Metadata;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;

/// `hostPath.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostPathType {
    /// No check; a missing path becomes a directory, as containerd does it.
    #[default]
    Unset,
    DirectoryOrCreate,
    Directory,
    FileOrCreate,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

impl FromStr for HostPathType {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "" => HostPathType::Unset,
            "DirectoryOrCreate" => HostPathType::DirectoryOrCreate,
            "Directory" => HostPathType::Directory,
            "FileOrCreate" => HostPathType::FileOrCreate,
            "File" => HostPathType::File,
            "Socket" => HostPathType::Socket,
            "CharDevice" => HostPathType::CharDevice,
            "BlockDevice" => HostPathType::BlockDevice,
            other => return Err(VolumeError::HostPath(format!("{other} is an invalid volume type"))),
        })
    }
}

/// Checks a host path, or makes it with upstream's modes (directories 0755, files 0644) where its type says so.
pub fn host_path(path: &Path, kind: HostPathType) -> Result<()> {
    let found = std::fs::metadata(path).ok();
    let is = |test: fn(&Metadata) -> bool, what: &str| match found.as_ref().is_some_and(test) {
        true => Ok(()),
        false => Err(VolumeError::HostPath(format!("{} is not a {what}", path.display()))),
    };
    match kind {
        HostPathType::Unset | HostPathType::DirectoryOrCreate if found.is_none() => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
            made.map_err(|e| VolumeError::io("create", path, e))
        }
        HostPathType::FileOrCreate if found.is_none() => {
            let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path);
            made.map(drop).map_err(|e| VolumeError::io("create", path, e))
        }
        HostPathType::Unset => Ok(()),
        HostPathType::DirectoryOrCreate | HostPathType::Directory => is(Metadata::is_dir, "directory"),
        HostPathType::FileOrCreate | HostPathType::File => is(Metadata::is_file, "file"),
        HostPathType::Socket => is(|found| found.file_type().is_socket(), "socket file"),
        HostPathType::CharDevice => is(|found| found.file_type().is_char_device(), "character device"),
        HostPathType::BlockDevice => is(|found| found.file_type().is_block_device(), "block device"),
    }
}
