//! cgroup paths and counters, for v1, hybrid and v2 hosts. libcontainer makes the containers' cgroups; this finds, reads and removes them.
use crate::runtime::api::{Limits, Usage};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cgroup file system that processes are accounted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// v1 controllers (`cpu`, `memory`, `name=systemd`, …); empty for v2.
    pub controllers: Vec<String>,
    pub mount: PathBuf,
    /// The part of the hierarchy that is mounted; `/` unless we live in a container ourselves.
    pub root: String,
}

/// The host's hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups(Vec<Hierarchy>);

impl Cgroups {
    /// Reads the host's mount table.
    pub fn detect() -> io::Result<Self> {
        Ok(Cgroups(parse_mountinfo(&fs::read_to_string("/proc/self/mountinfo")?)))
    }

    /// Whether v2 is all there is. On a hybrid host the controllers are v1's.
    pub fn unified(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|h| h.controllers.is_empty())
    }

    /// The directory of `path` in the hierarchy that has `controller` (on v2: the only one).
    pub fn directory(&self, controller: &str, path: &str) -> Option<PathBuf> {
        let unified = self.unified();
        let found = self.0.iter().find(|h| unified || h.controllers.iter().any(|c| c == controller))?;
        Some(found.mount.join(path.trim_start_matches('/')))
    }

    /// The directories of `path` in all hierarchies with controllers.
    pub fn directories(&self, path: &str) -> Vec<PathBuf> {
        let unified = self.unified();
        let kept = self.0.iter().filter(|h| unified || h.controllers.iter().any(|c| !c.starts_with("name=")));
        kept.map(|h| h.mount.join(path.trim_start_matches('/'))).collect()
    }

    /// The `cgroup.procs` files of the cgroups that a process is in, from the text of its `/proc/<pid>/cgroup`.
    pub fn procs_files(&self, proc_cgroup: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for line in proc_cgroup.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let wanted = self.0.iter().find(|h| match controllers {
                "" => h.controllers.is_empty(),
                list => list.split(',').any(|c| h.controllers.iter().any(|have| have == c)),
            });
            let Some(hierarchy) = wanted else { continue };
            let inside = match hierarchy.root.as_str() {
                "/" => path,
                root => path.strip_prefix(root).unwrap_or(path),
            };
            files.push(hierarchy.mount.join(inside.trim_start_matches('/')).join("cgroup.procs"));
        }
        files
    }

    /// Moves the calling process into `path`, making it where needed. Used by the shim for itself; a hierarchy that refuses is passed over.
    pub fn enter(&self, path: &str) {
        for controller in ["memory", "cpu", "pids"] {
            let Some(directory) = self.directory(controller, path) else { continue };
            let _ = fs::create_dir_all(&directory);
            let _ = fs::write(directory.join("cgroup.procs"), "0");
        }
    }

    /// How often the kernel's OOM killer struck in the cgroup.
    pub fn oom_kills(&self, path: &str) -> u64 {
        let file = if self.unified() { "memory.events" } else { "memory.oom_control" };
        let text = self.directory("memory", path).and_then(|d| fs::read_to_string(d.join(file)).ok());
        text.and_then(|t| keyed(&t, "oom_kill")).unwrap_or(0)
    }

    /// What the cgroup uses now. The working set is usage less inactive file pages, as upstream counts it.
    pub fn usage(&self, path: &str) -> io::Result<Usage> {
        let read = |controller: &str, file: &str| -> io::Result<String> {
            let directory =
                self.directory(controller, path).ok_or_else(|| io::Error::other(format!("no {controller} cgroup on this host")))?;
            fs::read_to_string(directory.join(file))
        };
        let number = |text: String| text.trim().parse::<u64>().map_err(io::Error::other);
        let pids = number(read("pids", "pids.current")?)?;
        let statistics = read("memory", "memory.stat")?;
        let (cpu_nanos, total, inactive) = if self.unified() {
            let cpu = keyed(&read("cpu", "cpu.stat")?, "usage_usec").unwrap_or(0).saturating_mul(1000);
            (cpu, number(read("memory", "memory.current")?)?, keyed(&statistics, "inactive_file"))
        } else {
            let cpu = number(read("cpuacct", "cpuacct.usage")?)?;
            (cpu, number(read("memory", "memory.usage_in_bytes")?)?, keyed(&statistics, "total_inactive_file"))
        };
        Ok(Usage { cpu_nanos, memory: total.saturating_sub(inactive.unwrap_or(0)), pids })
    }

    /// Kills everything in the cgroup. Returns whether it is empty afterwards.
    pub fn kill_all(&self, path: &str) -> bool {
        let mut empty = true;
        for directory in self.directories(path) {
            let Ok(text) = fs::read_to_string(directory.join("cgroup.procs")) else { continue };
            for pid in text.lines().filter_map(|l| l.parse::<i32>().ok()).filter(|p| *p > 0) {
                empty = false;
                // SAFETY: plain integers.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        empty
    }

    /// Removes a cgroup and all below it; those with processes in them stay.
    pub fn remove_tree(&self, path: &str) {
        self.directories(path).iter().for_each(|directory| remove_below(directory));
    }

    /// Removes the cgroup everywhere. Processes must be gone; `Err` names the directory that is still in use.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        for directory in self.directories(path) {
            match fs::remove_dir(&directory) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", directory.display()))),
            }
        }
        Ok(())
    }
}

