//! Creating and starting the container, and telling the agent how it went.
use super::executable::{Entrypoint, Own};
use super::log::CriLog;
use super::serve::{self, Streams};
use super::{During, ShimError, finish, setup};
use crate::runtime::containers::cgroup::Cgroups;
use crate::runtime::containers::process;
use crate::runtime::containers::state::{Answer, CONTROL_SOCKET, Running, ShimOptions, StateDir, now_ms, read_json, write_json};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// The `shim` word: runs from before the container exists until after its end is recorded.
pub fn shim(state: &Path) -> Result<(), ShimError> {
    setup::clean_process()?;
    let mut answer = File::from(setup::take_standard(1)?);
    let state = StateDir::new(state);
    match start(&state) {
        Ok(started) => run(&state, started, answer),
        Err(e) => {
            let _ = serde_json::to_writer(&mut answer, &Answer::Failed { message: e.to_string() });
            Err(e)
        }
    }
}

/// A container whose command runs.
struct Started {
    options: ShimOptions,
    running: Running,
    init: OwnedFd,
    streams: Streams,
    listener: UnixListener,
    log: CriLog,
}

fn start(state: &StateDir) -> Result<Started, ShimError> {
    std::env::set_current_dir(state.path()).during("cannot enter the state directory")?;
    let options: ShimOptions = read_json(&state.options())
        .during("cannot read the shim's options")?
        .ok_or_else(|| ShimError::Protocol(format!("{} is missing", state.options().display())))?;
    let listener = UnixListener::bind(CONTROL_SOCKET).during("cannot bind the control socket")?;
    listener.set_nonblocking(true).during("cannot set up the control socket")?;
    // Before the container exists: what can fail should fail while nothing has to be undone.
    let log = CriLog::open(&options.log_path).during("cannot open the container's log")?;
    setup::set_oom_score(options.oom_score_adj);
    let created = create(state, &options);
    // Back to the agent's own value as far as allowed: the shim should be the last of the pod to be killed.
    setup::set_oom_score(-998);
    let (pid, streams) = created?;
    let init = process::pidfd(pid).during("cannot open the container's process")?;
    let own = std::process::id() as i32;
    let running = Running {
        pid,
        // A command that already ended is a zombie until we wait for it, so its start time can still be read.
        pid_start: process::start_time(pid).during("cannot read the container's start time")?,
        shim_pid: own,
        shim_start: process::start_time(own).during("cannot read the shim's start time")?,
        started_ms: now_ms(),
    };
    write_json(&state.running(), &running, false).during("cannot record the container's process")?;
    Ok(Started { options, running, init, streams, listener, log })
}

fn run(state: &StateDir, started: Started, mut answer: File) -> Result<(), ShimError> {
    let Started { options, running, init, streams, listener, log } = started;
    let heard = serde_json::to_writer(&mut answer, &Answer::Started { pid: running.pid }).is_ok() && answer.flush().is_ok();
    drop(answer);
    if !heard {
        // The agent died while it waited. Nobody may have counted this container, so it must not go on.
        let _ = process::signal(&init, libc::SIGKILL);
    }
    let cgroups = Cgroups::detect().during("cannot find the cgroup hierarchies")?;
    // Only now: moving takes the kernel milliseconds that nobody has to wait for.
    cgroups.enter(&options.shim_cgroup);
    let (status, clients) = serve::serve(&options, running.pid, &init, streams, listener, log)?;
    let exit = finish::record(state, &options, &running, &cgroups, status)?;
    serve::dismiss(clients, exit.code);
    Ok(())
}

/// libcontainer's part. Answers with the first process's pid and our ends of its streams.
fn create(state: &StateDir, options: &ShimOptions) -> Result<(i32, Streams), ShimError> {
    let own = Own::read().during("cannot identify this executable")?;
    let builder = ContainerBuilder::new(options.id.clone(), SyscallType::default()).with_executor(Entrypoint { own });
    let builder = builder.with_root_path(state.oci()).and_then(ContainerBuilder::validate_id).map_err(|e| ShimError::Create(chain(&e)))?;
    if options.tty { with_terminal(state, builder) } else { with_pipes(state, options, builder) }
}

fn with_pipes(state: &StateDir, options: &ShimOptions, builder: ContainerBuilder) -> Result<(i32, Streams), ShimError> {
    let (stdout, stdout_theirs) = setup::pipe().during("cannot make a pipe")?;
    let (stderr, stderr_theirs) = setup::pipe().during("cannot make a pipe")?;
    let (stdin_theirs, stdin) = if options.stdin {
        let (theirs, ours) = setup::pipe().during("cannot make a pipe")?;
        (theirs, Some(ours))
    } else {
        (File::open("/dev/null").during("cannot open /dev/null")?.into(), None)
    };
    let builder = builder.with_stdin(stdin_theirs).with_stdout(stdout_theirs).with_stderr(stderr_theirs);
    let mut container =
        builder.as_init(state.path()).with_systemd(false).with_detach(true).build().map_err(|e| ShimError::Create(chain(&e)))?;
    container.start().map_err(|e| ShimError::Create(chain(&e)))?;
    let pid = container.pid().ok_or_else(|| ShimError::Create("the container has no process".into()))?;
    Ok((pid.as_raw(), Streams::pipes(stdin, stdout, stderr).during("cannot set up the pipes")?))
}

fn with_terminal(state: &StateDir, builder: ContainerBuilder) -> Result<(i32, Streams), ShimError> {
    // libcontainer connects through a link in its own directory, so the name has to be absolute but may be long. Binding is
    // relative to the state directory, which we are in.
    let name = "console.sock";
    let console = UnixListener::bind(name).during("cannot bind the console socket")?;
    let builder = builder.with_console_socket(Some(state.path().join(name)));
    let mut container =
        builder.as_init(state.path()).with_systemd(false).with_detach(true).build().map_err(|e| ShimError::Create(chain(&e)))?;
    let (peer, _) = console.accept().during("cannot take the console")?;
    let master = setup::receive_descriptor(&peer)
        .during("cannot take the console")?
        .ok_or_else(|| ShimError::Create("the container sent no terminal".into()))?;
    let _ = std::fs::remove_file(name);
    container.start().map_err(|e| ShimError::Create(chain(&e)))?;
    let pid = container.pid().ok_or_else(|| ShimError::Create("the container has no process".into()))?;
    Ok((pid.as_raw(), Streams::terminal(master).during("cannot set up the terminal")?))
}

/// An error with all its causes, innermost last; repeated texts are said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let next = e.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = e.source();
    }
    text
}
