//! What the agent tells the node's network: which addresses are its own, and where those of other nodes are.
use crate::runtime::api::Result;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The node's part in the pod network.
#[async_trait]
pub trait NodeNetwork: Send + Sync + 'static {
    /// The node's own part of the pods' addresses; before this no sandbox can be made. Telling it again changes nothing.
    async fn set_pod_cidr(&self, cidr: &str) -> Result<()>;
    /// All other nodes: their part of the pods' addresses, and their own address.
    async fn set_peers(&self, peers: &[(String, IpAddr)]) -> Result<()>;
}

/// What the agent knows of the cluster's nodes.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    known: BTreeMap<String, NodeFacts>,
}

/// One node, as far as others care.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeFacts {
    pub pod_cidr: String,
    pub address: Option<IpAddr>,
    pub ready: bool,
}

impl NodeFacts {
    /// Reads a Node object: its name, and what matters of it.
    pub fn parse(object: &[u8]) -> Option<(String, NodeFacts)> {
        let node: Value = serde_json::from_slice(object).ok()?;
        let name = node["metadata"]["name"].as_str()?.to_string();
        let list = |field: &str| node["status"][field].as_array().into_iter().flatten();
        let internal = list("addresses").find(|a| a["type"] == "InternalIP").and_then(|a| a["address"].as_str());
        let facts = NodeFacts {
            pod_cidr: node["spec"]["podCIDR"].as_str().unwrap_or_default().into(),
            address: internal.and_then(|a| a.parse().ok()),
            ready: list("conditions").any(|c| c["type"] == "Ready" && c["status"] == "True"),
        };
        Some((name, facts))
    }
}

impl Nodes {
    /// Notes a node; answers whether the peers of others have changed by it.
    pub fn note(&mut self, name: String, facts: NodeFacts) -> bool {
        let before = self.known.insert(name, facts.clone());
        before.is_none_or(|b| (b.pod_cidr, b.address) != (facts.pod_cidr, facts.address))
    }

    pub fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// Everybody but `own`, as the network wants it.
    pub fn peers(&self, own: &str) -> Vec<(String, IpAddr)> {
        let others = self.known.iter().filter(|(name, facts)| name.as_str() != own && !facts.pod_cidr.is_empty());
        others.filter_map(|(_, facts)| Some((facts.pod_cidr.clone(), facts.address?))).collect()
    }
}

#[async_trait]
impl NodeNetwork for crate::runtime::node_runtime::NodeRuntime {
    async fn set_pod_cidr(&self, cidr: &str) -> Result<()> {
        crate::runtime::node_runtime::NodeRuntime::set_pod_cidr(self, cidr).await
    }

    async fn set_peers(&self, peers: &[(String, IpAddr)]) -> Result<()> {
        crate::runtime::node_runtime::NodeRuntime::set_peers(self, peers).await
    }
}
