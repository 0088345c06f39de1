//! The process behind `exec`: joins everything that the container's first process is in, becomes what that process is, and
//! runs the command. libcontainer's own way enters neither the user namespace nor seccomp, so this is ours.
use super::process::reset_signals;
use crate::runtime::containers::cgroup_roots;
use nix::sched::{CloneFlags, setns};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Uid, fork};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to run, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecOrder {
    /// The container's first process.
    pub pid: i32,
    /// The container's OCI `config.json`: the command gets the same user, capabilities and environment.
    pub config: PathBuf,
    pub command: Vec<String>,
    /// Standard input is a terminal, to be the command's controlling one.
    pub tty: bool,
}

/// The command could not be found.
const NOT_FOUND: u8 = 127;
/// The command could not be run.
const NOT_RUNNABLE: u8 = 126;

/// `impresario exec-in`, with the order on fd 3. Exits as the command does; 128 + n for signal n.
pub fn main() -> ExitCode {
    reset_signals();
    match run() {
        Ok(code) => ExitCode::from(code),
        Err((code, message)) => {
            eprintln!("{message}");
            ExitCode::from(code)
        }
    }
}

type Failure = (u8, String);

fn failed(what: &str) -> impl Fn(&dyn std::fmt::Display) -> Failure + '_ {
    move |error| (NOT_RUNNABLE, format!("exec failed: {what}: {error}"))
}

fn run() -> Result<u8, Failure> {
    let order = read_order()?;
    let config = std::fs::read(&order.config).map_err(|e| failed("reading the container's configuration")(&e))?;
    let config: Value = serde_json::from_slice(&config).map_err(|e| failed("reading the container's configuration")(&e))?;
    let process = &config["process"];
    join_cgroups(order.pid);
    join_namespaces(order.pid)?;
    // The pid namespace holds from the next fork on.
    // SAFETY: this process has one thread.
    match unsafe { fork() }.map_err(|e| failed("fork")(&e))? {
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(code as u8),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128u8.saturating_add(signal as u8)),
                Err(nix::errno::Errno::EINTR) | Ok(_) => {}
                Err(error) => return Err(failed("waiting for the command")(&error)),
            }
        },
        ForkResult::Child => {
            let (code, message) = become_command(&order, process);
            eprintln!("{message}");
            std::process::exit(i32::from(code));
        }
    }
}

fn read_order() -> Result<ExecOrder, Failure> {
    // SAFETY: the agent opened fd 3 for this process, and nothing else here owns it.
    let mut file = unsafe { File::from_raw_fd(3) };
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(|e| failed("reading the order")(&e))?;
    serde_json::from_slice(&text).map_err(|e| failed("reading the order")(&e))
}

/// The command counts, and is limited, together with the container.
fn join_cgroups(pid: i32) {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return };
    let own = std::process::id().to_string();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        for root in cgroup_roots() {
            let name = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let same = if controllers.is_empty() {
                root == Path::new("/sys/fs/cgroup") || name == "unified"
            } else {
                controllers.trim_start_matches("name=").split(',').any(|c| name.split(',').any(|n| n == c))
            };
            if same {
                let _ = std::fs::write(root.join(path.trim_start_matches('/')).join("cgroup.procs"), &own);
            }
        }
    }
}

fn join_namespaces(pid: i32) -> Result<(), Failure> {
    // SAFETY: pidfd_open returns a new descriptor, or -1.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if raw < 0 {
        return Err((NOT_RUNNABLE, "exec failed: the container is not running".into()));
    }
    // SAFETY: checked above, and owned by nobody else.
    let pidfd = unsafe { OwnedFd::from_raw_fd(raw as i32) };
    let own_user = std::fs::read_link("/proc/self/ns/user").ok();
    let other_user = own_user != std::fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if other_user {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    setns(&pidfd, flags).map_err(|e| failed("joining the container's namespaces")(&e))
}

/// Turns the forked child into the command. Returns only when that fails.
fn become_command(order: &ExecOrder, process: &Value) -> Failure {
    match prepare(order, process) {
        Err(failure) => failure,
        Ok((program, arguments, environment)) => {
            let error = match nix::unistd::execve(&program, &arguments, &environment) {
                Err(error) => error,
                Ok(never) => match never {},
            };
            let name = order.command.first().map(String::as_str).unwrap_or_default();
            let code = if error == nix::errno::Errno::ENOENT { NOT_FOUND } else { NOT_RUNNABLE };
            (code, format!("exec failed: unable to start container process: exec: \"{name}\": {}", error.desc()))
        }
    }
}

