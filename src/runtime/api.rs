//! The node's container runtime as its actors see it: sandboxes, images, containers, sessions. Plain data and one trait,
//! so that the pod actors are tested against a fake and run against the kernel.
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// What went wrong on the node. `reason` is the word that ends up in a container's `waiting.reason` or an event
/// (`ErrImagePull`, `RunContainerError`, `CreateContainerConfigError`, …).
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[error("{message}")]
pub struct RuntimeError {
    pub reason: &'static str,
    pub message: String,
}

impl RuntimeError {
    pub fn new(reason: &'static str, message: impl std::fmt::Display) -> Self {
        RuntimeError { reason, message: message.to_string() }
    }
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, RuntimeError>;

/// The shared part of a pod: its namespaces, its address, its cgroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SandboxSpec {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub hostname: String,
    /// What follows the host name in its full form, `<subdomain>.<namespace>.svc.<cluster domain>`; empty without `spec.subdomain`.
    #[serde(default)]
    pub domain: String,
    /// `spec.hostNetwork`: the pod uses the node's own network and has the node's address.
    pub host_network: bool,
    pub host_pid: bool,
    pub host_ipc: bool,
    /// `spec.shareProcessNamespace`.
    pub share_pid: bool,
    /// Extra lines for `/etc/hosts`: address and its names (`spec.hostAliases`).
    pub host_aliases: Vec<(String, Vec<String>)>,
    pub dns: Dns,
    /// The pod's cgroup limits; all zero for BestEffort.
    pub limits: Limits,
    /// `Guaranteed`, `Burstable` or `BestEffort`: the cgroup tier.
    pub qos: String,
    pub sysctls: BTreeMap<String, String>,
}

/// What `/etc/resolv.conf` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dns {
    pub servers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<String>,
}

/// A sandbox that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    pub spec: SandboxSpec,
    pub ips: Vec<IpAddr>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

/// cgroup limits; 0 means "not set".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    pub cpu_request_milli: u64,
    pub cpu_limit_milli: u64,
    pub memory_request: u64,
    pub memory_limit: u64,
    pub pids: u64,
}

/// Everything needed to start one container. References are resolved: no ConfigMap, no Secret, no expression is left in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Unique on the node; `<pod uid>-<container name>-<attempt>`, safe as a file name.
    pub id: String,
    pub pod_uid: String,
    pub name: String,
    /// How many times this container was started before.
    pub attempt: u32,
    /// The image's id as [`Image::id`] says it.
    pub image_id: String,
    /// `command` of the pod; replaces the image's ENTRYPOINT when not empty.
    pub command: Vec<String>,
    /// `args` of the pod; replaces the image's CMD when not empty.
    pub args: Vec<String>,
    /// Added after the image's own.
    pub env: Vec<(String, String)>,
    /// Replaces the image's WORKDIR when not empty.
    pub working_dir: String,
    pub mounts: Vec<Mount>,
    pub tty: bool,
    pub stdin: bool,
    pub stdin_once: bool,
    pub limits: Limits,
    pub security: Security,
    /// The CRI log file that the shim writes.
    pub log_path: PathBuf,
    /// `terminationMessagePath` inside the container, and the file on the host bound there.
    pub termination_path: String,
    pub termination_file: PathBuf,
    /// `/proc/<pid>/oom_score_adj`; set as far as the host allows.
    pub oom_score_adj: i32,
}

/// A bind mount into a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    pub source: PathBuf,
    pub destination: String,
    pub read_only: bool,
    /// `None`, `HostToContainer` or `Bidirectional`.
    pub propagation: String,
}

/// A container's security settings, pod and container level merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Security {
    pub privileged: bool,
    /// `None`: as the image's USER says.
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    pub run_as_non_root: bool,
    pub supplemental_groups: Vec<u32>,
    pub fs_group: Option<u32>,
    pub read_only_root: bool,
    pub allow_privilege_escalation: bool,
    /// Without the `CAP_` prefix; `ALL` is understood.
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    /// `Unconfined` or `RuntimeDefault`; localhost profiles are refused.
    pub seccomp: String,
}

