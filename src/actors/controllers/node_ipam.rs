//! The pods' address range, cut into one /24 per node.
use super::plan::{Action, EventNote, ObjectRef, Patch, Plan};
use super::world::World;
use crate::protocol::light::Light;
use crate::storage::entry::Entry;
use serde_json::json;
use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

/// The size of a node's range.
const NODE_PREFIX: u8 = 24;

/// An IPv4 range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    base: u32,
    prefix: u8,
}

/// Not `a.b.c.d/n`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 range such as 10.244.0.0/16")]
pub struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let (address, prefix) = (address.parse::<Ipv4Addr>().ok()?, prefix.parse::<u8>().ok().filter(|p| *p <= 32)?);
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Some(Cidr { base: u32::from(address) & mask, prefix })
        });
        parsed.ok_or_else(|| CidrError(text.to_string()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl Cidr {
    /// The ranges of a node's size inside this one; none when it is smaller than that.
    fn parts(self) -> impl Iterator<Item = Cidr> {
        let count = if self.prefix > NODE_PREFIX { 0 } else { 1u64 << (NODE_PREFIX - self.prefix) };
        let step = 1u64 << (32 - NODE_PREFIX);
        (0..count).filter_map(move |i| {
            let base = u32::try_from(u64::from(self.base) + i * step).ok()?;
            Some(Cidr { base, prefix: NODE_PREFIX })
        })
    }
}

/// Gives ranges out. One that is promised but not written yet is not given out again.
#[derive(Debug)]
pub struct Ipam {
    cluster: Cidr,
    promised: HashMap<Arc<str>, Cidr>,
}

impl Ipam {
    pub fn new(cluster: Cidr) -> Self {
        Ipam { cluster, promised: HashMap::new() }
    }

    /// A node is gone.
    pub fn release(&mut self, node: &str) {
        self.promised.remove(node);
    }

    /// Adds to a plan what gives a node its range.
    pub fn plan(&mut self, node: &Entry, world: &dyn World, plan: &mut Plan) {
        let Light::Node(light) = &node.light else { return };
        if !light.pod_cidr.is_empty() {
            self.promised.remove(&node.key.name);
            return;
        }
        let promised = match self.promised.get(&node.key.name) {
            Some(cidr) => Some(*cidr),
            None => self.free(world),
        };
        let Some(cidr) = promised else {
            plan.actions.push(Action::Event(EventNote {
                regarding: ObjectRef::to("v1", "Node", node),
                kind: "Normal",
                reason: "CIDRNotAvailable",
                message: format!("Node {} status is now: CIDRNotAvailable", node.key.name),
                component: "cidrAllocator",
            }));
            return;
        };
        self.promised.insert(node.key.name.clone(), cidr);
        plan.why = format!("node {}: its pods get {cidr}", node.key.name);
        plan.actions.push(Action::Patch(Patch {
            kind: "nodes".into(),
            key: node.key.clone(),
            uid: Some(node.meta.uid.clone()),
            subresource: None,
            patch: json!({"spec": {"podCIDR": cidr.to_string(), "podCIDRs": [cidr.to_string()]}}),
            expect_revision: None,
        }));
    }

    fn free(&self, world: &dyn World) -> Option<Cidr> {
        let nodes = world.list("nodes", None);
        let written = nodes.iter().filter_map(|n| match &n.light {
            Light::Node(light) => light.pod_cidr.parse::<Cidr>().ok(),
            _ => None,
        });
        let used: std::collections::HashSet<Cidr> = written.chain(self.promised.values().copied()).collect();
        self.cluster.parts().find(|c| !used.contains(c))
    }
}
