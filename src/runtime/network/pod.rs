//! A pod's interface.
use super::bridge::Links;
use super::netns::{NetThread, delete_link, errno, link_index, netlink_in, refused, tolerate};
use super::{NetworkConfig, NetworkError, Result};
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{Handle, LinkBridgePort, LinkUnspec, LinkVeth, RouteMessageBuilder};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::path::Path;

/// The host's end of a pod's pair: at most 15 bytes, the same for the same pod, another in another cluster on this machine.
pub(crate) fn host_name(bridge: &str, pod_uid: &str) -> String {
    let hash = hex::encode(Sha256::digest(format!("{bridge}/{pod_uid}")));
    format!("veth{}", hash.get(..11).unwrap_or_default())
}

/// An Ethernet address made from an IPv4 address, so that an address handed to a new pod does not meet a stale neighbour entry.
pub(crate) fn hardware_address(address: Ipv4Addr) -> Vec<u8> {
    [0x0a, 0x58].into_iter().chain(address.octets()).collect()
}

/// Makes the pair with its far end straight in the pod's namespace, then configures that end.
pub(crate) async fn attach(
    thread: &NetThread,
    config: &NetworkConfig,
    links: Links,
    netns: &Path,
    pod_uid: &str,
    address: Ipv4Addr,
) -> Result<()> {
    let pod = File::open(netns).map_err(|e| NetworkError::io(netns.display(), e))?;
    let (name, mtu) = (host_name(&config.bridge, pod_uid), config.pod_mtu());
    thread.run(move |handle| async move { pair(&handle, links, &name, pod, mtu, address).await }).await?;
    let (gateway, len) = (config.gateway(), config.pod_cidr.len());
    netlink_in(netns, move |handle| async move { configure(&handle, address, len, gateway).await }).await
}

async fn pair(handle: &Handle, links: Links, name: &str, pod: File, mtu: u32, address: Ipv4Addr) -> Result<()> {
    let message = || {
        let mut far = LinkUnspec::new_with_name("eth0").mtu(mtu).address(hardware_address(address)).build();
        far.attributes.push(LinkAttribute::NetNsFd(pod.as_raw_fd()));
        let near = LinkVeth::new(name, "eth0").set_info_data(InfoData::Veth(InfoVeth::Peer(far)));
        near.mtu(mtu).controller(links.bridge).up().build()
    };
    let what = format!("create interface {name}");
    if let Err(e) = handle.link().add(message()).execute().await {
        if errno(&e) != Some(libc::EEXIST) {
            return Err(refused(&what)(e));
        }
        // Left by an attempt that did not finish, perhaps into another namespace.
        delete_link(handle, name).await?;
        handle.link().add(message()).execute().await.map_err(refused(&what))?;
    }
    let near = link_index(handle, name).await?.ok_or_else(|| NetworkError::io(name, "vanished"))?;
    // A pod that reaches itself through its service sends and receives by the same port.
    let port = LinkBridgePort::new(near).hairpin(true).build();
    handle.link().set_port(port).execute().await.map_err(refused(&format!("set hairpin mode of {name}")))
}

async fn configure(handle: &Handle, address: Ipv4Addr, len: u8, gateway: Ipv4Addr) -> Result<()> {
    let index = async |name: &str| link_index(handle, name).await?.ok_or_else(|| NetworkError::io(name, "is not in the pod"));
    let (lo, eth0) = (index("lo").await?, index("eth0").await?);
    handle.link().set(LinkUnspec::new_with_index(lo).up().build()).execute().await.map_err(refused("set up lo"))?;
    let given = handle.address().add(eth0, IpAddr::V4(address), len).replace().execute().await;
    tolerate(given, &[libc::EEXIST], "give eth0 its address")?;
    handle.link().set(LinkUnspec::new_with_index(eth0).up().build()).execute().await.map_err(refused("set up eth0"))?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(eth0).build();
    handle.route().add(route).replace().execute().await.map_err(refused("set the pod's default route"))
}
