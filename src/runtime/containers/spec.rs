//! From a resolved container to an OCI runtime configuration: pure, apart from looking up names in the image's own
//! `/etc/passwd` and `/etc/group`, whose text is handed in.
use crate::runtime::api::{ContainerSpec, Mount, Result, RuntimeError, Security};
use crate::runtime::images::ImageConfig;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What a container shares with its pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SandboxPaths {
    /// `None`: the node's own.
    pub net: Option<PathBuf>,
    pub ipc: Option<PathBuf>,
    pub uts: Option<PathBuf>,
    /// `Some` when the pod shares one pid namespace, or the node's.
    pub pid: PidNamespace,
    pub shm: PathBuf,
    pub hosts: PathBuf,
    pub resolv_conf: PathBuf,
    pub hostname: PathBuf,
    /// The pod's cgroup below every controller.
    pub cgroup: PathBuf,
}

/// Which processes a container sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PidNamespace {
    /// Its own.
    #[default]
    Own,
    /// Those of its pod.
    Shared(PathBuf),
    /// Those of the node.
    Host,
}

/// The image's files in which names are looked up.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    pub passwd: String,
    pub group: String,
}

/// What containerd gives to every container.
const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const MASKED: &[&str] = &[
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
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole configuration. `held` are the capabilities that this process may pass on.
pub fn runtime_spec(
    spec: &ContainerSpec,
    image: &ImageConfig,
    sandbox: &SandboxPaths,
    accounts: &Accounts,
    cgroup: &str,
    held: &[String],
) -> Result<Value> {
    let process = process(spec, image, accounts, held)?;
    let privileged = spec.security.privileged;
    let mut linux = json!({
        "cgroupsPath": cgroup, "namespaces": namespaces(sandbox), "resources": resources(spec, privileged),
        "maskedPaths": if privileged { json!([]) } else { json!(MASKED) },
        "readonlyPaths": if privileged { json!([]) } else { json!(READ_ONLY) },
    });
    if privileged {
        linux["rootfsPropagation"] = "rslave".into();
    }
    Ok(json!({
        "ociVersion": "1.0.2", "process": process,
        "root": { "path": "rootfs", "readonly": spec.security.read_only_root },
        "mounts": mounts(spec, sandbox), "linux": linux,
    }))
}

fn process(spec: &ContainerSpec, image: &ImageConfig, accounts: &Accounts, held: &[String]) -> Result<Value> {
    let args = arguments(spec, image)?;
    let user = user(spec, image, accounts)?;
    let capabilities = capabilities(&spec.security, held);
    let mut process = json!({
        "terminal": spec.tty, "user": user, "args": args, "env": environment(spec, image), "cwd": working_dir(spec, image),
        "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
    });
    // A user who is not root keeps only what the bounding set allows a file to give.
    if user["uid"] != 0 && !spec.security.privileged {
        process["capabilities"]["effective"] = json!([]);
        process["capabilities"]["permitted"] = json!([]);
    }
    // Written out as false, loading a seccomp profile fails; left out, it means the same.
    if !spec.security.allow_privilege_escalation {
        process["noNewPrivileges"] = true.into();
    }
    if spec.oom_score_adj >= 0 {
        process["oomScoreAdj"] = spec.oom_score_adj.into();
    }
    match spec.security.seccomp.as_str() {
        "" | "Unconfined" => Ok(process),
        other => Err(RuntimeError::new("CreateContainerError", format!("seccomp profile {other} is not implemented by this node yet"))),
    }
}

/// `command` replaces the image's ENTRYPOINT and drops its CMD; `args` replaces its CMD.
fn arguments(spec: &ContainerSpec, image: &ImageConfig) -> Result<Vec<String>> {
    let (mut command, args) = match (spec.command.is_empty(), spec.args.is_empty()) {
        (false, _) => (spec.command.clone(), spec.args.clone()),
        (true, false) => (image.entrypoint.clone(), spec.args.clone()),
        (true, true) => (image.entrypoint.clone(), image.cmd.clone()),
    };
    command.extend(args);
    if command.is_empty() {
        return Err(RuntimeError::new("RunContainerError", "no command specified: neither the pod nor the image says what to run"));
    }
    Ok(command)
}

fn environment(spec: &ContainerSpec, image: &ImageConfig) -> Vec<String> {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_string();
    let given: Vec<String> = spec.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut all: Vec<String> = image.env.iter().filter(|e| !spec.env.iter().any(|(k, _)| *k == name(e))).cloned().collect();
    if !all.iter().chain(&given).any(|e| name(e) == "PATH") {
        all.insert(0, DEFAULT_PATH.into());
    }
    if spec.tty && !all.iter().chain(&given).any(|e| name(e) == "TERM") {
        all.push("TERM=xterm".into());
    }
    all.extend(given);
    all
}

fn working_dir<'a>(spec: &'a ContainerSpec, image: &'a ImageConfig) -> &'a str {
    [spec.working_dir.as_str(), image.working_dir.as_str()].into_iter().find(|d| !d.is_empty()).unwrap_or("/")
}

fn user(spec: &ContainerSpec, image: &ImageConfig, accounts: &Accounts) -> Result<Value> {
    let security = &spec.security;
    let (name, group) = image.user.split_once(':').unwrap_or((&image.user, ""));
    let account = |wanted: &dyn Fn(&str, u32) -> bool| {
        accounts.passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let (uid, gid): (u32, u32) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
            wanted(fields.first()?, uid).then_some((uid, gid, fields.first()?.to_string()))
        })
    };
    let (uid, known) = match (security.run_as_user, name) {
        (Some(uid), _) => (uid, account(&|_, id| id == uid)),
        (None, "") => (0, account(&|_, id| id == 0)),
        (None, text) => match text.parse::<u32>() {
            Ok(uid) => (uid, account(&|_, id| id == uid)),
            Err(_) if security.run_as_non_root => {
                let text = format!("container has runAsNonRoot and image has non-numeric user ({text}), cannot verify user is non-root");
                return Err(RuntimeError::new("CreateContainerConfigError", text));
            }
            Err(_) => {
                let found = account(&|n, _| n == text);
                let uid = found.as_ref().map(|a| a.0);
                let missing =
                    || RuntimeError::new("RunContainerError", format!("unable to find user {text}: no matching entries in passwd file"));
                (uid.ok_or_else(missing)?, found)
            }
        },
    };
    if security.run_as_non_root && uid == 0 {
        return Err(RuntimeError::new("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"));
    }
    let group_id = |text: &str| text.parse::<u32>().ok().or_else(|| find_group(&accounts.group, text));
    let gid = match (security.run_as_group, group) {
        (Some(gid), _) => gid,
        (None, "") => known.as_ref().map_or(0, |a| a.1),
        (None, text) => group_id(text).ok_or_else(|| RuntimeError::new("RunContainerError", format!("unable to find group {text}")))?,
    };
    let mut groups: Vec<u32> = known.map(|a| groups_of(&accounts.group, &a.2)).unwrap_or_default();
    groups.extend(&security.supplemental_groups);
    groups.extend(security.fs_group);
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    Ok(json!({ "uid": uid, "gid": gid, "additionalGids": groups }))
}

