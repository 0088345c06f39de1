//! From what a pod asks for to an OCI runtime configuration. Everything here is pure; what the host has to say comes in as [`Host`].
mod capabilities;
mod devices;
mod mounts;
mod resources;
pub mod seccomp;
pub mod users;

use crate::runtime::api::{ContainerSpec, RuntimeError};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capabilities, LinuxBuilder, LinuxDevice, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, ProcessBuilder, RootBuilder, Spec,
    SpecBuilder, UserBuilder,
};
use std::path::{Path, PathBuf};
use users::{Identity, UserFiles};

pub use devices::host_devices;

pub use crate::runtime::images::ImageConfig;

/// Where the pod's shared parts are on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxPaths {
    /// Namespace files. `None` means the node's own (`hostNetwork`, `hostIPC`); for `uts` this goes with the network.
    pub net: Option<PathBuf>,
    pub ipc: Option<PathBuf>,
    pub uts: Option<PathBuf>,
    pub pid: PidNamespace,
    /// The directory that becomes `/dev/shm`; `None` gives the container a small one of its own.
    pub shm: Option<PathBuf>,
    pub hosts: Option<PathBuf>,
    pub resolv_conf: Option<PathBuf>,
    pub hostname: Option<PathBuf>,
    /// The pod's cgroup as [`super::cgroup::pod_path`] gives it.
    pub pod_cgroup: String,
}

/// Which processes a container sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PidNamespace {
    /// Its own.
    #[default]
    Container,
    /// The pod's (`shareProcessNamespace`), pinned at this path.
    Pod(PathBuf),
    /// The node's (`hostPID`).
    Host,
}

/// What the host allows and has.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Our own bounding set: nothing outside it can be granted.
    pub bounding: Capabilities,
    /// Device nodes for privileged containers; see [`host_devices`].
    pub devices: Vec<LinuxDevice>,
}

/// A container that cannot be configured. The texts are upstream's where it has them.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    #[error("no command specified")]
    NoCommand,
    #[error("container has runAsNonRoot and image will run as root")]
    ImageRunsAsRoot,
    #[error("container's runAsUser breaks non-root policy")]
    RunAsRoot,
    #[error("container has runAsNonRoot and image has non-numeric user ({0}), cannot verify user is non-root")]
    NonNumericUser(String),
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    #[error("unknown capability {0:?}")]
    UnknownCapability(String),
    #[error("seccomp profile {0:?} is not supported on this node")]
    Seccomp(String),
    #[error("mount destination {0:?} is not an absolute path without \"..\"")]
    Destination(String),
    #[error("unknown mount propagation {0:?}")]
    Propagation(String),
    #[error(transparent)]
    Oci(#[from] OciSpecError),
}

impl From<SpecError> for RuntimeError {
    fn from(e: SpecError) -> Self {
        let reason = match &e {
            SpecError::NoCommand | SpecError::NoUser(_) | SpecError::NoGroup(_) | SpecError::Oci(_) => "CreateContainerError",
            _ => "CreateContainerConfigError",
        };
        RuntimeError::new(reason, e)
    }
}

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Paths that say too much about the host or change it.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Builds the OCI configuration. `files` are the image's user databases.
pub fn build(
    spec: &ContainerSpec,
    image: &ImageConfig,
    files: &UserFiles,
    rootfs: &Path,
    sandbox: &SandboxPaths,
    host: &Host,
) -> Result<Spec, SpecError> {
    let security = &spec.security;
    let identity = users::resolve(security, &image.user, files)?;
    let mut user = UserBuilder::default().uid(identity.uid).gid(identity.gid);
    if !identity.groups.is_empty() {
        user = user.additional_gids(identity.groups.clone());
    }
    let process = ProcessBuilder::default()
        .terminal(spec.tty)
        .user(user.build()?)
        .args(command(spec, image)?)
        .env(environment(spec, image, &identity))
        .cwd(working_dir(spec, image))
        .capabilities(capabilities::sets(security, &host.bounding)?);
    let mut process = process.build()?;
    // The builder fills in defaults of its own for these two. Limits are inherited from the agent, as upstream's are. The flag is
    // left out rather than false: with the field present a seccomp filter is loaded only after the capabilities are gone.
    process.set_rlimits(None);
    process.set_no_new_privileges((!security.allow_privilege_escalation && !security.privileged).then_some(true));

    let mut linux = LinuxBuilder::default()
        .cgroups_path(container_cgroup(sandbox, &spec.id))
        .namespaces(namespaces(sandbox)?)
        .resources(resources::resources(&spec.limits, security.privileged)?)
        .masked_paths(protected(security.privileged, &MASKED))
        .readonly_paths(protected(security.privileged, &READ_ONLY))
        .rootfs_propagation(mounts::root_propagation(&spec.mounts));
    if security.privileged {
        linux = linux.devices(host.devices.clone());
    } else if let Some(profile) = seccomp::profile(security, &host.bounding)? {
        linux = linux.seccomp(profile);
    }
    let root = RootBuilder::default().path(rootfs).readonly(security.read_only_root).build()?;
    let mut built = SpecBuilder::default()
        .version("1.1.0")
        .root(root)
        .process(process)
        .mounts(mounts::mounts(spec, sandbox)?)
        .linux(linux.build()?)
        .build()?;
    built.set_hostname(None);
    Ok(built)
}

