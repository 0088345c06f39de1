//! An exec session: the process behind it, its pipes or its terminal, and the channels that the outside speaks through.
use super::launch::{give_fd3, pipe};
use crate::runtime::api::{ExecSpec, Result, RuntimeError, Session, SessionInput, SessionOutput, TerminalSize};
use crate::runtime::shim::{EXEC, ExecOrder};
use bytes::Bytes;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::mpsc;

/// Chunks that may wait on either side of a session.
const QUEUE: usize = 16;
/// Bytes read at once.
const CHUNK: usize = 32 * 1024;

/// Starts the command; the session ends it when it is dropped.
pub async fn exec(program: &Path, pid: i32, config: PathBuf, spec: ExecSpec) -> Result<Session> {
    let failed = |e: std::io::Error| RuntimeError::new("ExecError", format!("cannot start the command: {e}"));
    let order = ExecOrder { pid, config, command: spec.command.clone(), tty: spec.tty };
    let order = serde_json::to_vec(&order).unwrap_or_default();
    let (order_end, order_writer) = pipe().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg(EXEC).current_dir("/");
    give_fd3(&mut command, &order_end);
    let terminal = if spec.tty { Some(open_terminal(&mut command)?) } else { None };
    if terminal.is_none() {
        command.stdin(if spec.stdin { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut command = tokio::process::Command::from(command);
    let child = command.kill_on_drop(true).spawn().map_err(failed)?;
    drop(command);
    drop(order_end);
    // The order fits into a pipe unless the command is enormous; a thread keeps a slow reader from blocking us.
    tokio::task::spawn_blocking(move || drop(File::from(order_writer).write_all(&order)));
    let (input, inputs) = mpsc::channel(QUEUE);
    let (outputs, output) = mpsc::channel(QUEUE);
    match terminal {
        Some(terminal) => with_terminal(child, terminal, inputs, outputs)?,
        None => with_pipes(child, inputs, outputs),
    }
    Ok(Session { input, output })
}

fn with_pipes(mut child: Child, mut inputs: mpsc::Receiver<SessionInput>, outputs: mpsc::Sender<SessionOutput>) {
    let mut stdin = child.stdin.take();
    let out = child.stdout.take().map(|o| tokio::spawn(pump(o, outputs.clone(), SessionOutput::Stdout)));
    let err = child.stderr.take().map(|e| tokio::spawn(pump(e, outputs.clone(), SessionOutput::Stderr)));
    let typing = async move {
        loop {
            match inputs.recv().await {
                Some(SessionInput::Stdin(bytes)) => {
                    let Some(pipe) = &mut stdin else { continue };
                    if pipe.write_all(&bytes).await.is_err() {
                        // The command does not want to read any more; it may still have something to say.
                        stdin = None;
                    }
                }
                Some(SessionInput::CloseStdin) => stdin = None,
                Some(SessionInput::Resize(_)) => {}
                None => return,
            }
        }
    };
    tokio::spawn(finish(child, typing, [out, err], outputs));
}

fn with_terminal(
    child: Child,
    terminal: OwnedFd,
    mut inputs: mpsc::Receiver<SessionInput>,
    outputs: mpsc::Sender<SessionOutput>,
) -> Result<()> {
    let failed = |e: std::io::Error| RuntimeError::new("ExecError", format!("cannot use the terminal: {e}"));
    let reader = Terminal::new(terminal.try_clone().map_err(failed)?).map_err(failed)?;
    let writer = Arc::new(Terminal::new(terminal).map_err(failed)?);
    let out_queue = outputs.clone();
    let out = tokio::spawn(async move {
        let mut buffer = vec![0u8; CHUNK];
        // A terminal whose last user has gone answers EIO.
        while let Ok(n) = reader.read(&mut buffer).await {
            let chunk = Bytes::copy_from_slice(buffer.get(..n).unwrap_or_default());
            if n == 0 || out_queue.send(SessionOutput::Stdout(chunk)).await.is_err() {
                return;
            }
        }
    });
    let typing = async move {
        while let Some(input) = inputs.recv().await {
            match input {
                SessionInput::Stdin(bytes) => {
                    if writer.write_all(&bytes).await.is_err() {
                        return std::future::pending().await;
                    }
                }
                // End of transmission: what somebody at a terminal types to end the input.
                SessionInput::CloseStdin => drop(writer.write_all(&[4]).await),
                SessionInput::Resize(size) => writer.resize(size),
            }
        }
    };
    tokio::spawn(finish(child, typing, [Some(out), None], outputs));
    Ok(())
}

/// Waits for the command, or for the client to turn away, which ends the command.
async fn finish(
    mut child: Child,
    typing: impl Future<Output = ()>,
    pumps: [Option<tokio::task::JoinHandle<()>>; 2],
    outputs: mpsc::Sender<SessionOutput>,
) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = typing => {
            let _ = child.kill().await;
            child.wait().await
        }
        () = outputs.closed() => {
            let _ = child.kill().await;
            return;
        }
    };
    for pump in pumps.into_iter().flatten() {
        let _ = pump.await;
    }
    use std::os::unix::process::ExitStatusExt;
    let last = match status {
        Ok(status) => SessionOutput::Exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(9))),
        Err(error) => SessionOutput::Failed(format!("cannot wait for the command: {error}")),
    };
    let _ = outputs.send(last).await;
}

async fn pump(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<SessionOutput>, wrap: fn(Bytes) -> SessionOutput) {
    let mut buffer = vec![0u8; CHUNK];
    while let Ok(n) = from.read(&mut buffer).await {
        let chunk = Bytes::copy_from_slice(buffer.get(..n).unwrap_or_default());
        if n == 0 || to.send(wrap(chunk)).await.is_err() {
            return;
        }
    }
}

/// Opens a pair of terminals; the command gets one, we keep the other.
fn open_terminal(command: &mut Command) -> Result<OwnedFd> {
    let failed = |e: &dyn std::fmt::Display| RuntimeError::new("ExecError", format!("cannot open a terminal: {e}"));
    let pair = nix::pty::openpty(None, None).map_err(|e| failed(&e))?;
    let copy = || pair.slave.try_clone().map_err(|e| failed(&e));
    command.stdin(Stdio::from(copy()?)).stdout(Stdio::from(copy()?)).stderr(Stdio::from(copy()?));
    nix::fcntl::fcntl(&pair.master, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).map_err(|e| failed(&e))?;
    Ok(pair.master)
}

/// Our end of a terminal, without blocking.
struct Terminal {
    fd: tokio::io::unix::AsyncFd<OwnedFd>,
}

impl Terminal {
    fn new(fd: OwnedFd) -> std::io::Result<Self> {
        nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
        // SAFETY: the descriptor is owned by what is registered, and stays the same for its life.
        let fd = unsafe { tokio::io::unix::AsyncFd::register(fd) }?;
        Ok(Terminal { fd })
    }

    async fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let mut ready = self.fd.readable().await?;
            if let Ok(outcome) = ready.try_io(|fd| Ok(nix::unistd::read(fd.get_ref(), buffer)?)) {
                return outcome;
            }
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.fd.writable().await?;
            if let Ok(outcome) = ready.try_io(|fd| Ok(nix::unistd::write(fd.get_ref(), bytes)?)) {
                bytes = bytes.get(outcome?..).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn resize(&self, size: TerminalSize) {
        let size = libc::winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: plain ioctl on a terminal that we own.
        unsafe { libc::ioctl(self.fd.get_ref().as_raw_fd(), libc::TIOCSWINSZ, &size) };
    }
}
