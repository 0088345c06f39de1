//! The first process of a shared pid namespace: it does nothing but reap.
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setsid};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{ExitCode, Stdio};

const STATE: &str = "pause.json";
/// How long a killed process may take to end, milliseconds.
const END: u16 = 5000;

/// A process, told apart from a later one of the same number by its start (clock ticks since boot).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Process {
    pid: i32,
    start: u64,
}

/// `pause`: makes a pid namespace with a first process in it, prints that process's id and ends. Must run single-threaded.
pub fn pause_main() -> ExitCode {
    match detach() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("pause: {e}");
            ExitCode::FAILURE
        }
    }
}

fn detach() -> io::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID)?;
    // SAFETY: there is one thread only, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => writeln!(io::stdout(), "{child}"),
        ForkResult::Child => {
            // The caller reads until the pipe is closed.
            let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
            nix::unistd::dup2_stdin(&null)?;
            nix::unistd::dup2_stdout(&null)?;
            nix::unistd::dup2_stderr(&null)?;
            setsid()?;
            std::env::set_current_dir("/")?;
            reap()
        }
    }
}

/// Waits for signals and children for ever; SIGTERM and SIGINT end it.
fn reap() -> io::Result<()> {
    let signals: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None)?;
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(_)) {},
            _ => return Ok(()),
        }
    }
}

/// Starts the pause process of a sandbox, notes it and pins its pid namespace. Answers with its id.
pub(super) async fn start(program: &Path, dir: &Path) -> io::Result<i32> {
    let output = tokio::process::Command::new(program).arg("pause").stdin(Stdio::null()).output().await?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let Ok(pid) = printed.trim().parse::<i32>() else {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    };
    let start = start_of(pid).ok_or_else(|| io::Error::other("ended at once"))?;
    std::fs::write(dir.join(STATE), serde_json::to_vec(&Process { pid, start })?)?;
    let pin = dir.join("ns/pid");
    std::fs::File::create(&pin)?;
    mount(Some(format!("/proc/{pid}/ns/pid").as_str()), &pin, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(pid)
}

/// Ends the pause process, and with it every process of the namespace.
pub(super) fn stop(dir: &Path) -> io::Result<()> {
    let Some(process) = noted(dir) else { return Ok(()) };
    let Some(pinned) = open(process.pid) else { return Ok(()) };
    // Only what was pinned is signalled, and only when it is the process that was noted.
    if start_of(process.pid) == Some(process.start) {
        kill_pinned(&pinned)?;
    }
    Ok(())
}

pub(super) fn is_alive(dir: &Path) -> bool {
    noted(dir).is_some_and(|process| start_of(process.pid) == Some(process.start))
}

fn noted(dir: &Path) -> Option<Process> {
    serde_json::from_slice(&std::fs::read(dir.join(STATE)).ok()?).ok()
}

/// When a living process started; `None` for one that is dead or a zombie.
fn start_of(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may contain anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// A descriptor for a process; `None` when there is none of this number.
pub(super) fn open(pid: i32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(pid);
    // SAFETY: the call takes two numbers and answers with a new descriptor, which is ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Kills a process and waits until it is gone.
pub(super) fn kill_pinned(process: &OwnedFd) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open and no further information goes along.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, none, 0) };
    if sent != 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) };
    }
    let mut wait = [nix::poll::PollFd::new(process.as_fd(), nix::poll::PollFlags::POLLIN)];
    match nix::poll::poll(&mut wait, nix::poll::PollTimeout::from(END))? {
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, "a killed process does not end")),
        _ => Ok(()),
    }
}
