//! Making the shim a clean parent: nothing of the agent's may leak into a container.
use super::{During, ShimError};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Signals, session, groups, memory access: everything a child would inherit or reach.
pub fn clean_process() -> Result<(), ShimError> {
    reset_signals();
    // A container's orphans come to us, so that init's end is ours to see even when libcontainer forks in between.
    nix::sys::prctl::set_child_subreaper(true).during("cannot become a sub-reaper")?;
    // Fails only for a process group leader, which is then already out of the agent's group.
    let _ = nix::unistd::setsid();
    nix::unistd::setgroups(&[]).during("cannot drop supplementary groups")?;
    // A container's root must not open this executable through /proc/<pid>/exe while a child of ours is about to exec.
    nix::sys::prctl::set_dumpable(false).during("cannot become non-dumpable")?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    Ok(())
}

/// Default disposition for every signal and an empty mask. Rust ignores SIGPIPE, and ignored signals survive execve.
fn reset_signals() {
    /// The kernel's `struct sigaction`, all zeroes: SIG_DFL, no flags, no mask.
    const DEFAULT: [u64; 4] = [0; 4];
    for number in 1..=64 {
        // SAFETY: the structure is as large as the kernel's, whose mask has eight bytes. The kernel is asked directly because the C
        // library keeps two signals to itself, which can have been inherited as ignored all the same. KILL and STOP refuse.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, DEFAULT.as_ptr(), std::ptr::null_mut::<u64>(), 8) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Takes a standard descriptor for private use (above 2, closed on exec) and leaves `/dev/null` in its place.
pub fn take_standard(fd: RawFd) -> Result<OwnedFd, ShimError> {
    // SAFETY: standard descriptors are open for the life of the process; std and the agent's spawn see to it.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let taken = fcntl(borrowed, FcntlArg::F_DUPFD_CLOEXEC(3)).during("cannot duplicate a standard descriptor")?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").during("cannot open /dev/null")?;
    // SAFETY: both descriptors are open; dup2 replaces `fd` in one step.
    if unsafe { libc::dup2(null.as_raw_fd(), fd) } < 0 {
        return Err(io::Error::last_os_error()).during("cannot replace a standard descriptor");
    }
    // SAFETY: fcntl just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(taken) })
}

/// A pipe whose ends close on exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// Makes reads and writes answer `WouldBlock` in place of waiting.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Receives one descriptor over a unix socket; `None` when the peer closed without sending one.
pub fn receive_descriptor(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
    let mut data = [0u8; 256];
    let mut iov = [io::IoSliceMut::new(&mut data)];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let message = recvmsg::<UnixAddr>(socket.as_fd().as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel just installed it for us.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    Ok(None)
}

/// Sends one descriptor over a unix socket.
pub fn send_descriptor(socket: impl AsFd, fd: impl AsFd) -> io::Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
    let fds = [fd.as_fd().as_raw_fd()];
    let iov = [io::IoSlice::new(b"t")];
    sendmsg::<UnixAddr>(socket.as_fd().as_raw_fd(), &iov, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None)?;
    Ok(())
}

/// Sets `/proc/self/oom_score_adj` as near to `wanted` as the host allows: without CAP_SYS_RESOURCE it can only go up.
pub fn set_oom_score(wanted: i32) {
    let file = "/proc/self/oom_score_adj";
    if std::fs::write(file, wanted.to_string()).is_err() && wanted < 0 {
        let _ = std::fs::write(file, "0");
    }
}

/// Sets a terminal's size and tells the foreground processes.
pub fn resize(terminal: &OwnedFd, width: u16, height: u16) {
    let size = libc::winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a winsize; an error leaves the size as it was.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
}

/// The result of a wait as an exit code: 128 + n for signal n. The second value is the signal, 0 for none.
pub fn exit_code(status: i32) -> (i32, i32) {
    if libc::WIFSIGNALED(status) { (128 + libc::WTERMSIG(status), libc::WTERMSIG(status)) } else { (libc::WEXITSTATUS(status), 0) }
}

/// Waits for a child that is known to have ended or is about to.
pub fn wait_for(pid: i32) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the result.
        match unsafe { libc::waitpid(pid, &mut status, 0) } {
            -1 => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
            _ => return Ok(status),
        }
    }
}