fn find_group(text: &str, name: &str) -> Option<u32> {
    text.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f.first() == Some(&name)).and_then(|f| f.get(2)?.parse().ok())
}

fn groups_of(text: &str, member: &str) -> Vec<u32> {
    let lines = text.lines().map(|l| l.split(':').collect::<Vec<_>>());
    lines.filter(|f| f.get(3).is_some_and(|m| m.split(',').any(|n| n == member))).filter_map(|f| f.get(2)?.parse().ok()).collect()
}

/// The default set, changed by the pod, cut down to what we hold ourselves.
fn capabilities(security: &Security, held: &[String]) -> Vec<String> {
    if security.privileged {
        return held.to_vec();
    }
    let plain = |name: &String| name.trim_start_matches("CAP_").to_ascii_uppercase();
    let (add, drop): (Vec<String>, Vec<String>) =
        (security.add_capabilities.iter().map(plain).collect(), security.drop_capabilities.iter().map(plain).collect());
    let all = |list: &[String]| list.iter().any(|c| c == "ALL");
    let wanted = |name: &str| {
        let named = add.iter().any(|c| c == name);
        let by_default = CAPABILITIES.contains(&name) && !all(&drop) && !drop.iter().any(|c| c == name);
        named || by_default || (all(&add) && !drop.iter().any(|c| c == name))
    };
    held.iter().filter(|cap| wanted(cap.trim_start_matches("CAP_"))).cloned().collect()
}

fn namespaces(sandbox: &SandboxPaths) -> Value {
    let mut list = vec![json!({ "type": "mount" })];
    for (kind, path) in [("network", &sandbox.net), ("ipc", &sandbox.ipc), ("uts", &sandbox.uts)] {
        if let Some(path) = path {
            list.push(json!({ "type": kind, "path": path }));
        }
    }
    match &sandbox.pid {
        PidNamespace::Own => list.push(json!({ "type": "pid" })),
        PidNamespace::Shared(path) => list.push(json!({ "type": "pid", "path": path })),
        PidNamespace::Host => {}
    }
    list.into()
}

