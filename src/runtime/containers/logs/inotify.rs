//! Waiting for something to change in a directory.
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// Changes of a directory: files in it written to, made or renamed.
#[derive(Debug)]
pub struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    pub fn of(directory: &Path) -> io::Result<Self> {
        let path = CString::new(directory.as_os_str().as_bytes())?;
        // SAFETY: plain flags; returns a new descriptor or -1.
        let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made it for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let events = libc::IN_MODIFY | libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_ONLYDIR;
        // SAFETY: the descriptor is open and the path ends with a NUL.
        if unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), events) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the AsyncFd owns the descriptor, which so stays open and the same until it is deregistered.
        Ok(Changes(unsafe { AsyncFd::register(fd)? }))
    }

    /// Returns when something has changed since the last call. What it was does not matter: the reader looks for itself.
    pub async fn wait(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut events = [0u8; 4096];
            // SAFETY: reads into a buffer of that length.
            let read = |fd: &AsyncFd<OwnedFd>| match unsafe { libc::read(fd.as_raw_fd(), events.as_mut_ptr().cast(), events.len()) } {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            };
            match ready.try_io(read) {
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }
}
