//! Noticing the ends of containers, and finding containers again after the agent was away.
use super::cgroup::Cgroups;
use super::state::{Running, ShimOptions, StateDir, now_ms, read_json, write_json};
use super::{launch, process};
use crate::runtime::api::{ContainerExited, ContainerSpec, Exit};
use std::path::Path;
use std::sync::Arc;
use tokio::process::Child;
use tokio::sync::mpsc;

/// How often leftover processes are killed before giving up on them, with a pause between.
const KILL_ROUNDS: usize = 50;
const KILL_PAUSE: std::time::Duration = std::time::Duration::from_millis(2);

/// A container to be watched.
#[derive(Debug)]
pub struct Watched {
    pub spec: ContainerSpec,
    pub state: StateDir,
    pub running: Option<Running>,
    /// The shim, if this process started it.
    pub shim: Option<Child>,
}

/// A container found on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Running(Running),
    Exited(Exit),
}

/// Reports the container's end once its shim has ended.
pub fn watch(mut watched: Watched, cgroups: Arc<Cgroups>, exits: mpsc::Sender<ContainerExited>) {
    tokio::spawn(async move {
        let waited = match (&mut watched.shim, &watched.running) {
            (Some(child), _) => child.wait().await.map(drop),
            (None, Some(running)) => launch::wait_adopted(running).await,
            (None, None) => Ok(()),
        };
        let Watched { spec, state, running, .. } = watched;
        if let Err(e) = waited {
            tracing::error!(id = spec.id, "cannot wait for the container's shim: {e}");
            return;
        }
        let ended = tokio::task::spawn_blocking(move || end_of(&state, running, &cgroups)).await;
        let exit = ended.unwrap_or_else(|e| lost(0, &e.to_string()));
        let _ = exits.send(ContainerExited { id: spec.id, pod_uid: spec.pod_uid, exit }).await;
    });
}

/// All containers below `root`. One whose shim is gone without a record is ended here and now.
pub fn find(root: &Path, cgroups: &Cgroups) -> Vec<(ContainerSpec, StateDir, Found)> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut all = Vec::new();
    for state in entries.map(|e| StateDir::new(e.path())) {
        let spec = match read_json::<ContainerSpec>(&state.spec()) {
            Ok(Some(spec)) => spec,
            // The agent died before the container was written down; no shim was started.
            Ok(None) => {
                let _ = std::fs::remove_dir_all(state.path());
                continue;
            }
            Err(e) => {
                tracing::error!(path = %state.path().display(), "unreadable container state: {e}");
                continue;
            }
        };
        let running = read_json::<Running>(&state.running()).ok().flatten();
        let ended = state.exit().exists();
        let found = match running.filter(|r| !ended && process::open(r.shim_pid, r.shim_start).is_ok()) {
            Some(running) => Found::Running(running),
            None => Found::Exited(end_of(&state, running, cgroups)),
        };
        all.push((spec, state, found));
    }
    all
}

/// The recorded end; without a record, the container is killed and a record made.
fn end_of(state: &StateDir, running: Option<Running>, cgroups: &Cgroups) -> Exit {
    if let Ok(Some(exit)) = read_json::<Exit>(&state.exit()) {
        return exit;
    }
    if let Some(running) = running
        && let Ok(pidfd) = process::open(running.pid, running.pid_start)
    {
        let _ = process::signal(&pidfd, libc::SIGKILL);
    }
    if let Ok(Some(options)) = read_json::<ShimOptions>(&state.options()) {
        end_processes(cgroups, &options.cgroup);
    }
    let why = if running.is_some() {
        "the container's shim ended unexpectedly"
    } else {
        "the node agent stopped while the container was being started"
    };
    let exit = lost(running.map_or(0, |r| r.started_ms), why);
    if let Err(e) = write_json(&state.exit(), &exit, true) {
        tracing::error!(path = %state.path().display(), "cannot record a container's end: {e}");
    }
    exit
}

/// Kills what is in a cgroup until nothing is. To be called where blocking is allowed.
pub fn end_processes(cgroups: &Cgroups, path: &str) {
    for _ in 0..KILL_ROUNDS {
        if cgroups.kill_all(path) {
            return;
        }
        // The kernel says nothing when a cgroup of v1 becomes empty.
        std::thread::sleep(KILL_PAUSE);
    }
}

fn lost(started_ms: i64, why: &str) -> Exit {
    Exit { code: 137, signal: libc::SIGKILL, started_ms, finished_ms: now_ms(), message: why.to_owned(), ..Exit::default() }
}
