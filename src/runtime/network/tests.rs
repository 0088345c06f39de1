//! With the real kernel, as root: nodes and pods are network namespaces made for the test.
use super::*;
use std::process::Command;

/// A network namespace pinned to a file, gone with its owner.
struct Netns(PathBuf);

impl Netns {
    fn new(dir: &Path, name: &str) -> Netns {
        let path = dir.join(name);
        std::fs::write(&path, "").unwrap();
        let pin = path.clone();
        let make = move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let flags = nix::mount::MsFlags::MS_BIND;
            nix::mount::mount(Some("/proc/thread-self/ns/net"), &pin, None::<&str>, flags, None::<&str>).unwrap();
        };
        std::thread::spawn(make).join().unwrap();
        Netns(path)
    }

    fn run(&self, command: &str) -> bool {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let run = move || Command::new(&words[0]).args(&words[1..]).output().map(|output| output.status.success());
        in_netns(&self.0, run).unwrap()
    }

    fn pings(&self, address: impl std::fmt::Display) -> bool {
        self.run(&format!("ping -c1 -W2 {address}"))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

fn config(dir: &Path, node: &Netns, number: u8, backend: Backend) -> NetworkConfig {
    let pods = Cidr::new(Ipv4Addr::new(10, 240, number, 0), 24).unwrap();
    let state = dir.join(format!("state{number}"));
    let config = NetworkConfig::new("testbr0", pods, "10.240.0.0/16".parse().unwrap(), Ipv4Addr::new(192, 168, 90, number), state);
    NetworkConfig { netns: Some(node.0.clone()), backend, ..config }
}

#[tokio::test]
async fn pods_reach_each_other_and_keep_their_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let (node, a, b) = (Netns::new(dir.path(), "node"), Netns::new(dir.path(), "a"), Netns::new(dir.path(), "b"));
    let config = config(dir.path(), &node, 1, Backend::HostGateway);
    let network = Network::new(config.clone()).await.unwrap();
    let (ip_a, ip_b) = (network.attach(&a.0, "uid-a").await.unwrap(), network.attach(&b.0, "uid-b").await.unwrap());
    assert!(a.pings(ip_b) && b.pings(ip_a), "pods reach each other");
    assert!(a.pings(config.gateway()), "pods reach the gateway");
    assert!(a.pings("127.0.0.1"), "lo is up");
    drop(network);

    let network = Network::new(config.clone()).await.unwrap();
    assert_eq!(network.address("uid-b"), Some(ip_b), "a restarted agent knows the addresses");
    assert_eq!(network.attach(&a.0, "uid-a").await.unwrap(), ip_a, "attaching again changes nothing");
    assert!(a.pings(ip_b));
    network.detach("uid-b").await.unwrap();
    network.detach("uid-b").await.unwrap();
    assert!(!b.run("ip link show eth0"), "the interface went with the address");

    network.purge().await.unwrap();
    network.purge().await.unwrap();
    assert!(!node.run("ip link show testbr0") && !node.run("nft list table ip impresario-testbr0"));
}

#[tokio::test]
async fn nodes_reach_each_others_pods_by_route_and_by_vxlan() {
    for backend in [Backend::HostGateway, Backend::Vxlan] {
        let dir = tempfile::tempdir().unwrap();
        let names = ["node1", "node2", "pod1", "pod2"];
        let [node1, node2, pod1, pod2] = names.map(|name| Netns::new(dir.path(), name));
        connect(&node1, &node2);
        let configs = [config(dir.path(), &node1, 1, backend), config(dir.path(), &node2, 2, backend)];
        let [one, two] = [Network::new(configs[0].clone()).await.unwrap(), Network::new(configs[1].clone()).await.unwrap()];
        let (ip1, ip2) = (one.attach(&pod1.0, "p").await.unwrap(), two.attach(&pod2.0, "p").await.unwrap());
        assert!(!pod1.pings(ip2), "no way yet");
        for _ in 0..2 {
            one.ensure_peer(configs[1].pod_cidr, configs[1].node_ip).await.unwrap();
            two.ensure_peer(configs[0].pod_cidr, configs[0].node_ip).await.unwrap();
        }
        assert!(pod1.pings(ip2) && pod2.pings(ip1), "{backend:?}");
        assert!(node1.pings(ip2), "a node reaches another node's pod, {backend:?}");
        one.remove_peer(configs[1].pod_cidr, configs[1].node_ip).await.unwrap();
        one.remove_peer(configs[1].pod_cidr, configs[1].node_ip).await.unwrap();
        assert!(!pod1.pings(ip2), "{backend:?}");
        one.ensure_peer(configs[1].pod_cidr, configs[1].node_ip).await.unwrap();
        one.purge().await.unwrap();
        assert!(!node1.run("ip link show testbr0") && !node1.run("ip route get 10.240.2.2"));
    }
}

/// A cable between two nodes. `ip` knows namespaces by process or by name, so the pair is made by netlink with descriptors.
fn connect(one: &Netns, two: &Netns) {
    use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
    use std::os::fd::AsRawFd;
    let far = std::fs::File::open(&two.0).unwrap();
    let make = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            tokio::spawn(connection);
            let mut peer = rtnetlink::LinkUnspec::new_with_name("wire").build();
            peer.attributes.push(LinkAttribute::NetNsFd(far.as_raw_fd()));
            let pair = rtnetlink::LinkVeth::new("wire", "wire").set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).build();
            handle.link().add(pair).execute().await.map_err(std::io::Error::other)
        })
    };
    in_netns(&one.0, make).unwrap();
    for (node, number) in [(one, 1), (two, 2)] {
        assert!(node.run(&format!("ip addr add 192.168.90.{number}/24 dev wire")));
        assert!(node.run("ip link set wire up"));
    }
}