/// Removes a directory of cgroups from its leaves up; those with processes in them stay.
fn remove_below(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_below(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(directory);
}

/// The cgroup of a pod: `/<root>/<tier>/pod<uid>`; Guaranteed pods stand directly below the root, as upstream has it.
pub fn pod_path(root: &str, qos: &str, pod_uid: &str) -> String {
    let root = root.trim_matches('/');
    match qos {
        "Burstable" => format!("/{root}/burstable/pod{pod_uid}"),
        "BestEffort" => format!("/{root}/besteffort/pod{pod_uid}"),
        _ => format!("/{root}/pod{pod_uid}"),
    }
}

/// `cpu.shares` for the limits, in upstream's arithmetic: 1,024 per core, at least 2; a missing request counts as the limit.
pub fn cpu_shares(limits: &Limits) -> u64 {
    let milli = if limits.cpu_request_milli == 0 { limits.cpu_limit_milli } else { limits.cpu_request_milli };
    (milli.saturating_mul(1024) / 1000).clamp(2, 262_144)
}

/// `cpu.cfs_quota_us` for a period of 100 ms, at least 1 ms; `None` without a limit.
pub fn cpu_quota(limits: &Limits) -> Option<i64> {
    match limits.cpu_limit_milli {
        0 => None,
        milli => Some(i64::try_from(milli.saturating_mul(100)).unwrap_or(i64::MAX).max(1000)),
    }
}

fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|l| l.split_once(' ').filter(|(k, _)| *k == key)?.1.trim().parse().ok())
}

fn parse_mountinfo(text: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let (Some(root), Some(mount)) = (left.get(3), left.get(4)) else { continue };
        let mut right = right.split(' ');
        let (kind, options) = (right.next(), right.nth(1).unwrap_or(""));
        let controllers = match kind {
            Some("cgroup2") => Vec::new(),
            Some("cgroup") => options
                .split(',')
                .filter(|o| !matches!(*o, "rw" | "ro" | "xattr" | "clone_children" | "noprefix"))
                .map(str::to_owned)
                .collect(),
            _ => continue,
        };
        // The same hierarchy can be mounted twice; the first mount is the usual place.
        if !found.iter().any(|h| h.controllers == controllers) {
            found.push(Hierarchy { controllers, mount: Path::new(mount).to_owned(), root: (*root).to_owned() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        31 25 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        32 25 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
        33 25 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn hybrid_uses_v1_controllers() {
        let c = Cgroups(parse_mountinfo(HYBRID));
        assert!(!c.unified());
        assert_eq!(c.directory("cpuacct", "/a/b"), Some("/sys/fs/cgroup/cpu/a/b".into()));
        assert_eq!(c.directory("pids", "/a"), None);
        assert_eq!(c.directories("/a").len(), 2);
        let procs = c.procs_files("9:memory:/k/x\n3:cpuacct,cpu:/k/x\n2:name=systemd:/\n0::/\n1:hugetlb:/k\n");
        assert_eq!(procs.len(), 4);
        assert_eq!(procs.first(), Some(&"/sys/fs/cgroup/memory/k/x/cgroup.procs".into()));
    }

    #[test]
    fn v2_alone_is_unified() {
        let c = Cgroups(parse_mountinfo("33 25 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"));
        assert!(c.unified());
        assert_eq!(c.directory("memory", "a"), Some("/sys/fs/cgroup/a".into()));
    }

    #[test]
    fn arithmetic_is_upstreams() {
        let limits = |request, limit| Limits { cpu_request_milli: request, cpu_limit_milli: limit, ..Limits::default() };
        assert_eq!([cpu_shares(&limits(0, 0)), cpu_shares(&limits(500, 0)), cpu_shares(&limits(0, 2000))], [2, 512, 2048]);
        assert_eq!([cpu_quota(&limits(0, 0)), cpu_quota(&limits(0, 250)), cpu_quota(&limits(0, 1))], [None, Some(25_000), Some(1000)]);
        assert_eq!(pod_path("impresario", "Burstable", "u"), "/impresario/burstable/podu");
        assert_eq!(pod_path("/impresario", "Guaranteed", "u"), "/impresario/podu");
    }
}
