//! Containers on this node: started through a shim each, found again after the agent was killed, watched until they end.
mod launch;
pub mod logs;
mod session;
mod spec;

pub use launch::{cgroup_roots, remove_cgroup_tree};
pub use spec::{PidNamespace, SandboxPaths};

use super::api::{Container, ContainerExited, ContainerPhase, ContainerSpec, ExecSpec, Exit, Result, RuntimeError, Session, Usage};
use super::images::ImageConfig;
use super::shim::{ShimOrder, ShimReport, proc_start_time};
use std::collections::HashMap;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Ends that may wait for the agent. A node has far fewer containers than this.
const EXITS: usize = 4096;

/// The containers under one state directory. Clones are the same.
#[derive(Clone)]
pub struct Containers {
    inner: Arc<Inner>,
}

struct Inner {
    /// `<root>/<container id>/`: order, bundle, reports.
    root: PathBuf,
    /// Pods' cgroups lie below this path under every controller.
    cgroup: String,
    /// The binary that shims are started from.
    program: PathBuf,
    running: Mutex<HashMap<String, Arc<ShimReport>>>,
    exits: mpsc::Sender<ContainerExited>,
    receiver: Mutex<Option<mpsc::Receiver<ContainerExited>>>,
}

impl Containers {
    /// `cgroup` is a path such as `/impresario-1a2b`.
    pub fn new(root: PathBuf, cgroup: String, program: PathBuf) -> Self {
        let (exits, receiver) = mpsc::channel(EXITS);
        let inner = Inner { root, cgroup, program, running: Mutex::default(), exits, receiver: Mutex::new(Some(receiver)) };
        Containers { inner: Arc::new(inner) }
    }

