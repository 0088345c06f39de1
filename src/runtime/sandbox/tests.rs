//! With the real kernel, as root: the node is a network namespace made for the test.
use super::*;
use crate::runtime::api::{Dns, Limits};
use crate::runtime::network::{NetworkConfig, in_netns};
use std::process::Command;

struct Node {
    dir: tempfile::TempDir,
    cgroup: String,
}

impl Node {
    fn new(name: &str) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let pin = dir.path().join("node");
        std::fs::write(&pin, "").unwrap();
        let make = move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let flags = nix::mount::MsFlags::MS_BIND;
            nix::mount::mount(Some("/proc/thread-self/ns/net"), &pin, None::<&str>, flags, None::<&str>).unwrap();
        };
        std::thread::spawn(make).join().unwrap();
        Node { dir, cgroup: format!("impresario-test-{name}-{}", std::process::id()) }
    }

    async fn sandboxes(&self) -> Sandboxes {
        let config = NetworkConfig {
            netns: Some(self.dir.path().join("node")),
            ..NetworkConfig::new(
                "sbx0",
                "10.241.1.0/24".parse().unwrap(),
                "10.241.0.0/16".parse().unwrap(),
                std::net::Ipv4Addr::new(192, 0, 2, 1),
                self.dir.path().join("net"),
            )
        };
        let network = Arc::new(Network::new(config).await.unwrap());
        Sandboxes::new(self.dir.path().join("sandboxes"), network, &self.cgroup, "/bin/false".into()).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = mounts::unmount_below(self.dir.path());
    }
}

fn spec(uid: &str) -> SandboxSpec {
    SandboxSpec {
        uid: uid.into(),
        hostname: format!("host-{uid}"),
        qos: "Burstable".into(),
        limits: Limits { memory_limit: 64 << 20, pids: 50, ..Limits::default() },
        dns: Dns { servers: vec!["10.96.0.10".into()], ..Dns::default() },
        sysctls: [("net.ipv4.ip_unprivileged_port_start".to_owned(), "80".to_owned())].into(),
        ..SandboxSpec::default()
    }
}

#[tokio::test]
async fn sandboxes_live_through_a_restart() {
    let node = Node::new("restart");
    let sandboxes = node.sandboxes().await;
    let one = sandboxes.create(spec("one")).await.unwrap();
    let started = std::time::Instant::now();
    let two = sandboxes.create(spec("two")).await.unwrap();
    println!("create: {:?}", started.elapsed());
    assert_eq!(sandboxes.create(spec("one")).await.unwrap(), one, "creating again answers with what is there");
    let paths = sandboxes.paths("one").unwrap();
    assert_eq!(paths.cgroup, Path::new("/").join(&node.cgroup).join("burstable/podone"));
    let ping = format!("{}", two.ips[0]);
    let reached = in_netns(paths.net.as_deref().unwrap(), move || Command::new("ping").args(["-c1", "-W2", &ping]).status()).unwrap();
    assert!(reached.success());
    let port = in_netns(paths.net.as_deref().unwrap(), || std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start"));
    assert_eq!(port.unwrap().trim(), "80");
    let mount = std::fs::read_to_string(&paths.hosts).unwrap();
    assert!(mount.contains(&format!("{}\thost-one\n", one.ips[0])));
    assert!(!pods_cgroups(&paths.cgroup).is_empty());
    drop(sandboxes);

    let sandboxes = node.sandboxes().await;
    let mut listed = sandboxes.list().await.unwrap();
    listed.sort_by(|a, b| a.spec.uid.cmp(&b.spec.uid));
    assert_eq!(listed, [one, two]);
    std::fs::create_dir_all(node.dir.path().join("sandboxes/unfinished/ns")).unwrap();
    assert_eq!(sandboxes.list().await.unwrap().len(), 2);
    assert!(!node.dir.path().join("sandboxes/unfinished").exists());
    for uid in ["one", "two", "two", "never"] {
        sandboxes.remove(uid).await.unwrap();
    }
    assert!(sandboxes.list().await.unwrap().is_empty() && sandboxes.paths("one").is_none());
    assert!(pods_cgroups(&paths.cgroup).is_empty());
    remove_root(&node.cgroup);
}

#[tokio::test]
async fn the_nodes_network_and_failures() {
    let node = Node::new("host");
    let sandboxes = node.sandboxes().await;
    let host = SandboxSpec { host_network: true, host_ipc: true, sysctls: Default::default(), ..spec("host") };
    let made = sandboxes.create(host).await.unwrap();
    assert_eq!(made.ips, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    let paths = sandboxes.paths("host").unwrap();
    assert_eq!((paths.net, paths.uts, paths.ipc, paths.shm), (None, None, None, PathBuf::from("/dev/shm")));
    // The program for the pause process is no such thing, so this fails late: everything made before must go.
    let failing = sandboxes.create(SandboxSpec { share_pid: true, ..spec("bad") }).await;
    assert!(failing.is_err());
    assert!(!node.dir.path().join("sandboxes/bad").exists());
    assert!(sandboxes.create(spec("../x")).await.is_err());
    sandboxes.remove("host").await.unwrap();
    remove_root(&node.cgroup);
}

fn pods_cgroups(cgroup: &Path) -> Vec<PathBuf> {
    let below = cgroup.strip_prefix("/").unwrap();
    let mounts = ["cpu", "memory", "pids", "unified", ""].map(|name| Path::new("/sys/fs/cgroup").join(name).join(below));
    mounts.into_iter().filter(|path| path.is_dir()).collect()
}

fn remove_root(name: &str) {
    for mount in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
        let root = mount.unwrap().path().join(name);
        for place in [root.join("burstable"), root.join("besteffort"), root] {
            let _ = std::fs::remove_dir(place);
        }
    }
}