type Program = (CString, Vec<CString>, Vec<CString>);

fn prepare(order: &ExecOrder, process: &Value) -> Result<Program, Failure> {
    if order.tty {
        nix::unistd::setsid().map_err(|e| failed("setsid")(&e))?;
        // SAFETY: plain ioctl on standard input, which is the terminal.
        unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
    }
    let cwd = process["cwd"].as_str().unwrap_or("/");
    nix::unistd::chdir(cwd).map_err(|e| failed("entering the working directory")(&e))?;
    become_user(process)?;
    if process["noNewPrivileges"] == true {
        nix::sys::prctl::set_no_new_privs().map_err(|e| failed("no_new_privs")(&e))?;
    }
    // Whoever ends the parent ends the command. Set last: a change of user clears it.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(|e| failed("prctl")(&e))?;
    let environment: Vec<&str> = process["env"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let text = |t: &str| CString::new(t).map_err(|_| (NOT_RUNNABLE, "exec failed: the command holds a NUL byte".to_string()));
    let program = find(&order.command, &environment)?;
    let program = CString::new(program.as_os_str().as_bytes()).map_err(|_| (NOT_RUNNABLE, "exec failed: bad path".to_string()))?;
    let arguments = order.command.iter().map(|a| text(a)).collect::<Result<_, _>>()?;
    let mut environment = environment.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    if order.tty && !environment.iter().any(|e| e.as_bytes().starts_with(b"TERM=")) {
        environment.push(c"TERM=xterm".to_owned());
    }
    Ok((program, arguments, environment))
}

/// Groups, capabilities, uid and gid, in the only order that works: bounding set first, the rest around the change of user.
fn become_user(process: &Value) -> Result<(), Failure> {
    let user = &process["user"];
    let number = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let groups: Vec<Gid> = user["additionalGids"].as_array().into_iter().flatten().map(|g| Gid::from_raw(number(g))).collect();
    let bounding = capabilities(&process["capabilities"]["bounding"]);
    for capability in caps::all() {
        if !bounding.contains(&capability) && caps::has_cap(None, caps::CapSet::Bounding, capability).unwrap_or(false) {
            caps::drop(None, caps::CapSet::Bounding, capability).map_err(|e| failed("dropping capabilities")(&e))?;
        }
    }
    nix::unistd::setgroups(&groups).map_err(|e| failed("setgroups")(&e))?;
    nix::unistd::setgid(Gid::from_raw(number(&user["gid"]))).map_err(|e| failed("setgid")(&e))?;
    nix::sys::prctl::set_keepcaps(true).map_err(|e| failed("prctl")(&e))?;
    nix::unistd::setuid(Uid::from_raw(number(&user["uid"]))).map_err(|e| failed("setuid")(&e))?;
    nix::sys::prctl::set_keepcaps(false).map_err(|e| failed("prctl")(&e))?;
    let sets = [
        (caps::CapSet::Effective, "effective"),
        (caps::CapSet::Inheritable, "inheritable"),
        (caps::CapSet::Permitted, "permitted"),
        (caps::CapSet::Ambient, "ambient"),
    ];
    for (set, name) in sets {
        let wanted = capabilities(&process["capabilities"][name]);
        // The ambient set can hold only what is permitted and inheritable; a refusal there is what the container got as well.
        let outcome = caps::set(None, set, &wanted);
        if name != "ambient" {
            outcome.map_err(|e| failed("setting capabilities")(&e))?;
        }
    }
    Ok(())
}

fn capabilities(list: &Value) -> HashSet<caps::Capability> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).filter_map(|name| name.parse().ok()).collect()
}

/// Looks a command up in the container's own `PATH`.
fn find(command: &[String], environment: &[&str]) -> Result<PathBuf, Failure> {
    let name = command.first().map(String::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err((NOT_RUNNABLE, "exec failed: no command was given".into()));
    }
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path =
        environment.iter().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let found = path.split(':').map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(name)).find(|p| p.is_file());
    found.ok_or_else(|| {
        let text = format!("exec failed: unable to start container process: exec: \"{name}\": executable file not found in $PATH");
        (NOT_FOUND, text)
    })
}