/// Limits as upstream's kubelet derives them: shares from requests, quota from limits over 100 ms.
fn resources(spec: &ContainerSpec, privileged: bool) -> Value {
    let limits = &spec.limits;
    let request = if limits.cpu_request_milli == 0 { limits.cpu_limit_milli } else { limits.cpu_request_milli };
    let mut cpu = json!({ "shares": (request * 1024 / 1000).clamp(2, 262_144) });
    if limits.cpu_limit_milli > 0 {
        cpu["period"] = 100_000.into();
        cpu["quota"] = (limits.cpu_limit_milli * 100).max(1000).into();
    }
    let mut resources = json!({ "cpu": cpu, "devices": [{ "allow": privileged, "access": "rwm" }] });
    if limits.memory_limit > 0 {
        resources["memory"] = json!({ "limit": limits.memory_limit });
    }
    if limits.pids > 0 {
        resources["pids"] = json!({ "limit": limits.pids });
    }
    resources
}

fn mounts(spec: &ContainerSpec, sandbox: &SandboxPaths) -> Value {
    let write = if spec.security.privileged { "rw" } else { "ro" };
    let mut list = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] }),
        json!({ "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", write] }),
    ];
    let shared = [
        (&sandbox.shm, "/dev/shm", false),
        (&sandbox.hosts, "/etc/hosts", spec.security.read_only_root),
        (&sandbox.resolv_conf, "/etc/resolv.conf", spec.security.read_only_root),
        (&sandbox.hostname, "/etc/hostname", spec.security.read_only_root),
    ];
    for (source, destination, read_only) in shared {
        let taken = spec.mounts.iter().any(|m| m.destination == destination);
        if !source.as_os_str().is_empty() && !taken {
            list.push(bind(&Mount { source: source.clone(), destination: destination.into(), read_only, propagation: String::new() }));
        }
    }
    if !spec.termination_path.is_empty() && !spec.termination_file.as_os_str().is_empty() {
        let (source, destination) = (spec.termination_file.clone(), spec.termination_path.clone());
        list.push(bind(&Mount { source, destination, ..Default::default() }));
    }
    // A mount may lie inside of another one: outer ones first.
    let mut volumes: Vec<&Mount> = spec.mounts.iter().collect();
    volumes.sort_by_key(|m| m.destination.matches('/').count());
    list.extend(volumes.into_iter().map(bind));
    list.into()
}

fn bind(mount: &Mount) -> Value {
    let propagation = match mount.propagation.as_str() {
        "HostToContainer" => "rslave",
        "Bidirectional" => "rshared",
        _ => "rprivate",
    };
    let access = if mount.read_only { "ro" } else { "rw" };
    json!({ "destination": mount.destination, "type": "bind", "source": mount.source, "options": ["rbind", propagation, access] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageConfig {
        let text = |list: &[&str]| list.iter().map(|t| t.to_string()).collect();
        ImageConfig { entrypoint: text(&["/entry"]), cmd: text(&["serve"]), env: text(&["A=1", "B=2"]), ..Default::default() }
    }

    #[test]
    fn command_and_args_replace_what_upstream_says_they_replace() {
        let args = |command: &[&str], args: &[&str]| {
            let text = |list: &[&str]| list.iter().map(|t| t.to_string()).collect();
            arguments(&ContainerSpec { command: text(command), args: text(args), ..Default::default() }, &image()).unwrap().join(" ")
        };
        assert_eq!(args(&[], &[]), "/entry serve");
        assert_eq!(args(&[], &["x"]), "/entry x");
        assert_eq!(args(&["/c"], &[]), "/c");
        assert_eq!(args(&["/c"], &["x"]), "/c x");
    }

    #[test]
    fn users_are_looked_up_and_root_is_refused_where_it_must_be() {
        let accounts = Accounts { passwd: "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n".into(), group: "extra:x:50:web\n".into() };
        let image = ImageConfig { user: "web".into(), ..image() };
        let found = user(&ContainerSpec::default(), &image, &accounts).unwrap();
        assert_eq!(found, json!({ "uid": 33, "gid": 34, "additionalGids": [34, 50] }));
        let strict = ContainerSpec { security: Security { run_as_non_root: true, ..Default::default() }, ..Default::default() };
        let refused = user(&strict, &ImageConfig::default(), &accounts).unwrap_err();
        assert_eq!(refused.message, "container has runAsNonRoot and image will run as root");
    }

    #[test]
    fn capabilities_follow_add_drop_and_what_we_hold() {
        let held: Vec<String> = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN"].map(String::from).to_vec();
        let caps = |add: &[&str], drop: &[&str]| {
            let text = |list: &[&str]| list.iter().map(|t| t.to_string()).collect();
            capabilities(&Security { add_capabilities: text(add), drop_capabilities: text(drop), ..Default::default() }, &held).join(" ")
        };
        assert_eq!(caps(&[], &[]), "CAP_CHOWN CAP_KILL");
        assert_eq!(caps(&["NET_ADMIN", "SYS_ADMIN"], &["KILL"]), "CAP_CHOWN CAP_NET_ADMIN");
        assert_eq!(caps(&["CAP_KILL"], &["ALL"]), "CAP_KILL");
    }
}