/// The container's cgroup: its pod's, and its id below.
pub fn container_cgroup(sandbox: &SandboxPaths, id: &str) -> String {
    format!("/{}/{id}", sandbox.pod_cgroup.trim_matches('/'))
}

/// The absolute directory the command starts in.
pub fn working_dir(spec: &ContainerSpec, image: &ImageConfig) -> PathBuf {
    let wanted = if spec.working_dir.is_empty() { &image.working_dir } else { &spec.working_dir };
    Path::new("/").join(wanted)
}

/// `command` replaces ENTRYPOINT and drops CMD; `args` replaces CMD.
fn command(spec: &ContainerSpec, image: &ImageConfig) -> Result<Vec<String>, SpecError> {
    let (entrypoint, arguments) = match (spec.command.is_empty(), spec.args.is_empty()) {
        (true, true) => (&image.entrypoint, &image.cmd),
        (true, false) => (&image.entrypoint, &spec.args),
        (false, _) => (&spec.command, &spec.args),
    };
    let all: Vec<String> = entrypoint.iter().chain(arguments).cloned().collect();
    if all.is_empty() { Err(SpecError::NoCommand) } else { Ok(all) }
}

/// The image's variables, then the pod's; a later one of the same name wins and takes the earlier one's place.
fn environment(spec: &ContainerSpec, image: &ImageConfig, identity: &Identity) -> Vec<String> {
    let mut all: Vec<String> = vec![DEFAULT_PATH.to_owned()];
    if spec.tty {
        all.push("TERM=xterm".to_owned());
    }
    let pods = spec.env.iter().map(|(name, value)| format!("{name}={value}"));
    for entry in image.env.iter().cloned().chain(pods) {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name).to_owned();
        match all.iter_mut().find(|e| e.split_once('=').is_some_and(|(n, _)| n == name)) {
            Some(place) => *place = entry,
            None => all.push(entry),
        }
    }
    if !all.iter().any(|e| e.starts_with("HOME=")) {
        all.push(format!("HOME={}", identity.home));
    }
    all
}

fn protected(privileged: bool, paths: &[&str]) -> Vec<String> {
    if privileged { Vec::new() } else { paths.iter().map(|p| (*p).to_owned()).collect() }
}

/// A mount namespace of its own; the others by path where the pod has them, absent where the node's are used.
fn namespaces(sandbox: &SandboxPaths) -> Result<Vec<LinuxNamespace>, SpecError> {
    let own = |kind| LinuxNamespaceBuilder::default().typ(kind).build();
    let joined = |kind, path: &Path| LinuxNamespaceBuilder::default().typ(kind).path(path).build();
    let mut all = vec![own(LinuxNamespaceType::Mount)?];
    match &sandbox.pid {
        PidNamespace::Container => all.push(own(LinuxNamespaceType::Pid)?),
        PidNamespace::Pod(path) => all.push(joined(LinuxNamespaceType::Pid, path)?),
        PidNamespace::Host => {}
    }
    let shared =
        [(LinuxNamespaceType::Network, &sandbox.net), (LinuxNamespaceType::Ipc, &sandbox.ipc), (LinuxNamespaceType::Uts, &sandbox.uts)];
    for (kind, path) in shared {
        if let Some(path) = path {
            all.push(joined(kind, path)?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
