//! From the host into the container: the two forks of an exec.
use super::super::executable::{self, Unrunnable};
use super::super::serve::Streams;
use super::super::{During, ShimError, setup};
use super::{Command, Entry, identity};
use crate::runtime::containers::process;
use nix::errno::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Why the command does not run.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    #[error(transparent)]
    Unrunnable(#[from] Unrunnable),
    #[error(transparent)]
    Shim(#[from] ShimError),
}

/// The children's side of the plumbing.
struct Theirs {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    /// Takes the terminal's master out.
    terminal: UnixStream,
    /// Closed by a successful execve; otherwise takes the exit code and the reason.
    failure: File,
    /// Takes the command's pid as the host counts it.
    pid: File,
}

/// Starts the command. Returns when it runs, that is after a successful execve.
pub fn run(entry: Entry) -> Result<Command, EnterError> {
    let io = "cannot make a pipe";
    let (stdout, stdout_theirs) = setup::pipe().during(io)?;
    let (stderr, stderr_theirs) = setup::pipe().during(io)?;
    let (stdin_theirs, stdin) = match entry.order.stdin {
        true => setup::pipe().map(|(theirs, ours)| (theirs, Some(ours))).during(io)?,
        false => (File::open("/dev/null").during("cannot open /dev/null")?.into(), None),
    };
    let (terminal, terminal_theirs) = UnixStream::pair().during(io)?;
    let (failure, failure_theirs) = setup::pipe().during(io)?;
    let (pid_pipe, pid_theirs) = setup::pipe().during(io)?;
    let theirs = Theirs {
        stdin: stdin_theirs,
        stdout: stdout_theirs,
        stderr: stderr_theirs,
        terminal: terminal_theirs,
        failure: failure_theirs.into(),
        pid: pid_theirs.into(),
    };
    // SAFETY: this process has one thread, so the child may do anything the parent could.
    let first = match unsafe { nix::unistd::fork() }.during("cannot fork")? {
        nix::unistd::ForkResult::Child => first_child(&entry, theirs),
        nix::unistd::ForkResult::Parent { child } => child.as_raw(),
    };
    drop(theirs);
    setup::wait_for(first).during("cannot wait for a child")?;

    let mut text = String::new();
    File::from(pid_pipe).read_to_string(&mut text).during("cannot read the command's pid")?;
    let master = if entry.order.tty { setup::receive_descriptor(&terminal).during("cannot take the terminal")? } else { None };
    let mut reason = String::new();
    File::from(failure).read_to_string(&mut reason).during("cannot read the command's state")?;
    if let Some((code, text)) = reason.split_once(' ') {
        return Err(Unrunnable::new(code.parse().unwrap_or(126), text).into());
    }
    let pid = text.trim().parse::<i32>().map_err(|_| ShimError::Create("the container's namespaces could not be joined".into()))?;
    let pidfd = process::pidfd(pid).during("cannot open the command's process")?;
    let streams = match master {
        Some(master) => Streams::terminal(master),
        None => Streams::pipes(stdin, stdout, stderr),
    };
    Ok(Command { pid, pidfd, streams: streams.during("cannot set up the command's streams")? })
}

/// Joins the container, then makes the second child as its sibling, so that the outermost process is its parent.
fn first_child(entry: &Entry, mut theirs: Theirs) -> ! {
    let joined = join(entry).and_then(|()| {
        // SAFETY: a plain fork by another name: no new stack, no shared memory, one thread.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) };
        if pid < 0 { Err(during("fork")(Errno::last())) } else { Ok(pid) }
    });
    match joined {
        Ok(0) => second_child(entry, theirs),
        Ok(pid) => {
            let _ = write!(theirs.pid, "{pid}");
        }
        Err(e) => report(&mut theirs.failure, &e),
    }
    exit()
}

fn join(entry: &Entry) -> Result<(), Unrunnable> {
    // First the cgroups, which can't be seen from inside; "0" stands for the writing process.
    for mut file in &entry.cgroups {
        file.write_all(b"0").map_err(|e| during("join the container's cgroups")(Errno::from_raw(e.raw_os_error().unwrap_or(0))))?;
    }
    setup::set_oom_score(entry.oom_score_adj);
    // One call joins all; the kernel takes the user namespace first.
    nix::sched::setns(&entry.init, entry.namespaces).map_err(during("join the container's namespaces"))
}

fn second_child(entry: &Entry, mut theirs: Theirs) -> ! {
    let failure = match become_command(entry, &theirs) {
        Ok(never) => match never {},
        Err(e) => e,
    };
    report(&mut theirs.failure, &failure);
    exit()
}

fn become_command(entry: &Entry, theirs: &Theirs) -> Result<std::convert::Infallible, Unrunnable> {
    nix::unistd::setsid().map_err(during("start a session"))?;
    let process = &entry.process;
    if entry.order.tty {
        open_terminal(theirs, process.user().uid())?;
    } else {
        for (number, fd) in [&theirs.stdin, &theirs.stdout, &theirs.stderr].into_iter().enumerate() {
            replace(fd, number as i32)?;
        }
    }
    let cwd = process.cwd();
    let early = nix::unistd::chdir(cwd);
    identity::set_limits(process);
    identity::become_user(process.user())?;
    let no_new_privileges = process.no_new_privileges() == Some(true);
    if no_new_privileges {
        nix::sys::prctl::set_no_new_privs().map_err(during("set no_new_privs"))?;
    } else {
        // Without no_new_privs only a privileged process may load a filter, so it must come before the capabilities go.
        load_seccomp(entry)?;
    }
    identity::set_capabilities(process.capabilities().as_ref())?;
    if early.is_err() {
        nix::unistd::chdir(cwd).map_err(during("change to the working directory"))?;
    }
    let command = entry.order.command.first().map(String::as_str).unwrap_or_default();
    let file = executable::find(command, executable::path_of(&entry.env), entry.own)?;
    let env = executable::c_strings(&entry.env)?;
    close_on_exec()?;
    if no_new_privileges {
        load_seccomp(entry)?;
    }
    Err(executable::execute(&file, &entry.args, &env))
}

fn load_seccomp(entry: &Entry) -> Result<(), Unrunnable> {
    let Some(profile) = &entry.seccomp else { return Ok(()) };
    match libcontainer::seccomp::initialize_seccomp(profile) {
        Ok(_) => Ok(()),
        Err(e) => Err(Unrunnable::new(126, format!("cannot load the seccomp profile: {e}"))),
    }
}

/// Opens a terminal of the container's own devpts, makes it ours, and sends its master out.
fn open_terminal(theirs: &Theirs, uid: u32) -> Result<(), Unrunnable> {
    let refuse = |what: &str| Unrunnable::new(126, format!("cannot open a terminal: {what}"));
    let master = File::options().read(true).write(true).open("/dev/ptmx").map_err(|e| refuse(&e.to_string()))?;
    let stat = nix::sys::stat::fstat(&master).map_err(|e| refuse(e.desc()))?;
    // The container can put anything at /dev/ptmx.
    let genuine = (stat.st_mode & libc::S_IFMT) == libc::S_IFCHR && stat.st_rdev == libc::makedev(5, 2);
    if !genuine {
        return Err(refuse("/dev/ptmx is not a terminal multiplexer"));
    }
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads an int; TIOCGPTPEER takes open flags and returns a new descriptor.
    let slave = unsafe {
        libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlocked);
        libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)
    };
    if slave < 0 {
        return Err(refuse(Errno::last().desc()));
    }
    // SAFETY: the kernel just made it for us.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    let _ = nix::unistd::fchown(&slave, Some(uid.into()), None);
    // SAFETY: TIOCSCTTY takes an int; we lead a session that has no terminal.
    if unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) } < 0 {
        return Err(refuse(Errno::last().desc()));
    }
    (0..3).try_for_each(|number| replace(&slave, number))?;
    setup::send_descriptor(&theirs.terminal, &master).map_err(|e| refuse(&e.to_string()))
}

fn replace(fd: impl AsFd, number: i32) -> Result<(), Unrunnable> {
    // SAFETY: `fd` is open, and all of ours are above 2; the copy does not close on exec.
    match unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) } {
        -1 => Err(during("set up the streams")(Errno::last())),
        _ => Ok(()),
    }
}

fn close_on_exec() -> Result<(), Unrunnable> {
    // SAFETY: plain integers; only marks descriptors.
    match unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) } {
        0 => Ok(()),
        _ => Err(during("close descriptors")(Errno::last())),
    }
}

/// Says which step failed.
pub fn during(what: &'static str) -> impl Fn(Errno) -> Unrunnable {
    move |errno| Unrunnable::new(126, format!("cannot {what}: {}", errno.desc()))
}

fn report(failure: &mut File, e: &Unrunnable) {
    let _ = write!(failure, "{} {}", e.code, e.text);
}

/// Ends a child without running the parent's destructors.
fn exit() -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(126) }
}
