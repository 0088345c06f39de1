//! Recording a container's end.
use super::{During, ShimError, setup};
use crate::runtime::api::Exit;
use crate::runtime::containers::cgroup::Cgroups;
use crate::runtime::containers::state::{Running, ShimOptions, StateDir, now_ms, write_json};
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// upstream's `MaxContainerTerminationMessageLength`, bytes.
const MAX_MESSAGE: u64 = 4096;
/// How often leftover processes are killed before giving up on them.
const KILL_ROUNDS: usize = 50;

/// Ends what is left of the container and writes `exit.json`, durably: after this the agent may be told.
pub fn record(state: &StateDir, options: &ShimOptions, running: &Running, cgroups: &Cgroups, status: i32) -> Result<Exit, ShimError> {
    let (code, signal) = setup::exit_code(status);
    let exit = Exit {
        code,
        signal,
        // Only a killed first process makes the container OOM-killed; a killed child is the application's business.
        oom_killed: signal == libc::SIGKILL && cgroups.oom_kills(&options.cgroup) > 0,
        started_ms: running.started_ms,
        finished_ms: now_ms(),
        message: termination_message(&options.termination_file),
    };
    // With a pid namespace of its own the kernel has already killed them all.
    for _ in 0..KILL_ROUNDS {
        if cgroups.kill_all(&options.cgroup) {
            break;
        }
        reap();
    }
    write_json(&state.exit(), &exit, true).during("cannot record the container's end")?;
    Ok(exit)
}

/// Collects orphans that were left to us.
fn reap() {
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

/// The end of the termination log. The container wrote it, so it is neither followed as a link nor waited for.
fn termination_message(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(meta.len().saturating_sub(MAX_MESSAGE)))?;
        let mut bytes = Vec::new();
        file.take(MAX_MESSAGE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
