//! The ways to other nodes' pods: plain routes, or VXLAN as flannel lays it out.
//!
//! Over VXLAN each node has one device whose Ethernet address follows from the node's IP address and which carries the first address
//! of the node's pod range. So a peer's range and IP address are all that is needed for the route, the neighbour and the forwarding entry.
use super::netns::{delete_link, errno, link_index, refused, tolerate};
use super::{Backend, Cidr, NetworkConfig, NetworkError, Result};
use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol};
use rtnetlink::{Handle, LinkUnspec, LinkVxlan, RouteMessageBuilder};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr};

/// Bytes that VXLAN over IPv4 adds to a packet.
const OVERHEAD: u32 = 50;
/// Marks routes as ours, so that they are found again; a number without a meaning of its own.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(173);

/// The VXLAN device's name.
fn device_name(config: &NetworkConfig) -> String {
    let hash = hex::encode(Sha256::digest(&config.bridge));
    format!("vxlan{}", hash.get(..10).unwrap_or_default())
}

/// A locally administered Ethernet address that every node can work out.
fn device_address(node_ip: Ipv4Addr) -> Vec<u8> {
    [0x02, 0x58].into_iter().chain(node_ip.octets()).collect()
}

/// Sets the route, and for VXLAN what goes with it; replaces what another address of the same node needed.
pub(crate) async fn ensure(handle: &Handle, config: &NetworkConfig, pods: Cidr, node_ip: Ipv4Addr) -> Result<()> {
    let plain = config.backend == Backend::HostGateway && on_link(handle, config, node_ip).await?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(pods.network(), pods.len()).protocol(PROTOCOL);
    let route = match plain {
        true => route.gateway(node_ip).build(),
        false => {
            let device = ensure_device(handle, config).await?;
            tunnel_to(handle, device, pods, node_ip).await?;
            route.gateway(pods.network()).output_interface(device).onlink().build()
        }
    };
    handle.route().add(route).replace().execute().await.map_err(refused(&format!("set the route to {pods} by {node_ip}")))
}

/// Is the address on a network that an interface of ours is on?
async fn on_link(handle: &Handle, config: &NetworkConfig, node_ip: Ipv4Addr) -> Result<bool> {
    let bridge = link_index(handle, &config.bridge).await?;
    let mut addresses = handle.address().get().execute();
    while let Some(address) = addresses.try_next().await.map_err(refused("list addresses"))? {
        if Some(address.header.index) == bridge || address.header.prefix_len >= 32 {
            continue;
        }
        let covers = |attribute: &AddressAttribute| match attribute {
            AddressAttribute::Address(IpAddr::V4(own)) => {
                Cidr::new(*own, address.header.prefix_len).is_some_and(|net| net.contains(node_ip))
            }
            _ => false,
        };
        if address.attributes.iter().any(covers) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn ensure_device(handle: &Handle, config: &NetworkConfig) -> Result<u32> {
    let name = device_name(config);
    if link_index(handle, &name).await?.is_none() {
        let device = LinkVxlan::new(&name, config.vxlan_id).port(config.vxlan_port).local(config.node_ip).learning(false);
        let mtu = if config.backend == Backend::Vxlan { config.pod_mtu() } else { config.pod_mtu().saturating_sub(OVERHEAD) };
        let device = device.address(device_address(config.node_ip)).mtu(mtu).build();
        tolerate(handle.link().add(device).execute().await, &[libc::EEXIST], &format!("create interface {name}"))?;
    }
    let index = link_index(handle, &name).await?.ok_or_else(|| NetworkError::io(&name, "vanished"))?;
    let address = handle.address().add(index, IpAddr::V4(config.pod_cidr.network()), 32).replace().execute().await;
    tolerate(address, &[libc::EEXIST], &format!("give {name} its address"))?;
    handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await.map_err(refused(&format!("set up {name}")))?;
    Ok(index)
}

async fn tunnel_to(handle: &Handle, device: u32, pods: Cidr, node_ip: Ipv4Addr) -> Result<()> {
    let far = device_address(node_ip);
    let neighbour = handle.neighbours().add(device, IpAddr::V4(pods.network())).link_layer_address(&far).replace();
    neighbour.execute().await.map_err(refused(&format!("set the neighbour of {pods}")))?;
    let forwarding = handle.neighbours().add_bridge(device, &far).flags(NeighbourFlags::Own).destination(IpAddr::V4(node_ip)).replace();
    forwarding.execute().await.map_err(refused(&format!("set the tunnel to {node_ip}")))
}

/// Takes back the route and the tunnel to one peer.
pub(crate) async fn remove(handle: &Handle, config: &NetworkConfig, pods: Cidr, node_ip: Ipv4Addr) -> Result<()> {
    for route in routes(handle).await? {
        if destination(&route) == Some(pods) {
            delete_route(handle, route).await?;
        }
    }
    let Some(device) = link_index(handle, &device_name(config)).await? else { return Ok(()) };
    let far = device_address(node_ip);
    for family in [libc::AF_INET, libc::AF_BRIDGE] {
        let mut list = handle.neighbours().get().set_address_family((family as u8).into()).execute();
        let mut gone = Vec::new();
        while let Some(entry) = list.try_next().await.map_err(refused("list neighbours"))? {
            let ours = |attribute: &NeighbourAttribute| match attribute {
                NeighbourAttribute::LinkLayerAddress(found) => *found == far,
                NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => *found == pods.network(),
                _ => false,
            };
            if entry.header.ifindex == device && entry.attributes.iter().any(ours) {
                gone.push(entry);
            }
        }
        for entry in gone {
            tolerate(handle.neighbours().del(entry).execute().await, &[libc::ENOENT], "remove a neighbour")?;
        }
    }
    Ok(())
}

/// Takes back every route of ours in this cluster's range, and the device.
pub(crate) async fn purge(handle: &Handle, config: &NetworkConfig) -> Result<()> {
    for route in routes(handle).await? {
        if destination(&route).is_some_and(|to| config.cluster_cidr.contains(to.network())) {
            delete_route(handle, route).await?;
        }
    }
    delete_link(handle, &device_name(config)).await
}

async fn routes(handle: &Handle) -> Result<Vec<RouteMessage>> {
    let mut list = handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute();
    let mut found = Vec::new();
    while let Some(route) = list.try_next().await.map_err(refused("list routes"))? {
        if route.header.protocol == PROTOCOL {
            found.push(route);
        }
    }
    Ok(found)
}

fn destination(route: &RouteMessage) -> Option<Cidr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Cidr::new(*address, route.header.destination_prefix_length),
        _ => None,
    })
}

async fn delete_route(handle: &Handle, route: RouteMessage) -> Result<()> {
    match handle.route().del(route).execute().await {
        Err(e) if errno(&e) == Some(libc::ESRCH) => Ok(()),
        done => done.map_err(refused("remove a route")),
    }
}
