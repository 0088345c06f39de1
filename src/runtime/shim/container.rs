//! A container's shim: makes the container, writes its log, waits for its end, and outlives the agent.
use super::log::CriStream;
use super::process::{proc_start_time, reset_signals};
use crate::runtime::api::Exit;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// What the agent orders; `order.json` in the container's state directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShimOrder {
    pub id: String,
    /// The directory with the OCI `config.json`.
    pub bundle: PathBuf,
    /// Where libcontainer keeps its own state.
    pub state_root: PathBuf,
    pub log_path: PathBuf,
    pub tty: bool,
    /// The container's cgroup below every controller.
    pub cgroup: PathBuf,
    /// Where the container's termination message is, on the host.
    pub termination_file: PathBuf,
    /// Signals meant for the container are not meant for the shim: it goes to this cgroup.
    pub shim_cgroup: PathBuf,
}

/// What the shim answers; `running.json` in the state directory, and the text on fd 3.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShimReport {
    pub pid: i32,
    /// See [`proc_start_time`].
    pub start_time: u64,
    pub shim_pid: i32,
    pub shim_start_time: u64,
    pub started_ms: i64,
}

/// After the container's end its pipes are read for at most this long: a child that kept them open must not hold the shim.
const DRAIN_MS: u128 = 500;
/// As much of the termination message is kept, bytes.
const MESSAGE_MAX: usize = 4096;

