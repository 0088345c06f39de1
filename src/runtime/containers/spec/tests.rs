use super::*;
use crate::runtime::api::{Limits, Mount, Security};
use oci_spec::runtime::Capability;

fn host() -> Host {
    Host { bounding: [Capability::Chown, Capability::NetRaw, Capability::SysAdmin].into_iter().collect(), devices: Vec::new() }
}

fn sandbox() -> SandboxPaths {
    let path = |name: &str| Some(PathBuf::from(format!("/run/pod/{name}")));
    SandboxPaths {
        net: path("net"),
        ipc: path("ipc"),
        uts: path("uts"),
        shm: path("shm"),
        hosts: path("hosts"),
        pod_cgroup: "/impresario/burstable/podu".into(),
        ..SandboxPaths::default()
    }
}

fn image() -> ImageConfig {
    ImageConfig {
        entrypoint: vec!["/entry".into()],
        cmd: vec!["default".into()],
        env: vec!["PATH=/bin".into(), "A=image".into()],
        ..ImageConfig::default()
    }
}

fn built(spec: &ContainerSpec) -> Spec {
    build(spec, &image(), &UserFiles::default(), Path::new("/rootfs"), &sandbox(), &host()).expect("a valid spec")
}

fn args(spec: ContainerSpec) -> Vec<String> {
    built(&spec).process().as_ref().and_then(|p| p.args().clone()).unwrap_or_default()
}

#[test]
fn command_and_args_follow_upstreams_table() {
    let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let with = |command: &[&str], a: &[&str]| args(ContainerSpec { command: words(command), args: words(a), ..Default::default() });
    assert_eq!(with(&[], &[]), ["/entry", "default"]);
    assert_eq!(with(&[], &["x"]), ["/entry", "x"]);
    assert_eq!(with(&["c"], &[]), ["c"]);
    assert_eq!(with(&["c"], &["x"]), ["c", "x"]);
    let nothing = build(
        &ContainerSpec::default(),
        &ImageConfig::default(),
        &UserFiles::default(),
        Path::new("/"),
        &SandboxPaths::default(),
        &Host::default(),
    );
    assert!(matches!(nothing, Err(SpecError::NoCommand)));
}

#[test]
fn the_pods_variables_win() {
    let spec = ContainerSpec { env: vec![("A".into(), "pod".into()), ("B".into(), "x=y".into())], ..Default::default() };
    let env = built(&spec).process().as_ref().and_then(|p| p.env().clone()).unwrap_or_default();
    assert_eq!(env, ["PATH=/bin", "A=pod", "B=x=y", "HOME=/"]);
}

#[test]
fn namespaces_cgroup_and_privileges() {
    let spec = ContainerSpec { id: "u-app-0".into(), ..Default::default() };
    let oci = built(&spec);
    let linux = oci.linux().clone().expect("linux");
    assert_eq!(linux.cgroups_path().as_deref(), Some(Path::new("/impresario/burstable/podu/u-app-0")));
    let joined = linux.namespaces().iter().flatten().filter(|n| n.path().is_some()).count();
    assert_eq!((linux.namespaces().as_ref().map(Vec::len), joined), (Some(5), 3));
    assert_eq!(oci.process().as_ref().and_then(|p| p.no_new_privileges()), Some(true));
    assert!(linux.seccomp().is_none());

    let open = Security { allow_privilege_escalation: true, ..Default::default() };
    assert_eq!(built(&ContainerSpec { security: open, ..Default::default() }).process().as_ref().and_then(|p| p.no_new_privileges()), None);

    let privileged = Security { privileged: true, seccomp: "RuntimeDefault".into(), ..Default::default() };
    let oci = built(&ContainerSpec { security: privileged, ..Default::default() });
    let linux = oci.linux().clone().expect("linux");
    assert_eq!(linux.masked_paths().as_deref(), Some(&[] as &[String]));
    assert!(linux.seccomp().is_none());
    let caps = oci.process().as_ref().and_then(|p| p.capabilities().clone()).expect("capabilities");
    assert_eq!(caps.effective().as_ref(), Some(&host().bounding));
}

#[test]
fn volumes_come_outer_first_and_replace_standard_mounts() {
    let mount = |destination: &str| Mount { source: "/src".into(), destination: destination.into(), ..Default::default() };
    let spec = ContainerSpec { mounts: vec![mount("/a/b"), mount("/a"), mount("/dev/shm")], ..Default::default() };
    let oci = built(&spec);
    let places: Vec<String> = oci.mounts().iter().flatten().map(|m| m.destination().display().to_string()).collect();
    assert_eq!(places.iter().filter(|p| *p == "/dev/shm").count(), 1);
    let at = |p: &str| places.iter().position(|q| q == p);
    assert!(at("/a") < at("/a/b"));
    let climbing = ContainerSpec { mounts: vec![mount("/a/../..")], ..Default::default() };
    assert!(matches!(
        build(&climbing, &image(), &UserFiles::default(), Path::new("/"), &sandbox(), &host()),
        Err(SpecError::Destination(_))
    ));
}

#[test]
fn limits_become_resources() {
    let limits = Limits { cpu_request_milli: 250, cpu_limit_milli: 500, memory_limit: 1 << 20, pids: 99, ..Default::default() };
    let oci = built(&ContainerSpec { limits, ..Default::default() });
    let resources = oci.linux().as_ref().and_then(|l| l.resources().clone()).expect("resources");
    let cpu = resources.cpu().clone().expect("cpu");
    assert_eq!((cpu.shares(), cpu.quota(), cpu.period()), (Some(256), Some(50_000), Some(100_000)));
    assert_eq!(resources.memory().as_ref().and_then(|m| m.limit()), Some(1 << 20));
    assert_eq!(resources.pids().as_ref().map(|p| p.limit()), Some(99));
}
