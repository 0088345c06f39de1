//! Naming a process so that a reused pid is never mistaken for it.
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// When the process started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
pub fn start_time(pid: i32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_start_time(&stat).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is malformed")))
}

/// The command name may hold spaces and parentheses, so counting starts behind the last `)`.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A handle on the process, if it is still the one that started at `start`.
pub fn open(pid: i32, start: u64) -> io::Result<OwnedFd> {
    let fd = pidfd(pid)?;
    // The handle is taken first: if the start time then still agrees, the handle is of that very process.
    if start_time(pid)? == start { Ok(fd) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// A handle on whatever process has this pid now.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal; a process that is gone is no error.
pub fn signal(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: plain integers and a null pointer, which the call allows.
    let r = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0) };
    match r {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            e => Err(e),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_survives_odd_command_names() {
        let stat = "7 (a) b ( c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 2 3";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert_eq!(parse_start_time("7 (short) S 1"), None);
    }

    #[test]
    fn a_reused_pid_is_refused() {
        let me = std::process::id() as i32;
        let start = start_time(me).expect("own stat");
        assert!(open(me, start).is_ok());
        assert!(open(me, start + 1).is_err());
    }
}
