//! The pod network of one node: a bridge, a veth pair and an address per pod, routes to the other nodes, and masquerading for what
//! leaves the cluster.
//!
//! | file | what it does |
//! |---|---|
//! | `cidr` | address ranges |
//! | `ipam` | which pod has which address, over restarts |
//! | `netns` | netlink jobs inside a network namespace |
//! | `bridge` | what the node has once |
//! | `pod` | what each pod has |
//! | `peers` | the ways to the other nodes' pods |
//! | `rules` | the nftables table |
//!
//! Everything may be done twice, and `purge` undoes all of it. Pods have IPv4 addresses only.
mod bridge;
mod cidr;
mod ipam;
mod netns;
mod peers;
mod pod;
mod rules;
#[cfg(test)]
mod tests;

pub use cidr::Cidr;
pub use netns::in_netns;

use crate::runtime::api::RuntimeError;
use ipam::Ipam;
use netns::NetThread;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How packets reach another node's pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Backend {
    /// A plain route where the other node is on a network of ours, VXLAN where it is not.
    #[default]
    HostGateway,
    /// VXLAN to every node.
    Vxlan,
}

/// One node's network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The bridge's name, at most 15 bytes. The nftables table and the VXLAN device are named after it.
    pub bridge: String,
    /// This node's part of the cluster's range.
    pub pod_cidr: Cidr,
    /// All pods of the cluster: traffic to these keeps its source address.
    pub cluster_cidr: Cidr,
    pub node_ip: Ipv4Addr,
    /// Of pods' interfaces, bytes; 0 chooses 1500, or 1450 over VXLAN.
    pub mtu: u32,
    /// Where the address table is kept.
    pub state_dir: PathBuf,
    /// The node's network namespace; `None` is this process's own.
    pub netns: Option<PathBuf>,
    pub backend: Backend,
    /// The VXLAN network; the same on all nodes of a cluster, and another for each cluster of a machine.
    pub vxlan_id: u32,
    /// UDP port of VXLAN.
    pub vxlan_port: u16,
}

impl NetworkConfig {
    /// The defaults: plain routes, VXLAN network 1 on port 8472 (as flannel has it), the process's own namespace.
    pub fn new(bridge: &str, pod_cidr: Cidr, cluster_cidr: Cidr, node_ip: Ipv4Addr, state_dir: impl Into<PathBuf>) -> Self {
        NetworkConfig {
            bridge: bridge.to_owned(),
            pod_cidr,
            cluster_cidr,
            node_ip,
            mtu: 0,
            state_dir: state_dir.into(),
            netns: None,
            backend: Backend::default(),
            vxlan_id: 1,
            vxlan_port: 8472,
        }
    }

    pub(crate) fn pod_mtu(&self) -> u32 {
        match (self.mtu, self.backend) {
            (0, Backend::HostGateway) => 1500,
            (0, Backend::Vxlan) => 1450,
            (mtu, _) => mtu,
        }
    }

    /// The bridge's address and every pod's default gateway: the first of the range.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.pod_cidr.nth(1)
    }
}

/// What can go wrong with the network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    #[error("invalid network configuration: {0}")]
    Config(String),
    /// Upstream's host-local plugin says the same.
    #[error("no IP addresses available in range set: {0}")]
    Exhausted(String),
    #[error("{what}: {why}")]
    Netlink { what: String, why: String },
    #[error("nft: {0}")]
    Rules(String),
    #[error("{what}: {why}")]
    Io { what: String, why: String },
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, NetworkError>;

impl NetworkError {
    pub(crate) fn io(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        NetworkError::Io { what: what.to_string(), why: error.to_string() }
    }
}

impl From<NetworkError> for RuntimeError {
    fn from(error: NetworkError) -> Self {
        RuntimeError::new("FailedCreatePodSandBox", format!("failed to setup network for sandbox: {error}"))
    }
}