/// An image that is on the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of the image's configuration.
    pub id: String,
    /// What it is known as, fully qualified with tag.
    pub names: Vec<String>,
    /// `name@sha256:…` of the manifest.
    pub digests: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// The image's USER, empty for root.
    pub user: String,
}

/// Where a container stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ContainerPhase {
    /// Milliseconds since the epoch.
    Running {
        pid: i32,
        started_ms: i64,
    },
    Exited(Exit),
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// 128 + n for signal n.
    pub code: i32,
    pub signal: i32,
    pub oom_killed: bool,
    /// Milliseconds since the epoch.
    pub started_ms: i64,
    pub finished_ms: i64,
    /// What the termination log holds (at most 4,096 bytes).
    pub message: String,
}

/// A container that the node has a state directory for; found again after the agent was killed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    pub spec: ContainerSpec,
    pub phase: ContainerPhase,
}

/// A container ended on its own or was stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerExited {
    pub id: String,
    pub pod_uid: String,
    pub exit: Exit,
}

/// What to run inside a running container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecSpec {
    pub command: Vec<String>,
    pub tty: bool,
    pub stdin: bool,
}

/// A terminal's size, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

/// What goes into an exec or attach session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionInput {
    Stdin(Bytes),
    CloseStdin,
    Resize(TerminalSize),
}

/// What comes out of it. With a terminal everything is `Stdout`.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionOutput {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The command ended; nothing follows.
    Exit(i32),
    /// The session failed; nothing follows.
    Failed(String),
}

/// A running exec or attach session. Dropping it ends the command's input and, for exec, kills the command.
#[derive(Debug)]
pub struct Session {
    pub input: mpsc::Sender<SessionInput>,
    pub output: mpsc::Receiver<SessionOutput>,
}

/// Resource use of one container or pod cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_nanos: u64,
    /// Working set, bytes.
    pub memory: u64,
    pub pids: u64,
}

/// Credentials for a registry.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryAuth {
    pub username: String,
    pub password: String,
}

/// A node's containers, images and pod network.
#[async_trait::async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Makes the pod's namespaces, address and cgroup; if they exist already, answers with them.
    async fn create_sandbox(&self, spec: SandboxSpec) -> Result<Sandbox>;
    /// Removes what `create_sandbox` made and everything of the pod on disk; nothing to remove is no error.
    async fn remove_sandbox(&self, pod_uid: &str) -> Result<()>;
    /// Every sandbox on this node, for the agent's start.
    async fn sandboxes(&self) -> Result<Vec<Sandbox>>;

    /// The image, if it is on the node.
    async fn image(&self, name: &str) -> Result<Option<Image>>;
    /// Pulls the image; simultaneous pulls of one name share one transfer.
    async fn pull_image(&self, name: &str, auth: Option<RegistryAuth>) -> Result<Image>;
    /// All images on the node.
    async fn images(&self) -> Result<Vec<Image>>;

    /// Starts a container in its pod's sandbox; answers with the process id once the command runs.
    async fn start_container(&self, spec: ContainerSpec) -> Result<i32>;
    /// Sends a signal to the container's first process; a finished container is no error.
    async fn signal_container(&self, id: &str, signal: i32) -> Result<()>;
    /// Removes a finished container's root file system and state; its log stays.
    async fn remove_container(&self, id: &str) -> Result<()>;
    /// Every container on this node, for the agent's start. Running ones are watched again from here on.
    async fn containers(&self) -> Result<Vec<Container>>;
    /// The ends of containers, each once. One receiver: the node actor.
    fn exits(&self) -> mpsc::Receiver<ContainerExited>;

    async fn exec(&self, id: &str, spec: ExecSpec) -> Result<Session>;
    async fn attach(&self, id: &str) -> Result<Session>;
    /// A connection to a port on the pod's loopback, as `kubectl port-forward` wants it.
    async fn dial(&self, pod_uid: &str, port: u16) -> Result<tokio::net::TcpStream>;
    async fn usage(&self, id: &str) -> Result<Usage>;
}
