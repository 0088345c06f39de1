//! The blocking half: laying out a container's state directory, starting its shim, finding containers again, removing them.
use super::spec::{Accounts, SandboxPaths, runtime_spec};
use crate::runtime::api::{ContainerSpec, Exit, Result, RuntimeError, Usage};
use crate::runtime::images::ImageConfig;
use crate::runtime::shim::{SHIM, ShimOrder, ShimReport, proc_start_time};
use libcgroups::common::{CgroupConfig, CgroupManager, create_cgroup_manager};
use libcontainer::container::Container;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything that a start needs.
pub struct Launch {
    pub spec: ContainerSpec,
    pub image: ImageConfig,
    pub rootfs: PathBuf,
    pub sandbox: SandboxPaths,
    pub directory: PathBuf,
    pub cgroup: String,
    pub program: PathBuf,
    pub root: PathBuf,
}

/// What `scan` finds in a state directory.
pub enum Found {
    Running(ShimReport),
    Exited(Exit),
}

/// The longest answer that is read from a shim.
const ANSWER_MAX: u64 = 64 * 1024;
/// No larger `/etc/passwd` or `/etc/group` of an image is read.
const ACCOUNTS_MAX: u64 = 1024 * 1024;

/// Starts a container; returns once its command runs.
pub fn launch(launch: &Launch) -> Result<ShimReport> {
    let told = |what: &'static str| move |e: std::io::Error| RuntimeError::new("RunContainerError", format!("{what}: {e}"));
    let spec = &launch.spec;
    let bundle = launch.directory.join("bundle");
    std::fs::create_dir_all(&bundle).map_err(told("cannot make the container's directory"))?;
    let cgroup = launch.sandbox.cgroup.join(spec.name_with_attempt()).to_string_lossy().into_owned();
    let accounts = Accounts { passwd: read_inside(&launch.rootfs, "etc/passwd"), group: read_inside(&launch.rootfs, "etc/group") };
    let mut config = runtime_spec(spec, &launch.image, &launch.sandbox, &accounts, &cgroup, &held_capabilities())?;
    config["root"]["path"] = launch.rootfs.to_string_lossy().into();
    let write = |path: &Path, bytes: Vec<u8>| std::fs::write(path, bytes).map_err(told("cannot write the container's configuration"));
    write(&bundle.join("config.json"), config.to_string().into_bytes())?;
    write(&launch.directory.join("spec.json"), serde_json::to_vec(spec).unwrap_or_default())?;
    if let Some(parent) = spec.log_path.parent() {
        std::fs::create_dir_all(parent).map_err(told("cannot make the log's directory"))?;
    }
    if !spec.termination_file.as_os_str().is_empty() {
        if let Some(parent) = spec.termination_file.parent() {
            std::fs::create_dir_all(parent).map_err(told("cannot make the termination log"))?;
        }
        File::create(&spec.termination_file).map_err(told("cannot make the termination log"))?;
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&spec.termination_file, open).map_err(told("cannot make the termination log"))?;
    }
    let order = ShimOrder {
        id: spec.id.clone(),
        bundle,
        state_root: launch.root.join("oci"),
        log_path: spec.log_path.clone(),
        tty: spec.tty,
        cgroup: cgroup.into(),
        termination_file: spec.termination_file.clone(),
        shim_cgroup: format!("{}/shims", launch.cgroup).into(),
    };
    write(&launch.directory.join("order.json"), serde_json::to_vec(&order).unwrap_or_default())?;
    start_shim(&launch.program, &launch.directory)
}

fn start_shim(program: &Path, directory: &Path) -> Result<ShimReport> {
    let failed = |e: std::io::Error| RuntimeError::new("RunContainerError", format!("cannot start the container's shim: {e}"));
    let (answer, end) = pipe().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg(SHIM).arg(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    give_fd3(&mut command, &end);
    let child = command.spawn().map_err(failed)?;
    drop(end);
    let mut text = String::new();
    let read = File::from(answer).take(ANSWER_MAX).read_to_string(&mut text);
    let report = text.strip_prefix("OK ").and_then(|json| serde_json::from_str(json).ok());
    match (read, report) {
        (Ok(_), Some(report)) => Ok(report),
        _ => {
            reap(child);
            let why = text.strip_prefix("ERR ").unwrap_or("the shim ended without an answer");
            Err(RuntimeError::new("RunContainerError", format!("failed to start the container: {why}")))
        }
    }
}

fn reap(mut child: std::process::Child) {
    let _ = child.wait();
}

/// Hands a descriptor to a child as its number 3, in a session of its own.
pub fn give_fd3(command: &mut Command, fd: &OwnedFd) {
    let raw = fd.as_raw_fd();
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if raw == 3 {
                libc::fcntl(3, libc::F_SETFD, 0);
            } else if libc::dup2(raw, 3) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            libc::setsid();
            Ok(())
        });
    }
}

