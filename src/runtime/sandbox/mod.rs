//! Sandboxes: what the containers of a pod share. Namespaces pinned to files, the pod's address, its cgroup, and the files that every
//! container finds below `/etc`.
//!
//! | file | what it does |
//! |---|---|
//! | `namespaces` | makes and pins them, writes sysctls |
//! | `files` | `/etc/hosts`, `/etc/resolv.conf`, `/etc/hostname` |
//! | `cgroup` | the pod's cgroup, version 1 and 2 |
//! | `pause` | the first process of a shared pid namespace |
//!
//! A sandbox's directory holds everything; `sandbox.json` is written last, so what has none was not finished. Nothing of a sandbox needs
//! this process to live.
mod cgroup;
mod files;
mod namespaces;
pub mod pause;
#[cfg(test)]
mod tests;

pub use pause::pause_main;

use crate::runtime::api::{RuntimeError, Sandbox, SandboxSpec};
use crate::runtime::network::{Network, NetworkError};
use crate::runtime::volumes::mounts;
use cgroup::Cgroups;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a pod's `/dev/shm`, as upstream.
const SHM_SIZE: u64 = 64 << 20;

/// What can go wrong with a sandbox.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SandboxError {
    #[error("invalid pod uid {0:?}")]
    InvalidUid(String),
    /// Upstream's text for a sysctl that would change the node.
    #[error("forbidden sysctl: {0:?} {1}")]
    Sysctl(String, &'static str),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("{what}: {why}")]
    Io { what: String, why: String },
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, SandboxError>;

impl SandboxError {
    fn io(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        SandboxError::Io { what: what.to_string(), why: error.to_string() }
    }
}

impl From<SandboxError> for RuntimeError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Network(error) => error.into(),
            SandboxError::Sysctl(..) => RuntimeError::new("SysctlForbidden", error),
            other => RuntimeError::new("FailedCreatePodSandBox", other),
        }
    }
}

/// What a container needs to join its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxPaths {
    /// Namespace files to join; `None` is the node's own.
    pub net: Option<PathBuf>,
    pub ipc: Option<PathBuf>,
    pub uts: Option<PathBuf>,
    /// The pod's shared one. `None`: the spec's `host_pid` tells whether it is the node's or one for each container.
    pub pid: Option<PathBuf>,
    /// To be bound to `/dev/shm`.
    pub shm: PathBuf,
    /// To be bound to `/etc/hosts`.
    pub hosts: PathBuf,
    /// To be bound to `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// To be bound to `/etc/hostname`.
    pub hostname: PathBuf,
    /// The pod's cgroup below each hierarchy's mount point, `/root/burstable/pod<uid>`: containers' cgroups belong below it.
    pub cgroup: PathBuf,
}

