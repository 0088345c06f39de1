use super::*;
use impresario::runtime::api::SandboxSpec;
use impresario::runtime::network::{Network, NetworkConfig, in_netns};
use impresario::runtime::sandbox::Sandboxes;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::sync::Arc;

/// Pins a new network namespace to a file; unmounted with its place.
fn node_netns(path: &Path) {
    std::fs::write(path, "").unwrap();
    let path = path.to_owned();
    let make = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let flags = nix::mount::MsFlags::MS_BIND;
        nix::mount::mount(Some("/proc/thread-self/ns/net"), &path, None::<&str>, flags, None::<&str>).unwrap();
    };
    std::thread::spawn(make).join().unwrap();
}

async fn sandboxes(place: &Place, cgroup: &str) -> Sandboxes {
    let node = place.path("node");
    if !node.exists() {
        node_netns(&node);
    }
    let (pods, all) = ("10.242.1.0/24".parse().unwrap(), "10.242.0.0/16".parse().unwrap());
    let config = NetworkConfig::new("kubia0", pods, all, std::net::Ipv4Addr::new(192, 0, 2, 1), place.path("net"));
    let network = Arc::new(Network::new(NetworkConfig { netns: Some(node), ..config }).await.unwrap());
    Sandboxes::new(place.path("sandboxes"), network, cgroup, env!("CARGO_BIN_EXE_impresario").into()).unwrap()
}

fn remove_cgroups(name: &str) {
    for mount in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
        let root = mount.unwrap().path().join(name);
        for place in [root.join("besteffort"), root] {
            let _ = std::fs::remove_dir(place);
        }
    }
}

#[tokio::test]
async fn the_built_in_image_answers_in_a_sandbox() {
    let place = Place::new();
    let image = place.images.find("luksa/kubia:v1").expect("the mirror rule leads to the built-in image");
    assert_eq!(image.names, ["impresario.local/kubia:latest"]);
    assert_eq!(place.images.pull("luksa/kubia", None).await.unwrap(), image, "no network is asked");
    assert_eq!(open(place.dir.path()).list(), std::slice::from_ref(&image), "made once");
    assert!(place.images.pull("impresario.local/other", None).await.is_err());

    let cgroup = format!("impresario-test-kubia-{}", std::process::id());
    let sandboxes = sandboxes(&place, &cgroup).await;
    let spec = SandboxSpec { uid: "kubia".into(), hostname: "kubia-abc".into(), ..SandboxSpec::default() };
    let sandbox = sandboxes.create(spec).await.unwrap();
    let paths = sandboxes.paths("kubia").unwrap();
    let root = place.images.rootfs(&image.id, &place.path("c")).unwrap();
    let entrypoint = place.images.config(&image.id).unwrap().entrypoint;
    let namespaces = [paths.net.clone().unwrap(), paths.uts.unwrap()].map(|path| std::fs::File::open(path).unwrap());
    let mut command = std::process::Command::new(&entrypoint[0]);
    let enter = move || {
        for namespace in &namespaces {
            nix::sched::setns(namespace, nix::sched::CloneFlags::empty())?;
        }
        nix::unistd::chroot(&root)?;
        nix::unistd::chdir("/").map_err(std::io::Error::from)
    };
    // SAFETY: only system calls between fork and exec.
    unsafe { command.pre_exec(enter) };
    let mut child = command.args(&entrypoint[1..]).env_clear().stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut started = [0; 24];
    child.stdout.as_mut().unwrap().read_exact(&mut started).unwrap();
    assert_eq!(&started, b"Kubia server starting...");
    let address = sandbox.ips[0];
    let answer = in_netns(&place.path("node"), move || {
        let mut stream = std::net::TcpStream::connect((address, 8080))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    });
    assert_eq!(answer.unwrap().matches("\r\n\r\nYou've hit kubia-abc\n").count(), 2);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "SIGTERM ends it");
    place.images.unmount_rootfs(&place.path("c")).unwrap();
    sandboxes.remove("kubia").await.unwrap();
    remove_cgroups(&cgroup);
}

#[tokio::test]
async fn a_shared_pid_namespace_outlives_the_agent() {
    let place = Place::new();
    let cgroup = format!("impresario-test-pause-{}", std::process::id());
    let first = sandboxes(&place, &cgroup).await;
    let spec = SandboxSpec { uid: "shared".into(), hostname: "h".into(), share_pid: true, ..SandboxSpec::default() };
    let sandbox = first.create(spec.clone()).await.unwrap();
    drop(first);
    let again = sandboxes(&place, &cgroup).await;
    assert_eq!(again.list().await.unwrap(), [sandbox]);
    let pinned = again.paths("shared").unwrap().pid.expect("a pid namespace");
    let join = std::fs::File::open(&pinned).unwrap();
    let mut command = std::process::Command::new("/bin/busybox");
    // SAFETY: one system call between fork and exec.
    unsafe { command.pre_exec(move || Ok(nix::sched::setns(&join, nix::sched::CloneFlags::CLONE_NEWPID)?)) };
    // The child of the one that entered is in the namespace: a shell asks for its own child's number.
    let output = command.args(["sh", "-c", "/bin/busybox sh -c 'echo $$'; true"]).output().unwrap();
    let pid: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert!((2..20).contains(&pid), "{pid}");
    again.remove("shared").await.unwrap();
    assert!(again.list().await.unwrap().is_empty());
    assert_eq!(again.create(spec).await.unwrap().spec.uid, "shared");
    again.remove("shared").await.unwrap();
    remove_cgroups(&cgroup);
}