/// A pipe whose ends no other child inherits.
pub fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the kernel fills in two new descriptors.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: they were just made and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// A small file of the image, looked up as if the image were the root: no link leads out of it.
fn read_inside(rootfs: &Path, path: &str) -> String {
    let Ok(root) = File::open(rootfs) else { return String::new() };
    let how =
        OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let Ok(fd) = openat2(&root, path, how) else { return String::new() };
    let mut text = Vec::new();
    let _ = File::from(fd).take(ACCOUNTS_MAX).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn held_capabilities() -> Vec<String> {
    let all = caps::all();
    let held = |c: &caps::Capability| {
        caps::has_cap(None, caps::CapSet::Bounding, *c).unwrap_or(false)
            && caps::has_cap(None, caps::CapSet::Permitted, *c).unwrap_or(false)
    };
    let mut names: Vec<String> = all.into_iter().filter(held).map(|c| c.to_string()).collect();
    names.sort();
    names
}

/// The mount points of cgroup controllers (version 1, also hybrid), or the one of version 2.
pub fn cgroup_roots() -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            right.starts_with("cgroup").then(|| PathBuf::from(left.split(' ').nth(4).unwrap_or_default()))
        })
        .collect()
}

/// Reads every state directory below `root`.
pub fn scan(root: &Path) -> Result<Vec<(ContainerSpec, Found)>> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(root) else { return Ok(found) };
    for entry in entries.flatten() {
        let directory = entry.path();
        let Some(spec) = read_json::<ContainerSpec>(&directory.join("spec.json")) else { continue };
        if let Some(exit) = read_json::<Exit>(&directory.join("exit.json")) {
            found.push((spec, Found::Exited(exit)));
            continue;
        }
        match read_json::<ShimReport>(&directory.join("running.json")) {
            Some(report) if proc_start_time(report.shim_pid) == Some(report.shim_start_time) => found.push((spec, Found::Running(report))),
            // Without a living shim and without a report nothing is known but that it does not run under our eyes.
            Some(report) => found.push((spec, Found::Exited(super::lost(&report)))),
            None => {
                let _ = std::fs::remove_dir_all(&directory);
            }
        }
    }
    Ok(found)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Removes what is left of a container that has ended.
pub fn remove(id: &str, directory: &Path, state_root: &Path) -> Result<()> {
    let cgroup = read_json::<ShimOrder>(&directory.join("order.json")).map(|o| o.cgroup);
    if let Ok(mut container) = Container::load(state_root.join(id)) {
        // Its own files are removed below as well; what it complains about is only that somebody was faster.
        let _ = container.delete(true);
    }
    let _ = std::fs::remove_dir_all(state_root.join(id));
    if let Some(cgroup) = cgroup {
        remove_cgroup(&cgroup);
    }
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RuntimeError::new("ContainerStateError", format!("cannot remove {}: {error}", directory.display())))
        }
        _ => Ok(()),
    }
}

/// Removes an empty cgroup from every controller.
pub fn remove_cgroup(cgroup: &Path) {
    let relative = cgroup.strip_prefix("/").unwrap_or(cgroup);
    for root in cgroup_roots() {
        let _ = std::fs::remove_dir(root.join(relative));
    }
}

/// Removes a cgroup and every one below it from every controller; those with processes in them stay.
pub fn remove_cgroup_tree(cgroup: &str) {
    for root in cgroup_roots() {
        remove_below(&root.join(cgroup.trim_start_matches('/')));
    }
}

fn remove_below(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_below(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(directory);
}

/// What a cgroup uses.
pub fn usage(cgroup: &Path) -> Result<Usage> {
    let failed = |e: &dyn std::fmt::Display| RuntimeError::new("StatsError", format!("cannot read the usage of {}: {e}", cgroup.display()));
    let config = CgroupConfig { cgroup_path: cgroup.to_path_buf(), systemd_cgroup: false, container_name: String::new() };
    let manager = create_cgroup_manager(config).map_err(|e| failed(&e))?;
    let stats = manager.stats().map_err(|e| failed(&e))?;
    let inactive = stats.memory.stats.get("total_inactive_file").or_else(|| stats.memory.stats.get("inactive_file")).copied().unwrap_or(0);
    Ok(Usage {
        cpu_nanos: stats.cpu.usage.usage_total,
        memory: stats.memory.memory.usage.saturating_sub(inactive),
        pids: stats.pids.current,
    })
}

impl ContainerSpec {
    /// The last part of the container's cgroup: short, and unlike that of its former attempts.
    fn name_with_attempt(&self) -> String {
        format!("{}-{}", self.name, self.attempt)
    }
}