/// All sandboxes of one node.
pub struct Sandboxes {
    dir: PathBuf,
    network: Arc<Network>,
    cgroups: Cgroups,
    program: PathBuf,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Sandboxes {
    /// Sandboxes in `dir`, with cgroups below `cgroup_root` (a path below the mount points, such as `impresario`). `program` is this
    /// executable, which is also the pause process.
    pub fn new(dir: impl Into<PathBuf>, network: Arc<Network>, cgroup_root: impl Into<PathBuf>, program: PathBuf) -> Result<Sandboxes> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir).map_err(|e| SandboxError::io(dir.display(), e))?;
        let cgroups = Cgroups::find(cgroup_root.into()).map_err(|e| SandboxError::io("find the cgroup hierarchies", e))?;
        Ok(Sandboxes { dir, network, cgroups, program, turns: Mutex::default() })
    }

    /// Makes the pod's sandbox, or answers with the one that is there. A failed attempt leaves nothing behind.
    pub async fn create(&self, spec: SandboxSpec) -> Result<Sandbox> {
        let uid = checked(&spec.uid)?.to_owned();
        namespaces::check_sysctls(&spec)?;
        let _turn = self.turn(&uid).await;
        if let Some(sandbox) = self.load(&uid)? {
            return Ok(sandbox);
        }
        self.clear(&uid).await?;
        let made = self.make(spec).await;
        if made.is_err()
            && let Err(e) = self.clear(&uid).await
        {
            tracing::warn!(pod = uid, error = %e, "a sandbox that failed could not be removed");
        }
        made
    }

    /// Removes the sandbox with its address and cgroup; what is not there is no error. Processes left in the cgroup are killed.
    pub async fn remove(&self, uid: &str) -> Result<()> {
        let _turn = self.turn(checked(uid)?).await;
        self.clear(uid).await
    }

    /// Every sandbox that works. What a crash or a reboot left is removed.
    pub async fn list(&self) -> Result<Vec<Sandbox>> {
        let read = || std::fs::read_dir(&self.dir)?.map(|e| e.map(|e| e.file_name())).collect::<std::io::Result<Vec<_>>>();
        let names = read().map_err(|e| SandboxError::io(self.dir.display(), e))?;
        let mut found = Vec::new();
        for uid in names.iter().filter_map(|name| name.to_str()) {
            let _turn = self.turn(uid).await;
            match self.load(uid)? {
                Some(sandbox) => found.push(sandbox),
                None => self.clear(uid).await?,
            }
        }
        Ok(found)
    }

    /// Where a sandbox's parts are; `None` when there is no such sandbox.
    pub fn paths(&self, uid: &str) -> Option<SandboxPaths> {
        let sandbox = self.load(checked(uid).ok()?).ok()??;
        let dir = self.dir.join(uid);
        let pinned = |name: &str| Some(dir.join("ns").join(name)).filter(|path| path.exists());
        Some(SandboxPaths {
            net: pinned("net"),
            ipc: pinned("ipc"),
            uts: pinned("uts"),
            pid: pinned("pid"),
            shm: if sandbox.spec.host_ipc { PathBuf::from("/dev/shm") } else { dir.join("shm") },
            hosts: dir.join("hosts"),
            resolv_conf: dir.join("resolv.conf"),
            hostname: dir.join("hostname"),
            cgroup: self.cgroups.pod(&sandbox.spec.qos, uid),
        })
    }

    async fn make(&self, spec: SandboxSpec) -> Result<Sandbox> {
        let dir = self.dir.join(&spec.uid);
        std::fs::create_dir_all(dir.join("ns")).map_err(|e| SandboxError::io(dir.display(), e))?;
        // Cgroups and namespaces are slow in the kernel and do not depend on each other.
        let cgroup = {
            let (cgroups, spec) = (self.cgroups.clone(), spec.clone());
            blocking(move || cgroups.create(&spec.qos, &spec.uid, &spec.limits).map_err(|e| SandboxError::io("create the pod's cgroup", e)))
        };
        let base = {
            let (dir, spec) = (dir.clone(), spec.clone());
            blocking(move || {
                namespaces::pin(&dir.join("ns"), &spec).map_err(|e| SandboxError::io("create the pod's namespaces", e))?;
                if spec.host_ipc { Ok(()) } else { mount_shm(&dir.join("shm")) }
            })
        };
        let address = async {
            base.await?;
            match spec.host_network {
                true => Ok(IpAddr::V4(self.network.config().node_ip)),
                false => self.network.attach(&dir.join("ns/net"), &spec.uid).await.map_err(SandboxError::from),
            }
        };
        let (cgroup, address) = tokio::join!(cgroup, address);
        cgroup?;
        let address = address?;
        let sandbox = Sandbox { created_ms: jiff::Timestamp::now().as_millisecond(), ips: vec![address], spec };
        files::write(&dir, &sandbox.spec, address).map_err(|e| SandboxError::io(dir.display(), e))?;
        namespaces::write_sysctls(&dir.join("ns"), &sandbox.spec)?;
        if sandbox.spec.share_pid && !sandbox.spec.host_pid {
            let cgroup = self.cgroups.pod(&sandbox.spec.qos, &sandbox.spec.uid);
            let pause = pause::start(&self.program, &dir).await.map_err(|e| SandboxError::io("start the pause process", e))?;
            self.cgroups.enter(&cgroup.join("pause"), pause).map_err(|e| SandboxError::io("move the pause process", e))?;
        }
        save(&dir, &sandbox).map_err(|e| SandboxError::io(dir.display(), e))?;
        Ok(sandbox)
    }

    async fn clear(&self, uid: &str) -> Result<()> {
        let dir = self.dir.join(uid);
        self.network.detach(uid).await?;
        let (uid, cgroups) = (uid.to_owned(), self.cgroups.clone());
        blocking(move || {
            pause::stop(&dir).map_err(|e| SandboxError::io("stop the pause process", e))?;
            mounts::unmount_below(&dir).map_err(|e| SandboxError::io("unmount", e))?;
            cgroups.remove(&uid).map_err(|e| SandboxError::io("remove the pod's cgroup", e))?;
            match std::fs::remove_dir_all(&dir) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(SandboxError::io(dir.display(), e)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// A finished sandbox whose namespaces are still pinned: after a reboot they are not.
    fn load(&self, uid: &str) -> Result<Option<Sandbox>> {
        let dir = self.dir.join(uid);
        let Ok(bytes) = std::fs::read(dir.join("sandbox.json")) else { return Ok(None) };
        let Ok(sandbox) = serde_json::from_slice::<Sandbox>(&bytes) else { return Ok(None) };
        let shared_pid = sandbox.spec.share_pid && !sandbox.spec.host_pid;
        let alive = namespaces::all_pinned(&dir.join("ns"), &sandbox.spec) && (!shared_pid || pause::is_alive(&dir));
        Ok(alive.then_some(sandbox))
    }

    async fn turn(&self, uid: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(uid.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}

/// A uid becomes the name of directories and cgroups.
fn checked(uid: &str) -> Result<&str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match !uid.is_empty() && uid.len() <= 128 && !uid.starts_with('.') && uid.bytes().all(plain) {
        true => Ok(uid),
        false => Err(SandboxError::InvalidUid(uid.to_owned())),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| SandboxError::io("sandbox", e))?
}

fn mount_shm(path: &Path) -> Result<()> {
    use nix::mount::{MsFlags, mount};
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let options = format!("mode=1777,size={SHM_SIZE}");
    let mounted = std::fs::create_dir_all(path).and_then(|()| Ok(mount(Some("shm"), path, Some("tmpfs"), flags, Some(options.as_str()))?));
    mounted.map_err(|e| SandboxError::io(path.display(), e))
}

fn save(dir: &Path, sandbox: &Sandbox) -> std::io::Result<()> {
    let temporary = dir.join("sandbox.tmp");
    std::fs::write(&temporary, serde_json::to_vec(sandbox)?)?;
    std::fs::rename(temporary, dir.join("sandbox.json"))
}
