//! Reaching into a container's root file system from the host, where no link in it may lead out.
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// More of a file than this is not read.
const MAX_READ: u64 = 1024 * 1024;

/// An open root file system.
#[derive(Debug)]
pub struct Rootfs(OwnedFd);

impl Rootfs {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Rootfs(File::open(path)?.into()))
    }

    /// A text file in it, at most 1 MiB of it; empty if there is none.
    pub fn read(&self, path: &str) -> io::Result<String> {
        let file = match self.open_inside(Path::new(path), libc::O_RDONLY | libc::O_NONBLOCK) {
            Ok(fd) => File::from(fd),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(String::new()),
            Err(e) => return Err(e),
        };
        if !file.metadata()?.is_file() {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes a directory and its parents where they are missing; a working directory need not exist in the image.
    pub fn make_directory(&self, path: &Path) -> io::Result<()> {
        let mut parent = self.open_inside(Path::new("/"), libc::O_PATH | libc::O_DIRECTORY)?;
        let mut walked = std::path::PathBuf::from("/");
        for component in path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir)) {
            walked.push(component);
            parent = match self.open_inside(&walked, libc::O_PATH | libc::O_DIRECTORY) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let name = CString::new(component.as_os_str().as_bytes())?;
                    // SAFETY: `parent` is open and `name` ends with a NUL. One component below an open directory: no link is followed.
                    if unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o755) } < 0 {
                        return Err(io::Error::last_os_error());
                    }
                    self.open_inside(&walked, libc::O_PATH | libc::O_DIRECTORY)?
                }
                other => other?,
            };
        }
        Ok(())
    }

    /// Opens a path as it would resolve with this directory as the root, absolute links included.
    fn open_inside(&self, path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: all zeroes is a valid open_how.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = (flags | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        // SAFETY: the descriptor is open, the path ends with a NUL, and the size is that of the structure passed.
        let fd = unsafe { libc::syscall(libc::SYS_openat2, self.0.as_raw_fd(), path.as_ptr(), &how, size_of::<libc::open_how>()) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_do_not_lead_out() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        std::fs::create_dir_all(root.join("etc")).expect("mkdir");
        std::fs::create_dir_all(&outside).expect("mkdir");
        std::fs::write(outside.join("passwd"), "outside").expect("write");
        std::fs::write(root.join("etc/real"), "inside").expect("write");
        symlink(outside.join("passwd"), root.join("etc/passwd")).expect("link");
        symlink("/etc/real", root.join("etc/absolute")).expect("link");
        symlink(&outside, root.join("work")).expect("link");

        let rootfs = Rootfs::open(&root).expect("open");
        assert_eq!(rootfs.read("/etc/passwd").expect("nothing there"), "");
        assert_eq!(rootfs.read("/etc/absolute").expect("inside"), "inside");
        rootfs.make_directory(Path::new("/srv/a/../b")).expect("new directories");
        assert!(root.join("srv/b").is_dir());
        assert!(rootfs.make_directory(Path::new("/work/x")).is_err());
        assert!(!outside.join("x").exists());
    }
}
