//! `subPath`: a part of a volume, bound to a place of its own, without ever leading out of the volume.
//!
//! The container that owns the volume may swap directories for links at any time, so every step is taken by descriptor and the kernel is
//! told to refuse whatever leaves the volume; what was opened is bound, not what the name means later.
use super::{Result, VolumeError, mounts};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path};

/// Binds `volume/sub_path` to `target`, which then serves as a container's mount source. A missing sub-path becomes a directory with the
/// mode of the one it lies in, as upstream does. Bound already: nothing happens.
pub fn bind_subpath(volume: &Path, sub_path: &str, target: &Path) -> Result<()> {
    let refused = |why: String| VolumeError::SubPath(sub_path.to_owned(), why);
    let names = components(sub_path).map_err(refused)?;
    if target.exists() && mounts::is_mounted(target).map_err(|e| VolumeError::io("look at", target, e))? {
        return Ok(());
    }
    let found = descend(volume, &names).map_err(|e| match e {
        Errno::EXDEV | Errno::ELOOP => refused("the path leads out of the volume".to_owned()),
        other => refused(other.to_string()),
    })?;
    let is_dir = fstat(&found).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFDIR);
    make_target(target, is_dir).map_err(|e| VolumeError::io("create", target, e))?;
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source.as_str()), target, None::<&str>, flags, None::<&str>).map_err(|e| VolumeError::io("bind to", target, e))
}

fn components(sub_path: &str) -> std::result::Result<Vec<&str>, String> {
    let mut names = Vec::new();
    for part in Path::new(sub_path).components() {
        match part {
            Component::Normal(name) => names.push(name.to_str().ok_or("not a text")?),
            Component::CurDir => {}
            Component::ParentDir => return Err("must not contain '..'".to_owned()),
            _ => return Err("must be a relative path".to_owned()),
        }
    }
    Ok(names)
}

/// Opens the path from the volume's root. Each prefix is opened anew from the root, because a link may lead up within the volume.
fn descend(volume: &Path, names: &[&str]) -> nix::Result<OwnedFd> {
    let root = open(volume, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let beneath = |path: &Path| {
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        // A rename elsewhere in the tree makes the kernel ask for another try.
        let how = || OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
        (0..32).map(|_| openat2(&root, path, how())).find(|done| !matches!(done, Err(Errno::EAGAIN))).unwrap_or(Err(Errno::EAGAIN))
    };
    let mut here = beneath(Path::new("."))?;
    let mut path = std::path::PathBuf::new();
    for name in names {
        path.push(name);
        let next = match beneath(&path) {
            Err(Errno::ENOENT) => {
                make_beside(&here, name)?;
                beneath(&path)?
            }
            found => found?,
        };
        here = next;
    }
    Ok(here)
}

/// Makes a directory in an opened one. A dangling link there is not followed: it makes this fail.
fn make_beside(parent: &OwnedFd, name: &str) -> nix::Result<()> {
    let mode = Mode::from_bits_truncate(fstat(parent)?.st_mode & 0o7777);
    mkdirat(parent, name, mode)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    // The umask may have taken bits away.
    fchmod(openat2(parent, name, how)?, mode)
}

fn make_target(target: &Path, is_dir: bool) -> std::io::Result<()> {
    if is_dir {
        return std::fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(target).map(drop)
}
