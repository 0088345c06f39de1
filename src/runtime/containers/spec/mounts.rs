//! What a container sees mounted: the kernel's file systems, the pod's files, its volumes.
use super::{SandboxPaths, SpecError};
use crate::runtime::api::{ContainerSpec, Mount};
use oci_spec::runtime::{Mount as OciMount, MountBuilder};
use std::path::{Component, Path};

/// All mounts in the order they are made. A volume takes the place of a standard mount with the same destination.
pub fn mounts(spec: &ContainerSpec, sandbox: &SandboxPaths) -> Result<Vec<OciMount>, SpecError> {
    let mut volumes: Vec<&Mount> = spec.mounts.iter().collect();
    // Outer before inner, or the outer one would hide the inner one.
    volumes.sort_by_key(|m| Path::new(&m.destination).components().count());
    let volumes = volumes.into_iter().map(volume).collect::<Result<Vec<_>, _>>()?;
    let taken = |m: &OciMount| volumes.iter().any(|v| v.destination() == m.destination());
    let mut all: Vec<OciMount> = standard(spec.security.privileged, sandbox)?;
    all.extend(pod_files(spec, sandbox)?);
    all.retain(|m| !taken(m));
    all.extend(volumes);
    Ok(all)
}

fn standard(privileged: bool, sandbox: &SandboxPaths) -> Result<Vec<OciMount>, SpecError> {
    let access = if privileged { "rw" } else { "ro" };
    let strict = ["nosuid", "noexec", "nodev"];
    let mut all = vec![
        kernel("/proc", "proc", &strict)?,
        kernel("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        kernel("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"])?,
        kernel("/dev/mqueue", "mqueue", &strict)?,
        kernel("/sys", "sysfs", &[strict.as_slice(), &[access]].concat())?,
        kernel("/sys/fs/cgroup", "cgroup", &[strict.as_slice(), &["relatime", access]].concat())?,
    ];
    match &sandbox.shm {
        Some(path) => all.push(bind(path, "/dev/shm", &["rbind", "rw", "rprivate"])?),
        None => all.push(kernel("/dev/shm", "tmpfs", &[strict.as_slice(), &["mode=1777", "size=65536k"]].concat())?),
    }
    Ok(all)
}

fn pod_files(spec: &ContainerSpec, sandbox: &SandboxPaths) -> Result<Vec<OciMount>, SpecError> {
    let mut all = Vec::new();
    // With a read-only root these files are read-only too, as upstream has it.
    let access = if spec.security.read_only_root { "ro" } else { "rw" };
    let files = [("/etc/hosts", &sandbox.hosts), ("/etc/resolv.conf", &sandbox.resolv_conf), ("/etc/hostname", &sandbox.hostname)];
    for (destination, source) in files {
        if let Some(source) = source {
            all.push(bind(source, destination, &["rbind", access, "rprivate"])?);
        }
    }
    if !spec.termination_path.is_empty() && !spec.termination_file.as_os_str().is_empty() {
        let destination = checked(&spec.termination_path)?;
        all.push(bind(&spec.termination_file, destination, &["rbind", "rw", "rprivate"])?);
    }
    Ok(all)
}

fn volume(mount: &Mount) -> Result<OciMount, SpecError> {
    let propagation = match mount.propagation.as_str() {
        "" | "None" => "rprivate",
        "HostToContainer" => "rslave",
        "Bidirectional" => "rshared",
        other => return Err(SpecError::Propagation(other.to_owned())),
    };
    let access = if mount.read_only { "ro" } else { "rw" };
    bind(&mount.source, checked(&mount.destination)?, &["rbind", access, propagation])
}

/// How the container's root hangs together with the host's mounts: just enough for what its volumes ask for.
pub fn root_propagation(mounts: &[Mount]) -> &'static str {
    let asked = |what: &str| mounts.iter().any(|m| m.propagation == what);
    if asked("Bidirectional") { "shared" } else { "slave" }
}

fn checked(destination: &str) -> Result<&str, SpecError> {
    let path = Path::new(destination);
    let climbs = path.components().any(|c| c == Component::ParentDir);
    if path.is_absolute() && !climbs { Ok(destination) } else { Err(SpecError::Destination(destination.to_owned())) }
}

fn kernel(destination: &str, kind: &str, options: &[&str]) -> Result<OciMount, SpecError> {
    let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
    Ok(MountBuilder::default().destination(destination).typ(kind).source(kind).options(options).build()?)
}

fn bind(source: &Path, destination: &str, options: &[&str]) -> Result<OciMount, SpecError> {
    let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
    Ok(MountBuilder::default().destination(destination).typ("bind").source(source).options(options).build()?)
}
