//! Running one more command in a container.
//!
//! libcontainer's own way does not enter the container's user namespace and forgets its seccomp filter, so this is ours: join
//! every namespace of the container's first process and its cgroups, become the same user with the same capabilities, and only
//! then run the command. Three processes take part: this one stays outside and passes the bytes; a first child joins; a second
//! child, born inside the pid namespace, becomes the command.
mod enter;
mod identity;
mod pump;

use super::executable::{self, Own, Unrunnable};
use super::frame::{Decoder, Frame};
use super::serve::Streams;
use super::{During, ShimError, setup};
use crate::runtime::containers::cgroup::Cgroups;
use crate::runtime::containers::process;
use crate::runtime::containers::state::{Running, ShimOptions, StateDir, read_json};
use nix::sched::CloneFlags;
use oci_spec::runtime::{LinuxSeccomp, Process, Spec};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The command of an exec session; the first frame of its socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub command: Vec<String>,
    pub tty: bool,
    pub stdin: bool,
}

/// Everything the children need, opened and read while we still see the host.
struct Entry {
    init: OwnedFd,
    namespaces: CloneFlags,
    /// `cgroup.procs` of every cgroup of the container.
    cgroups: Vec<File>,
    process: Process,
    seccomp: Option<LinuxSeccomp>,
    oom_score_adj: i32,
    own: Own,
    order: Order,
    args: Vec<CString>,
    env: Vec<String>,
}

/// The `exec-shim` word. The session's socket is standard input.
pub fn shim(state: &Path) -> Result<(), ShimError> {
    setup::clean_process()?;
    let mut socket = UnixStream::from(setup::take_standard(0)?);
    let (order, decoder) = read_order(&mut socket)?;
    let entry = match prepare(&StateDir::new(state), order) {
        Ok(entry) => entry,
        Err(e) => return pump::refuse(socket, Frame::Failed(e.to_string())).map(drop),
    };
    match enter::run(entry) {
        Ok(command) => pump::serve(socket, decoder, command),
        Err(enter::EnterError::Unrunnable(Unrunnable { code, text })) => {
            let text = format!("OCI runtime exec failed: exec failed: unable to start container process: {text}\n");
            pump::refuse(socket, Frame::Stderr(text.into_bytes())).and_then(|s| pump::refuse(s, Frame::Exit(code)))
        }
        Err(enter::EnterError::Shim(e)) => pump::refuse(socket, Frame::Failed(e.to_string())),
    }
    .map(drop)
}

/// A command that runs in the container.
struct Command {
    pid: i32,
    pidfd: OwnedFd,
    streams: Streams,
}

fn read_order(socket: &mut UnixStream) -> Result<(Order, Decoder), ShimError> {
    let mut decoder = Decoder::default();
    let mut buffer = [0u8; 4096];
    loop {
        match decoder.next_frame().map_err(|e| ShimError::Protocol(e.to_string()))? {
            Some(Frame::Exec(json)) => {
                let order = serde_json::from_slice(&json).map_err(|e| ShimError::Protocol(e.to_string()))?;
                return Ok((order, decoder));
            }
            Some(_) => return Err(ShimError::Protocol("a session begins with its command".into())),
            None => {}
        }
        match socket.read(&mut buffer).during("cannot read the command")? {
            0 => return Err(ShimError::Protocol("no command came".into())),
            n => decoder.push(buffer.get(..n).unwrap_or_default()),
        }
    }
}

fn prepare(state: &StateDir, order: Order) -> Result<Entry, ShimError> {
    let missing = || ShimError::Protocol("container not found".into());
    let running: Running = read_json(&state.running()).during("cannot read the container's state")?.ok_or_else(missing)?;
    let options: ShimOptions = read_json(&state.options()).during("cannot read the container's state")?.ok_or_else(missing)?;
    let spec: Spec = read_json(&state.config()).during("cannot read the container's configuration")?.ok_or_else(missing)?;
    let stopped = |_| ShimError::Protocol("container is not running".into());
    let init = process::open(running.pid, running.pid_start).map_err(stopped)?;

    let process = spec.process().clone().ok_or_else(missing)?;
    let seccomp = spec.linux().as_ref().and_then(|l| l.seccomp().clone());
    let mut env = process.env().clone().unwrap_or_default();
    if order.tty && !env.iter().any(|e| e.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    let args = executable::c_strings(&order.command).map_err(|e| ShimError::Protocol(e.text))?;
    let entry = Entry {
        namespaces: differing_namespaces(running.pid).during("cannot read the container's namespaces")?,
        cgroups: open_cgroups(running.pid).during("cannot open the container's cgroups")?,
        own: Own::read().during("cannot identify this executable")?,
        oom_score_adj: options.oom_score_adj,
        init,
        process,
        seccomp,
        order,
        args,
        env,
    };
    // All of the above was read by number: once more make sure that the number still meant this process.
    process::open(running.pid, running.pid_start).map_err(stopped)?;
    Ok(entry)
}

/// The kinds of namespace in which the process is not where we are. Joining the user namespace one is in already is an error.
fn differing_namespaces(pid: i32) -> std::io::Result<CloneFlags> {
    let kinds = [
        ("user", CloneFlags::CLONE_NEWUSER),
        ("mnt", CloneFlags::CLONE_NEWNS),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("net", CloneFlags::CLONE_NEWNET),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ];
    let mut differing = CloneFlags::empty();
    for (name, flag) in kinds {
        let theirs = std::fs::metadata(format!("/proc/{pid}/ns/{name}"))?;
        let ours = std::fs::metadata(format!("/proc/self/ns/{name}"))?;
        differing.set(flag, (theirs.dev(), theirs.ino()) != (ours.dev(), ours.ino()));
    }
    Ok(differing)
}

fn open_cgroups(pid: i32) -> std::io::Result<Vec<File>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let files = Cgroups::detect()?.procs_files(&text);
    files.iter().map(|f| OpenOptions::new().write(true).open(f)).collect()
}

/// Our own bounding set: no container can be given a capability outside it.
pub fn host_bounding() -> std::io::Result<oci_spec::runtime::Capabilities> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|l| u64::from_str_radix(l.strip_prefix("CapBnd:")?.trim(), 16).ok());
    mask.map(identity::from_mask).ok_or_else(|| std::io::Error::other("/proc/self/status shows no bounding set"))
}
