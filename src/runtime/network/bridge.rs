//! What a node's network has once: the bridge with the gateway's address, and forwarding switched on.
use super::netns::{errno, link_index, refused, tolerate};
use super::{NetworkConfig, NetworkError, Result};
use rtnetlink::{Handle, LinkBridge, LinkUnspec};
use std::net::IpAddr;

/// Interfaces that later jobs need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub bridge: u32,
}

/// Makes the bridge or takes over the one that is there.
pub(crate) async fn ensure(handle: &Handle, config: &NetworkConfig) -> Result<Links> {
    let name = &config.bridge;
    if link_index(handle, name).await?.is_none() {
        create(handle, config).await?;
    }
    let bridge = link_index(handle, name).await?.ok_or_else(|| NetworkError::io(name, "vanished"))?;
    let up = handle.link().set(LinkUnspec::new_with_index(bridge).mtu(config.pod_mtu()).up().build()).execute().await;
    up.map_err(refused(&format!("set up bridge {name}")))?;
    let address = handle.address().add(bridge, IpAddr::V4(config.gateway()), config.pod_cidr.len()).replace().execute().await;
    tolerate(address, &[libc::EEXIST], &format!("give bridge {name} the address {}", config.gateway()))?;
    if let Some(lo) = link_index(handle, "lo").await? {
        handle.link().set(LinkUnspec::new_with_index(lo).up().build()).execute().await.map_err(refused("set up lo"))?;
    }
    // /proc/sys/net shows the namespace of the thread that looks: this one.
    let forward = "/proc/sys/net/ipv4/ip_forward";
    std::fs::write(forward, "1").map_err(|e| NetworkError::io(forward, e))?;
    Ok(Links { bridge })
}

/// Packets between pods of one bridge must pass nftables, or the answers of a service on the same node would bypass its address
/// translation and never match. Where the kernel cannot do that the bridge is made without.
async fn create(handle: &Handle, config: &NetworkConfig) -> Result<()> {
    let name = config.bridge.as_str();
    // A fixed address: otherwise the bridge's changes with its ports, and pods' neighbour tables go stale.
    let plain = || LinkBridge::new(name).address(super::pod::hardware_address(config.gateway())).mtu(config.pod_mtu());
    match handle.link().add(plain().nf_call_iptables(true).build()).execute().await {
        Ok(()) => Ok(()),
        Err(e) if errno(&e) == Some(libc::EEXIST) => Ok(()),
        Err(_) => tolerate(handle.link().add(plain().build()).execute().await, &[libc::EEXIST], &format!("create bridge {name}")),
    }
}
