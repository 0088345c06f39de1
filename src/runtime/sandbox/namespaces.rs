//! A pod's namespaces, kept alive by bind mounts rather than by a process.
use super::{Result, SandboxError};
use crate::runtime::api::SandboxSpec;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{NSFS_MAGIC, statfs};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The pod's own namespaces by name. With the node's network comes the node's host name, as upstream has it.
fn wanted(spec: &SandboxSpec) -> Vec<(&'static str, CloneFlags)> {
    let mut wanted = Vec::new();
    if !spec.host_network {
        wanted.push(("net", CloneFlags::CLONE_NEWNET));
        wanted.push(("uts", CloneFlags::CLONE_NEWUTS));
    }
    if !spec.host_ipc {
        wanted.push(("ipc", CloneFlags::CLONE_NEWIPC));
    }
    wanted
}

/// Makes the namespaces in a thread that ends with it, and pins them to files in `dir`.
pub(super) fn pin(dir: &Path, spec: &SandboxSpec) -> io::Result<()> {
    let wanted = wanted(spec);
    for (name, _) in &wanted {
        File::create(dir.join(name))?;
    }
    let (dir, hostname) = (dir.to_owned(), spec.hostname.clone());
    let work = move || -> io::Result<()> {
        unshare(wanted.iter().fold(CloneFlags::empty(), |flags, (_, flag)| flags | *flag))?;
        for (name, flag) in &wanted {
            if *flag == CloneFlags::CLONE_NEWUTS {
                nix::unistd::sethostname(&hostname)?;
            }
            let source = PathBuf::from("/proc/thread-self/ns").join(name);
            mount(Some(&source), &dir.join(name), None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        }
        Ok(())
    };
    in_thread(work)
}

/// Are all of the spec's namespaces still pinned?
pub(super) fn all_pinned(dir: &Path, spec: &SandboxSpec) -> bool {
    wanted(spec).iter().all(|(name, _)| statfs(&dir.join(name)).is_ok_and(|found| found.filesystem_type() == NSFS_MAGIC))
}

/// Refuses sysctls that are not the pod's own to set.
pub(super) fn check_sysctls(spec: &SandboxSpec) -> Result<()> {
    for name in spec.sysctls.keys() {
        let refuse = |why| Err(SandboxError::Sysctl(name.clone(), why));
        let path = sysctl_path(name);
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return refuse("is no sysctl");
        }
        let (net, ipc) = (path.starts_with("net/"), is_ipc(&path));
        match (net, ipc) {
            (true, _) if spec.host_network => return refuse("sysctl not allowed with host net enabled"),
            (_, true) if spec.host_ipc => return refuse("sysctl not allowed with host ipc enabled"),
            (false, false) => return refuse("is not namespaced"),
            _ => {}
        }
    }
    Ok(())
}

fn is_ipc(path: &str) -> bool {
    path == "kernel/sem" || ["kernel/shm", "kernel/msg", "fs/mqueue/"].iter().any(|prefix| path.starts_with(prefix))
}

/// `net.ipv4.conf.eth0/1.x` style: whichever of dot and slash comes first separates, the other stands for a dot in a name.
fn sysctl_path(name: &str) -> String {
    match name.find(['.', '/']).and_then(|at| name.as_bytes().get(at)) {
        Some(b'/') => name.to_owned(),
        _ => name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
    }
}

/// Writes the spec's sysctls from inside the pod's namespaces.
pub(super) fn write_sysctls(dir: &Path, spec: &SandboxSpec) -> Result<()> {
    if spec.sysctls.is_empty() {
        return Ok(());
    }
    let (dir, wanted, sysctls) = (dir.to_owned(), wanted(spec), spec.sysctls.clone());
    let work = move || -> io::Result<()> {
        for (name, flag) in wanted {
            setns(File::open(dir.join(name))?, flag)?;
        }
        for (name, value) in sysctls {
            let path = Path::new("/proc/sys").join(sysctl_path(&name));
            std::fs::write(path, value).map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))?;
        }
        Ok(())
    };
    in_thread(work).map_err(|e| SandboxError::io("set sysctls", e))
}

fn in_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    std::thread::Builder::new().name("sandbox".into()).spawn(work)?.join().unwrap_or_else(|_| Err(io::Error::other("panic")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pods_own_sysctls() {
        let spec = |name: &str| SandboxSpec { sysctls: [(name.to_owned(), "1".to_owned())].into(), ..SandboxSpec::default() };
        for good in ["net.ipv4.ip_unprivileged_port_start", "kernel.shmmax", "net/ipv4/conf/eth0.1/forwarding"] {
            assert_eq!(check_sysctls(&spec(good)), Ok(()), "{good}");
        }
        for bad in ["vm.swappiness", "kernel.panic", "net.../../kernel.panic", "net//../kernel/panic", "", "net."] {
            assert!(check_sysctls(&spec(bad)).is_err(), "{bad}");
        }
        assert!(check_sysctls(&SandboxSpec { host_network: true, ..spec("net.core.somaxconn") }).is_err());
        assert_eq!(sysctl_path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
    }
}
