//! Containers as the agent sees them: start, signal, watch, adopt after a restart, remove; sessions, use and logs.
//!
//! Nothing here depends on the agent's own memory. Each container has a state directory ([`state::StateDir`]) and a shim
//! ([`crate::runtime::shim`]) that outlives the agent; [`Containers::scan`] finds them again.
pub mod cgroup;
mod dial;
mod launch;
pub mod logs;
pub mod process;
pub mod rootfs;
mod session;
pub mod spec;
pub mod state;
mod watch;

use crate::runtime::api::{Container, ContainerExited, ContainerPhase, ContainerSpec, ExecSpec, Result, RuntimeError, Session, Usage};
use crate::runtime::shim::exec::{Order, host_bounding};
use cgroup::Cgroups;
use spec::users::UserFiles;
use state::{Running, ShimOptions, StateDir, read_json, write_json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

pub use dial::dial;
pub use spec::{ImageConfig, PidNamespace, SandboxPaths};

/// Ends that may wait for the node actor; the watchers wait beyond that.
const EXITS: usize = 1024;

/// The node's containers.
#[derive(Debug)]
pub struct Containers {
    root: PathBuf,
    program: PathBuf,
    shim_cgroup: String,
    cgroups: Arc<Cgroups>,
    host: Arc<spec::Host>,
    exits: mpsc::Sender<ContainerExited>,
    receiver: Mutex<Option<mpsc::Receiver<ContainerExited>>>,
}

impl Containers {
    /// `root` is the directory of the state directories; `cgroup_root` the cgroup that pods and shims live below. `program` is
    /// what shims are started from, by default this executable.
    pub fn new(root: PathBuf, cgroup_root: &str, program: Option<PathBuf>) -> Result<Self> {
        let failed = |what: &str, e: io::Error| RuntimeError::new("ContainerRuntimeNotReady", format!("{what}: {e}"));
        std::fs::create_dir_all(&root).map_err(|e| failed("cannot make the containers' directory", e))?;
        let root = root.canonicalize().map_err(|e| failed("cannot find the containers' directory", e))?;
        let bounding = host_bounding().map_err(|e| failed("cannot read our capabilities", e))?;
        let cgroups = Cgroups::detect().map_err(|e| failed("cannot find the cgroup hierarchies", e))?;
        let (exits, receiver) = mpsc::channel(EXITS);
        Ok(Containers {
            root,
            program: program.unwrap_or_else(|| PathBuf::from("/proc/self/exe")),
            shim_cgroup: format!("/{}/shims", cgroup_root.trim_matches('/')),
            cgroups: Arc::new(cgroups),
            host: Arc::new(spec::Host { bounding, devices: spec::host_devices() }),
            exits,
            receiver: Mutex::new(Some(receiver)),
        })
    }

    /// The ends of containers, each once. There is one receiver: a second call gets one that never yields.
    pub fn exits(&self) -> mpsc::Receiver<ContainerExited> {
        let first = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// Starts a container; answers with its process id once its command runs.
    pub async fn start(&self, spec: ContainerSpec, image: ImageConfig, rootfs: PathBuf, sandbox: SandboxPaths) -> Result<i32> {
        let state = self.state(&spec.id)?;
        let (shim_cgroup, host) = (self.shim_cgroup.clone(), Arc::clone(&self.host));
        let prepared = blocking(move || prepare(&state, &spec, &image, &rootfs, &sandbox, &host, shim_cgroup).map(|()| (spec, state)));
        let (spec, state) = prepared.await?;
        let (program, cgroups, exits) = (self.program.clone(), Arc::clone(&self.cgroups), self.exits.clone());
        // A task of its own: a caller that gives up waiting must not leave a container that nobody watches.
        let started = tokio::spawn(async move { launch_and_watch(&program, spec, state, cgroups, exits).await });
        started.await.unwrap_or_else(|e| Err(RuntimeError::new("RunContainerError", e)))
    }

    /// Sends a signal to the container's first process. A finished container is no error, an unknown one is.
    pub async fn signal(&self, id: &str, signal: i32) -> Result<()> {
        let state = self.known(id)?;
        blocking(move || {
            let failed = |e: io::Error| RuntimeError::new("KillContainerError", e);
            let Some(running) = read_json::<Running>(&state.running()).map_err(failed)? else { return Ok(()) };
            match process::open(running.pid, running.pid_start) {
                Ok(pidfd) => process::signal(&pidfd, signal).map_err(failed),
                Err(_) => Ok(()),
            }
        })
        .await
    }

    /// Removes a finished container's cgroup and state directory; its log stays. One that is not there is no error.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let state = self.state(id)?;
        let cgroups = Arc::clone(&self.cgroups);
        blocking(move || {
            if is_alive(&state) {
                return Err(RuntimeError::new("RemoveContainerError", "cannot remove a running container"));
            }
            clear(&cgroups, &state);
            Ok(())
        })
        .await
    }

    /// Every container that has a state directory. Running ones are watched from here on; call it once, at the agent's start.
    pub async fn scan(&self) -> Result<Vec<Container>> {
        let (root, cgroups) = (self.root.clone(), Arc::clone(&self.cgroups));
        let found = blocking(move || Ok(watch::find(&root, &cgroups))).await?;
        let mut all = Vec::with_capacity(found.len());
        for (spec, state, phase) in found {
            if let watch::Found::Running(running) = &phase {
                let watched = watch::Watched { spec: spec.clone(), state, running: Some(*running), shim: None };
                watch::watch(watched, Arc::clone(&self.cgroups), self.exits.clone());
            }
            all.push(Container { spec, phase: phase.into() });
        }
        Ok(all)
    }

    /// Runs a command in a running container. Dropping the session kills it.
    pub async fn exec(&self, id: &str, spec: ExecSpec) -> Result<Session> {
        let state = self.running(id).await?;
        let order = Order { command: spec.command, tty: spec.tty, stdin: spec.stdin };
        let socket = launch::exec(&self.program, &state, &order).await.map_err(|e| RuntimeError::new("ExecError", e))?;
        Ok(session::open(socket))
    }

    /// Connects to a running container's streams: its output from now on, and its input if it has one.
    pub async fn attach(&self, id: &str) -> Result<Session> {
        let state = self.running(id).await?;
        let socket = launch::connect(&state).await.map_err(|e| RuntimeError::new("AttachError", e))?;
        Ok(session::open(socket))
    }

    /// Removes the cgroup that all pods lie in, once nothing runs in it.
    pub fn remove_cgroups(&self, path: &str) {
        self.cgroups.remove_tree(path);
    }

    /// What a running container uses now.
    pub async fn usage(&self, id: &str) -> Result<Usage> {
        let (state, cgroups) = (self.known(id)?, Arc::clone(&self.cgroups));
        blocking(move || {
            let failed = |e: io::Error| RuntimeError::new("StatsError", e);
            let options: ShimOptions = read_json(&state.options()).map_err(failed)?.ok_or_else(|| not_found(&state))?;
            cgroups.usage(&options.cgroup).map_err(failed)
        })
        .await
    }

    fn state(&self, id: &str) -> Result<StateDir> {
        let safe = !id.is_empty() && !id.starts_with('.') && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if safe {
            Ok(StateDir::new(self.root.join(id)))
        } else {
            Err(RuntimeError::new("InvalidContainerID", format!("invalid container id {id:?}")))
        }
    }

    fn known(&self, id: &str) -> Result<StateDir> {
        let state = self.state(id)?;
        if state.path().is_dir() { Ok(state) } else { Err(not_found(&state)) }
    }

    async fn running(&self, id: &str) -> Result<StateDir> {
        let state = self.known(id)?;
        let (alive, state) = blocking(move || Ok((is_alive(&state), state))).await?;
        if alive { Ok(state) } else { Err(RuntimeError::new("ContainerNotRunning", "container is not running")) }
    }
}

impl From<watch::Found> for ContainerPhase {
    fn from(found: watch::Found) -> Self {
        match found {
            watch::Found::Running(r) => ContainerPhase::Running { pid: r.pid, started_ms: r.started_ms },
            watch::Found::Exited(exit) => ContainerPhase::Exited(exit),
        }
    }
}

async fn launch_and_watch(
    program: &Path,
    spec: ContainerSpec,
    state: StateDir,
    cgroups: Arc<Cgroups>,
    exits: mpsc::Sender<ContainerExited>,
) -> Result<i32> {
    match launch::start(program, &state).await {
        Ok((child, pid)) => {
            let file = state.running();
            let running = blocking(move || read_json::<Running>(&file).map_err(|e| RuntimeError::new("RunContainerError", e))).await?;
            watch::watch(watch::Watched { spec, state, running, shim: Some(child) }, cgroups, exits);
            Ok(pid)
        }
        Err(e) => {
            let text = format!("failed to start container {:?}: {}", spec.name, upstream_words(&e.to_string()));
            blocking(move || {
                clear(&cgroups, &state);
                Ok(())
            })
            .await?;
            Err(RuntimeError::new("RunContainerError", text))
        }
    }
}

/// Writes everything the shim reads.
fn prepare(
    state: &StateDir,
    spec: &ContainerSpec,
    image: &ImageConfig,
    rootfs: &Path,
    sandbox: &SandboxPaths,
    host: &spec::Host,
    shim_cgroup: String,
) -> Result<()> {
    let failed = |e: io::Error| RuntimeError::new("CreateContainerError", e);
    let root = rootfs::Rootfs::open(rootfs).map_err(failed)?;
    let files = UserFiles { passwd: root.read("/etc/passwd").map_err(failed)?, group: root.read("/etc/group").map_err(failed)? };
    let oci = spec::build(spec, image, &files, rootfs, sandbox, host)?;
    root.make_directory(&spec::working_dir(spec, image)).map_err(failed)?;
    let options = ShimOptions {
        id: spec.id.clone(),
        tty: spec.tty,
        stdin: spec.stdin,
        stdin_once: spec.stdin_once,
        log_path: spec.log_path.clone(),
        termination_file: spec.termination_file.clone(),
        oom_score_adj: spec.oom_score_adj,
        cgroup: spec::container_cgroup(sandbox, &spec.id),
        shim_cgroup,
    };
    // An id that is taken is an error here, before anything of the other container could be touched.
    std::fs::create_dir(state.path()).map_err(failed)?;
    let written = std::fs::create_dir(state.oci())
        .and_then(|()| write_json(&state.options(), &options, false))
        .and_then(|()| write_json(&state.config(), &oci, false))
        // Last and durable: a directory without it is not yet a container.
        .and_then(|()| write_json(&state.spec(), spec, true));
    written.map_err(|e| {
        let _ = std::fs::remove_dir_all(state.path());
        failed(e)
    })
}

/// Whether the container's shim, and with it the container, still runs.
fn is_alive(state: &StateDir) -> bool {
    let ended = state.exit().exists();
    let running = read_json::<Running>(&state.running()).ok().flatten();
    !ended && running.is_some_and(|r| process::open(r.pid, r.pid_start).is_ok())
}

/// Removes a container's cgroup and directory as far as possible. What is left of a cgroup goes with its pod's.
fn clear(cgroups: &Cgroups, state: &StateDir) {
    if let Ok(Some(options)) = read_json::<ShimOptions>(&state.options()) {
        watch::end_processes(cgroups, &options.cgroup);
        if let Err(e) = cgroups.remove(&options.cgroup) {
            tracing::warn!(id = options.id, "cannot remove the container's cgroup: {e}");
        }
    }
    match std::fs::remove_dir_all(state.path()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %state.path().display(), "cannot remove the container's state: {e}")
        }
        _ => {}
    }
}

/// Cuts libcontainer's framing off the reason that users know from upstream.
fn upstream_words(text: &str) -> &str {
    text.find("exec: ").and_then(|at| text.get(at..)).unwrap_or(text)
}

fn not_found(state: &StateDir) -> RuntimeError {
    let id = state.path().file_name().unwrap_or_default().to_string_lossy();
    RuntimeError::new("ContainerNotFound", format!("container {id:?} not found"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(RuntimeError::new("RuntimeError", e)))
}