/// The node's network, set up.
pub struct Network {
    config: NetworkConfig,
    thread: NetThread,
    ipam: Mutex<Ipam>,
    links: bridge::Links,
}

impl Network {
    /// Makes the bridge, the forwarding and the rules, or takes over what is there.
    pub async fn new(config: NetworkConfig) -> Result<Network> {
        check(&config)?;
        std::fs::create_dir_all(&config.state_dir).map_err(|e| NetworkError::io(config.state_dir.display(), e))?;
        let ipam = Ipam::load(config.state_dir.join("addresses.json"), config.pod_cidr)?;
        let thread = NetThread::start(config.netns.as_deref())?;
        let links = {
            let config = config.clone();
            thread.run(move |handle| async move { bridge::ensure(&handle, &config).await }).await?
        };
        rules::apply(&thread, rules::table(&config)).await?;
        Ok(Network { config, thread, ipam: Mutex::new(ipam), links })
    }

    /// What it was made with.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Gives the pod an interface `eth0` in the namespace, an address and a default route. A second call answers with the same address.
    pub async fn attach(&self, netns: &Path, pod_uid: &str) -> Result<IpAddr> {
        let address = self.ipam().allocate(pod_uid)?;
        let attached = pod::attach(&self.thread, &self.config, self.links, netns, pod_uid, address).await;
        if attached.is_err() {
            self.detach(pod_uid).await?;
        }
        attached.map(|()| IpAddr::V4(address))
    }

    /// Takes interface and address back; nothing to take is no error.
    pub async fn detach(&self, pod_uid: &str) -> Result<()> {
        let name = pod::host_name(&self.config.bridge, pod_uid);
        self.thread.run(move |handle| async move { netns::delete_link(&handle, &name).await }).await?;
        self.ipam().release(pod_uid)
    }

    /// The address that a pod holds.
    pub fn address(&self, pod_uid: &str) -> Option<IpAddr> {
        self.ipam().address(pod_uid).map(IpAddr::V4)
    }

    /// Makes the pods of another node reachable.
    pub async fn ensure_peer(&self, pod_cidr: Cidr, node_ip: Ipv4Addr) -> Result<()> {
        if node_ip == self.config.node_ip || pod_cidr == self.config.pod_cidr {
            return Ok(());
        }
        let config = self.config.clone();
        self.thread.run(move |handle| async move { peers::ensure(&handle, &config, pod_cidr, node_ip).await }).await
    }

    /// Forgets another node; one that is not known is no error.
    pub async fn remove_peer(&self, pod_cidr: Cidr, node_ip: Ipv4Addr) -> Result<()> {
        let config = self.config.clone();
        self.thread.run(move |handle| async move { peers::remove(&handle, &config, pod_cidr, node_ip).await }).await
    }

    /// Removes everything that this and earlier networks of the same configuration made, pods' interfaces and addresses included.
    pub async fn purge(&self) -> Result<()> {
        let uids = self.ipam().pods();
        for uid in uids {
            self.detach(&uid).await?;
        }
        let config = self.config.clone();
        self.thread
            .run(move |handle| async move {
                peers::purge(&handle, &config).await?;
                netns::delete_link(&handle, &config.bridge).await
            })
            .await?;
        rules::apply(&self.thread, rules::no_table(&self.config)).await?;
        self.ipam().forget()
    }

    fn ipam(&self) -> MutexGuard<'_, Ipam> {
        self.ipam.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(config: &NetworkConfig) -> Result<()> {
    let name = &config.bridge;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 15 || !name.bytes().all(plain) || !name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(NetworkError::Config(format!("{name:?} is no name for a bridge")));
    }
    if config.pod_cidr.len() > 30 {
        return Err(NetworkError::Config(format!("pod range {} has no room for pods", config.pod_cidr)));
    }
    if config.vxlan_id >= 1 << 24 {
        return Err(NetworkError::Config(format!("VXLAN network {} is out of range", config.vxlan_id)));
    }
    Ok(())
}