    /// The ends of containers. One receiver: a second call gets one that says nothing.
    pub fn exits(&self) -> mpsc::Receiver<ContainerExited> {
        let taken = self.inner.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| mpsc::channel(1).1)
    }

    /// Starts a container over an unpacked root file system; answers its first process's id.
    pub async fn start(&self, spec: ContainerSpec, image: ImageConfig, rootfs: PathBuf, sandbox: SandboxPaths) -> Result<i32> {
        let directory = self.directory(&spec.id)?;
        let (cgroup, program, root) = (self.inner.cgroup.clone(), self.inner.program.clone(), self.inner.root.clone());
        let id = spec.id.clone();
        let pod_uid = spec.pod_uid.clone();
        let report =
            blocking(move || launch::launch(&launch::Launch { spec, image, rootfs, sandbox, directory, cgroup, program, root })).await?;
        let pid = report.pid;
        self.watch(id, pod_uid, report);
        Ok(pid)
    }

    /// Sends a signal to the container's first process, when it still runs.
    pub fn signal(&self, id: &str, signal: i32) -> Result<()> {
        let Some(report) = self.report(id) else { return Ok(()) };
        let Some(pidfd) = open_pidfd(report.pid) else { return Ok(()) };
        // The descriptor names the process that has the number now; the start time says whether it is ours.
        if proc_start_time(report.pid) != Some(report.start_time) {
            return Ok(());
        }
        use std::os::fd::AsRawFd;
        // SAFETY: a system call on a descriptor that we own.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0) };
        let error = std::io::Error::last_os_error();
        if sent < 0 && error.raw_os_error() != Some(libc::ESRCH) {
            return Err(RuntimeError::new("KillContainerError", format!("cannot signal container {id}: {error}")));
        }
        Ok(())
    }

    /// Forgets a finished container: its cgroup and its state directory. The root file system is the caller's to unmount first.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let directory = self.directory(id)?;
        let id = id.to_string();
        let state_root = self.inner.root.join("oci");
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        blocking(move || launch::remove(&id, &directory, &state_root)).await
    }

    /// Every container with a state directory. Those that run are watched from here on.
    pub async fn scan(&self) -> Result<Vec<Container>> {
        let root = self.inner.root.clone();
        let found = blocking(move || launch::scan(&root)).await?;
        let mut containers = Vec::with_capacity(found.len());
        for (spec, state) in found {
            let phase = match state {
                launch::Found::Running(report) => {
                    let phase = ContainerPhase::Running { pid: report.pid, started_ms: report.started_ms };
                    self.watch(spec.id.clone(), spec.pod_uid.clone(), report);
                    phase
                }
                launch::Found::Exited(exit) => ContainerPhase::Exited(exit),
            };
            containers.push(Container { spec, phase });
        }
        Ok(containers)
    }

    /// Runs a command inside of a running container.
    pub async fn exec(&self, id: &str, spec: ExecSpec) -> Result<Session> {
        let report = self.report(id).ok_or_else(|| not_running(id))?;
        let config = self.directory(id)?.join("bundle/config.json");
        session::exec(&self.inner.program, report.pid, config, spec).await
    }

    /// Attaching needs the shim to share its end of the container's streams, which it does not do yet.
    pub async fn attach(&self, id: &str) -> Result<Session> {
        Err(RuntimeError::new("NotImplemented", format!("attaching to container {id} is not implemented yet")))
    }

    /// What the container uses.
    pub async fn usage(&self, id: &str) -> Result<Usage> {
        let order = self.order(id).await?;
        blocking(move || launch::usage(&order.cgroup)).await
    }

    async fn order(&self, id: &str) -> Result<ShimOrder> {
        let path = self.directory(id)?.join("order.json");
        let bytes = tokio::fs::read(&path).await.map_err(|_| not_running(id))?;
        serde_json::from_slice(&bytes).map_err(|e| RuntimeError::new("ContainerStateError", format!("{}: {e}", path.display())))
    }

    fn report(&self, id: &str) -> Option<Arc<ShimReport>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn directory(&self, id: &str) -> Result<PathBuf> {
        let safe = !id.is_empty()
            && id.len() <= 255
            && !id.starts_with('.')
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !safe {
            return Err(RuntimeError::new("InvalidContainer", format!("\"{id}\" cannot be a container's id")));
        }
        Ok(self.inner.root.join(id))
    }

    /// Tells when the container ends: its shim ends right after it has written the report.
    fn watch(&self, id: String, pod_uid: String, report: ShimReport) {
        let report = Arc::new(report);
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), report.clone());
        let inner = self.inner.clone();
        tokio::spawn(async move {
            shim_ended(&report).await;
            let directory = inner.root.join(&id);
            let exit = read_exit(&directory).await.unwrap_or_else(|| lost(&report));
            inner.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            // The agent has gone when nobody listens; its successor scans.
            let _ = inner.exits.send(ContainerExited { id, pod_uid, exit }).await;
        });
    }
}

async fn shim_ended(report: &ShimReport) {
    let pid = report.shim_pid;
    let Some(pidfd) = open_pidfd(pid) else { return };
    if proc_start_time(pid) != Some(report.shim_start_time) {
        return;
    }
    // SAFETY: the descriptor is owned by what is registered, and stays the same for its life.
    if let Ok(fd) = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) } {
        let _ = fd.readable().await;
    }
    // Only shims that this very agent has started are its children; for others this says so and nothing is lost.
    let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
}

async fn read_exit(directory: &Path) -> Option<Exit> {
    serde_json::from_slice(&tokio::fs::read(directory.join("exit.json")).await.ok()?).ok()
}

/// The shim ended without a report: somebody killed it.
fn lost(report: &ShimReport) -> Exit {
    // Nobody watches the container any more, so it must not go on.
    if proc_start_time(report.pid) == Some(report.start_time) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(report.pid), nix::sys::signal::Signal::SIGKILL);
    }
    Exit {
        code: 137,
        signal: 9,
        started_ms: report.started_ms,
        finished_ms: jiff::Timestamp::now().as_millisecond(),
        message: "the container's shim was killed".into(),
        ..Default::default()
    }
}

fn open_pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open returns a new descriptor, or -1.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::O_NONBLOCK) };
    // SAFETY: a descriptor that was just made, owned by nobody else.
    (raw >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw as i32) })
}

fn not_running(id: &str) -> RuntimeError {
    RuntimeError::new("ContainerNotRunning", format!("container {id} is not running"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|e| Err(RuntimeError::new("RunContainerError", format!("a task of the node broke off: {e}"))))
}