/// `impresario shim <state directory>`
pub fn main(arguments: &[String]) -> ExitCode {
    // SAFETY: the agent opened fd 3 for this process, and nothing else here owns it.
    let mut answer = unsafe { File::from_raw_fd(3) };
    let Some(directory) = arguments.first().map(PathBuf::from) else {
        let _ = write!(answer, "ERR the shim needs its state directory");
        return ExitCode::FAILURE;
    };
    match run(&directory, answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(directory: &Path, mut answer: File) -> Result<(), Box<dyn Error>> {
    let started = start(directory);
    match started {
        Ok(running) => {
            write!(answer, "OK {}", serde_json::to_string(&running.report)?)?;
            drop(answer);
            supervise(directory, running)
        }
        Err(error) => {
            let _ = write!(answer, "ERR {}", chain(error.as_ref()));
            Err(error)
        }
    }
}

struct Running {
    order: ShimOrder,
    report: ShimReport,
    pidfd: OwnedFd,
    out: Option<OwnedFd>,
    err: Option<OwnedFd>,
    log: File,
}

fn start(directory: &Path) -> Result<Running, Box<dyn Error>> {
    reset_signals();
    nix::sys::prctl::set_child_subreaper(true)?;
    // SAFETY: plain fcntl on our own descriptor; the container must not inherit it.
    unsafe { libc::fcntl(3, libc::F_SETFD, libc::FD_CLOEXEC) };
    let order: ShimOrder = serde_json::from_slice(&std::fs::read(directory.join("order.json"))?)?;
    join_cgroup(&order.shim_cgroup);
    let log = OpenOptions::new().create(true).append(true).open(&order.log_path)?;
    std::fs::create_dir_all(&order.state_root)?;
    let (pid, out, err) = if order.tty { with_terminal(directory, &order)? } else { with_pipes(&order)? };
    // SAFETY: pidfd_open returns a new descriptor, or -1.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if raw < 0 {
        return Err(Box::new(std::io::Error::last_os_error()));
    }
    // SAFETY: checked above, and owned by nobody else.
    let pidfd = unsafe { OwnedFd::from_raw_fd(raw as i32) };
    let own = std::process::id() as i32;
    let report = ShimReport {
        pid,
        start_time: proc_start_time(pid).unwrap_or(0),
        shim_pid: own,
        shim_start_time: proc_start_time(own).unwrap_or(0),
        started_ms: jiff::Timestamp::now().as_millisecond(),
    };
    write_whole(&directory.join("running.json"), &serde_json::to_vec(&report)?)?;
    Ok(Running { order, report, pidfd, out, err, log })
}

type Started = (i32, Option<OwnedFd>, Option<OwnedFd>);

fn with_pipes(order: &ShimOrder) -> Result<Started, Box<dyn Error>> {
    let null: OwnedFd = File::open("/dev/null")?.into();
    let (out, out_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (err, err_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let mut container = ContainerBuilder::new(order.id.clone(), SyscallType::default())
        .with_root_path(&order.state_root)?
        .with_stdin(null)
        .with_stdout(out_end)
        .with_stderr(err_end)
        .validate_id()?
        .as_init(&order.bundle)
        .with_systemd(false)
        .with_detach(true)
        .build()?;
    container.start()?;
    let pid = container.pid().ok_or("the container has no process")?.as_raw();
    Ok((pid, Some(out), Some(err)))
}

fn with_terminal(directory: &Path, order: &ShimOrder) -> Result<Started, Box<dyn Error>> {
    let path = directory.join("console.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    let mut container = ContainerBuilder::new(order.id.clone(), SyscallType::default())
        .with_root_path(&order.state_root)?
        .with_console_socket(Some(path))
        .validate_id()?
        .as_init(&order.bundle)
        .with_systemd(false)
        .with_detach(true)
        .build()?;
    let (socket, _) = listener.accept()?;
    let terminal = receive_fd(socket.as_raw_fd())?;
    container.start()?;
    let pid = container.pid().ok_or("the container has no process")?.as_raw();
    Ok((pid, Some(terminal), None))
}

fn receive_fd(socket: i32) -> Result<OwnedFd, Box<dyn Error>> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
    let mut bytes = [0u8; 64];
    let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!([i32; 1]);
    let message = recvmsg::<UnixAddr>(socket, &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel has just made this descriptor for us.
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    Err("the container sent no terminal".into())
}

/// Copies output into the log until the container has ended and its pipes are empty, then reports the end.
fn supervise(directory: &Path, mut running: Running) -> Result<(), Box<dyn Error>> {
    let (mut out, mut err) = (CriStream::new("stdout"), CriStream::new("stderr"));
    let mut ended: Option<(i32, i32)> = None;
    let mut drain_until: Option<Instant> = None;
    while ended.is_none() || running.out.is_some() || running.err.is_some() {
        if drain_until.is_some_and(|since| since.elapsed().as_millis() > DRAIN_MS) {
            break;
        }
        let ready = wait_for_input(&running, ended.is_some())?;
        if ready.out {
            copy(&mut running.out, &mut out, &mut running.log);
        }
        if ready.err {
            copy(&mut running.err, &mut err, &mut running.log);
        }
        if ready.ended && ended.is_none() {
            ended = Some(reap(running.report.pid));
            drain_until = Some(Instant::now());
        }
    }
    // A full disk must not keep the end from being told.
    let _ = out.finish(&mut running.log);
    let _ = err.finish(&mut running.log);
    let (code, signal) = ended.unwrap_or((255, 0));
    let exit = Exit {
        code,
        signal,
        oom_killed: oom_killed(&running.order.cgroup),
        started_ms: running.report.started_ms,
        finished_ms: jiff::Timestamp::now().as_millisecond(),
        message: termination_message(&running.order.termination_file),
    };
    write_whole(&directory.join("exit.json"), &serde_json::to_vec(&exit)?)?;
    Ok(())
}

#[derive(Default)]
struct Ready {
    out: bool,
    err: bool,
    ended: bool,
}

fn wait_for_input(running: &Running, ended: bool) -> Result<Ready, Errno> {
    let mut fds = Vec::with_capacity(3);
    let mut ready = Ready::default();
    if let Some(fd) = &running.out {
        fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    }
    if let Some(fd) = &running.err {
        fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    }
    if !ended {
        fds.push(PollFd::new(running.pidfd.as_fd(), PollFlags::POLLIN));
    }
    let patience = if ended { PollTimeout::from(50u16) } else { PollTimeout::NONE };
    match poll(&mut fds, patience) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(ready),
        Err(error) => return Err(error),
    }
    let mut flags = fds.iter().map(|fd| fd.any().unwrap_or(false));
    if running.out.is_some() {
        ready.out = flags.next().unwrap_or(false);
    }
    if running.err.is_some() {
        ready.err = flags.next().unwrap_or(false);
    }
    if !ended {
        ready.ended = flags.next().unwrap_or(false);
    }
    Ok(ready)
}

fn copy(from: &mut Option<OwnedFd>, stream: &mut CriStream, log: &mut File) {
    let Some(fd) = from else { return };
    let mut buffer = [0u8; 16 * 1024];
    match nix::unistd::read(fd.as_fd(), &mut buffer) {
        Ok(0) => *from = None,
        // A disk that is full loses log lines, never the container.
        Ok(n) => drop(stream.feed(&buffer[..n], log)),
        Err(Errno::EINTR | Errno::EAGAIN) => {}
        // A terminal whose last user has gone answers EIO.
        Err(_) => *from = None,
    }
}

/// Reaps the container's first process and every orphan that came to us; answers its code and signal.
fn reap(pid: i32) -> (i32, i32) {
    let mut end = (255, 0);
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(who, code)) if who == Pid::from_raw(pid) => end = (code, 0),
            Ok(WaitStatus::Signaled(who, signal, _)) if who == Pid::from_raw(pid) => end = (128 + signal as i32, signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return end,
            Ok(_) => {}
        }
    }
}

/// Whether the kernel killed somebody in this cgroup for memory (both cgroup versions).
fn oom_killed(cgroup: &Path) -> bool {
    let relative = cgroup.strip_prefix("/").unwrap_or(cgroup);
    let files = [
        Path::new("/sys/fs/cgroup/memory").join(relative).join("memory.oom_control"),
        Path::new("/sys/fs/cgroup").join(relative).join("memory.events"),
    ];
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).any(|text| {
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|n| n.trim().parse::<u64>().ok()).is_some_and(|n| n > 0)
    })
}

fn termination_message(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(MESSAGE_MAX as u64).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Best effort: where a controller is missing, the shim stays where it is.
fn join_cgroup(cgroup: &Path) {
    let own = std::process::id().to_string();
    for root in super::super::containers::cgroup_roots() {
        let directory = root.join(cgroup.strip_prefix("/").unwrap_or(cgroup));
        if std::fs::create_dir_all(&directory).is_ok() {
            let _ = std::fs::write(directory.join("cgroup.procs"), &own);
        }
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
