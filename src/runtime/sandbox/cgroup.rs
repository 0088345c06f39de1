//! The pod's cgroup, by the plain files of version 1 or 2. The tiers are upstream's: Guaranteed pods lie straight below the root.
use super::pause;
use crate::runtime::api::Limits;
use std::io;
use std::path::{Path, PathBuf};

const TIERS: [&str; 3] = ["", "burstable", "besteffort"];
/// Controllers that the pod's limits need.
const NEEDED: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];
/// Microseconds; the quota's period, the kernel's default.
const PERIOD: u64 = 100_000;

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq)]
struct Hierarchy {
    mount: PathBuf,
    /// Empty for version 2 and for named ones.
    controllers: Vec<String>,
    version: u8,
}

/// The machine's hierarchies and our place in them.
#[derive(Clone, Debug)]
pub(super) struct Cgroups {
    all: Vec<Hierarchy>,
    root: PathBuf,
}

impl Cgroups {
    /// Looks up what is mounted.
    pub fn find(root: PathBuf) -> io::Result<Cgroups> {
        let root = Path::new("/").join(root);
        if root.components().any(|part| part.as_os_str() == "..") || root == Path::new("/") {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no place for pods' cgroups", root.display())));
        }
        let all = parse(&std::fs::read_to_string("/proc/self/mountinfo")?);
        match all.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "no cgroup hierarchy is mounted")),
            false => Ok(Cgroups { all, root }),
        }
    }

    /// The pod's cgroup below each mount point.
    pub fn pod(&self, qos: &str, uid: &str) -> PathBuf {
        let tier = match qos {
            "Guaranteed" => "",
            "Burstable" => "burstable",
            _ => "besteffort",
        };
        self.root.join(tier).join(format!("pod{uid}"))
    }

    /// Makes the pod's cgroup with its limits.
    pub fn create(&self, qos: &str, uid: &str, limits: &Limits) -> io::Result<()> {
        let pod = self.pod(qos, uid);
        for hierarchy in self.limiting() {
            let place = below(&hierarchy.mount, &pod);
            if hierarchy.version == 2 {
                delegate(&hierarchy.mount, &pod)?;
            }
            std::fs::create_dir_all(&place)?;
            for (file, value) in settings(limits, hierarchy) {
                write_limit(&place.join(file), &value)?;
            }
        }
        Ok(())
    }

    /// Puts a process into a cgroup below the pod's.
    pub fn enter(&self, cgroup: &Path, pid: i32) -> io::Result<()> {
        for hierarchy in self.limiting() {
            let place = below(&hierarchy.mount, cgroup);
            std::fs::create_dir_all(&place)?;
            std::fs::write(place.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// Removes the pod's cgroup from every hierarchy, whatever its tier was.
    pub fn remove(&self, uid: &str) -> io::Result<()> {
        for hierarchy in &self.all {
            for tier in TIERS {
                let tier = below(&hierarchy.mount, &self.root.join(tier));
                let pod = tier.join(format!("pod{uid}"));
                if pod.is_dir() {
                    remove_tree(&pod)?;
                }
            }
        }
        Ok(())
    }

    /// The hierarchies where limits are set: version 1's controllers, or version 2 where it has them.
    fn limiting(&self) -> impl Iterator<Item = &Hierarchy> {
        let needed = |h: &Hierarchy| h.controllers.iter().any(|c| NEEDED.contains(&c.as_str()));
        let first = self.all.iter().any(needed);
        self.all.iter().filter(move |h| if first { needed(h) } else { h.version == 2 })
    }
}

fn below(mount: &Path, cgroup: &Path) -> PathBuf {
    mount.join(cgroup.strip_prefix("/").unwrap_or(cgroup))
}

/// Cgroup mounts of a `mountinfo` table. A hierarchy mounted twice counts once.
fn parse(table: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(mount) = left.split(' ').nth(4) else { continue };
        let mut right = right.split(' ');
        let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
        let options: Vec<String> = options.split(',').map(str::to_owned).collect();
        let hierarchy = match kind {
            Some("cgroup2") => Hierarchy { mount: mount.into(), controllers: Vec::new(), version: 2 },
            Some("cgroup") => Hierarchy { mount: mount.into(), controllers: options, version: 1 },
            _ => continue,
        };
        if !found.iter().any(|known| known.version == hierarchy.version && known.controllers == hierarchy.controllers) {
            found.push(hierarchy);
        }
    }
    found
}

/// The files and values for a pod's limits. The conversions are upstream's; a pod without a CPU request gets the least share.
fn settings(limits: &Limits, hierarchy: &Hierarchy) -> Vec<(&'static str, String)> {
    let shares = (limits.cpu_request_milli * 1024 / 1000).clamp(2, 262_144);
    let quota = (limits.cpu_limit_milli > 0).then(|| (limits.cpu_limit_milli * PERIOD / 1000).max(1000));
    let set = |value: u64| (value > 0).then(|| value.to_string());
    let v1 = |controller: &str| hierarchy.version == 1 && hierarchy.controllers.iter().any(|c| c == controller);
    let v2 = hierarchy.version == 2;
    let mut found = Vec::new();
    if v2 {
        found.push(("cpu.weight", (1 + (shares - 2) * 9999 / 262_142).to_string()));
        found.extend(quota.map(|quota| ("cpu.max", format!("{quota} {PERIOD}"))));
        found.extend(set(limits.memory_limit).map(|value| ("memory.max", value)));
    }
    if v1("cpu") {
        found.push(("cpu.shares", shares.to_string()));
        found.extend(quota.map(|quota| ("cpu.cfs_quota_us", quota.to_string())));
    }
    if v1("memory") {
        found.extend(set(limits.memory_limit).map(|value| ("memory.limit_in_bytes", value)));
    }
    if v2 || v1("pids") {
        found.extend(set(limits.pids).map(|value| ("pids.max", value)));
    }
    found
}

/// A limit that this host lacks or does not let us set is said, and the pod runs without it.
fn write_limit(path: &Path, value: &str) -> io::Result<()> {
    use io::ErrorKind::{NotFound, PermissionDenied};
    match std::fs::write(path, value) {
        Err(e) if matches!(e.kind(), NotFound | PermissionDenied) => {
            tracing::warn!(file = %path.display(), error = %e, "a cgroup limit could not be set");
            Ok(())
        }
        Err(e) => Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
        Ok(()) => Ok(()),
    }
}

/// Version 2: hands the controllers down to the pod's cgroup, level by level.
fn delegate(mount: &Path, pod: &Path) -> io::Result<()> {
    let mut levels: Vec<PathBuf> = pod.ancestors().skip(1).map(|level| below(mount, level)).collect();
    levels.reverse();
    for level in levels {
        std::fs::create_dir_all(&level)?;
        let available = std::fs::read_to_string(level.join("cgroup.controllers"))?;
        for controller in available.split_whitespace().filter(|c| matches!(*c, "cpu" | "cpuset" | "memory" | "pids" | "io")) {
            // Refused where the parent holds processes; the limit's own file tells later.
            let _ = std::fs::write(level.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    Ok(())
}

/// Kills what is in a cgroup and those below it, and removes them from the leaves up.
fn remove_tree(cgroup: &Path) -> io::Result<()> {
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ENODEV);
    let entries = match std::fs::read_dir(cgroup) {
        Err(e) if gone(&e) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match std::fs::read_to_string(cgroup.join("cgroup.procs")) {
        Ok(pids) => {
            for process in pids.lines().filter_map(|line| line.parse().ok()).filter_map(pause::open) {
                pause::kill_pinned(&process)?;
            }
        }
        Err(e) if gone(&e) => return Ok(()),
        Err(e) => return Err(e),
    }
    match std::fs::remove_dir(cgroup) {
        Err(e) if !gone(&e) => Err(io::Error::new(e.kind(), format!("{}: {e}", cgroup.display()))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_and_limits() {
        let hybrid = "30 1 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      31 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 1 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let cgroups = Cgroups { all: parse(hybrid), root: "/x".into() };
        assert_eq!(cgroups.limiting().count(), 2);
        let unified = Cgroups { all: parse("30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), root: "/x".into() };
        let limits = Limits { cpu_request_milli: 500, cpu_limit_milli: 1500, memory_limit: 1 << 20, pids: 9, ..Limits::default() };
        let text = |s: &[(&str, &str)]| s.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>();
        let of = |h: &Hierarchy| settings(&limits, h).into_iter().map(|(a, b)| (a.to_string(), b)).collect::<Vec<_>>();
        let v2 = text(&[("cpu.weight", "20"), ("cpu.max", "150000 100000"), ("memory.max", "1048576"), ("pids.max", "9")]);
        assert_eq!(of(&unified.all[0]), v2);
        assert_eq!(of(&cgroups.all[0]), text(&[("cpu.shares", "512"), ("cpu.cfs_quota_us", "150000")]));
        assert_eq!(cgroups.pod("Burstable", "u"), Path::new("/x/burstable/podu"));
        assert!(Cgroups::find("../..".into()).is_err() && Cgroups::find("/".into()).is_err());
    }
}
