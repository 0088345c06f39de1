//! Starting shims, and talking to them.
use super::process;
use super::state::{Answer, CONTROL_SOCKET, Running, StateDir};
use crate::runtime::shim::exec::Order;
use crate::runtime::shim::frame::Frame;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// An answer is one line; this bounds a shim gone wrong.
const MAX_ANSWER: u64 = 64 * 1024;

/// Starts a container's shim and waits until the container's command runs. Nothing of the agent's environment goes along:
/// libcontainer would heed some of it.
pub async fn start(program: &Path, state: &StateDir) -> io::Result<(Child, i32)> {
    let complaints = std::fs::File::options().create(true).append(true).open(state.shim_log())?;
    let mut child = Command::new(program)
        .arg("shim")
        .arg(state.path())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints)
        .spawn()?;
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    }
    match serde_json::from_slice(&answer) {
        Ok(Answer::Started { pid }) => Ok((child, pid)),
        Ok(Answer::Failed { message }) => {
            child.wait().await?;
            Err(io::Error::other(message))
        }
        Err(_) => {
            let status = child.wait().await?;
            let said = std::fs::read_to_string(state.shim_log()).unwrap_or_default();
            Err(io::Error::other(format!("the shim ended without an answer ({status}): {}", said.trim())))
        }
    }
}

/// Starts an exec session's shim. It ends when the session's socket closes.
pub async fn exec(program: &Path, state: &StateDir, order: &Order) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = theirs.into_std()?;
    theirs.set_nonblocking(false)?;
    let complaints = std::fs::File::options().create(true).append(true).open(state.shim_log())?;
    let mut child = Command::new(program)
        .arg("exec-shim")
        .arg(state.path())
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(complaints)
        .spawn()?;
    tokio::spawn(async move { child.wait().await });
    let mut ours = ours;
    let json = serde_json::to_vec(order).map_err(io::Error::other)?;
    super::session::send_frame(&mut ours, &Frame::Exec(json)).await?;
    Ok(ours)
}

/// Connects to a shim's control socket. Its path may be longer than an address can hold, so it is named through the open directory.
pub async fn connect(state: &StateDir) -> io::Result<UnixStream> {
    let directory = std::fs::File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(state.path())?;
    UnixStream::connect(format!("/proc/self/fd/{}/{CONTROL_SOCKET}", directory.as_raw_fd())).await
}

/// Waits for the end of a shim that another agent process started.
pub async fn wait_adopted(running: &Running) -> io::Result<()> {
    match process::open(running.shim_pid, running.shim_start) {
        Ok(pidfd) => {
            // SAFETY: the AsyncFd owns the descriptor, which so stays open and the same until it is deregistered.
            let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, tokio::io::Interest::READABLE)? };
            pidfd.readable().await.map(drop)
        }
        // Gone already, or the number is someone else's now.
        Err(_) => Ok(()),
    }
}
