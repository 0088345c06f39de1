//! The pods' address range, cut into one /24 per node.
use super::plan::{Action, EventNote, ObjectRef, Patch, Plan};
use super::world::World;
use crate::protocol::light::Light;
use crate::storage::entry::Entry;
use serde_json::json;
use std::collections::{HashMap, HashSet};
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

/// Gives ranges out, and remembers who has which: also what is promised and not written yet.
#[derive(Debug)]
pub struct Ipam {
    cluster: Cidr,
    held: HashMap<Arc<str>, Cidr>,
    used: HashSet<Cidr>,
    /// Nodes that were told that there is no range for them.
    told: HashSet<Arc<str>>,
    /// What the nodes have was read once; since then every change of a node comes by.
    loaded: bool,
}

impl Ipam {
    pub fn new(cluster: Cidr) -> Self {
        Ipam { cluster, held: HashMap::new(), used: HashSet::new(), told: HashSet::new(), loaded: false }
    }

    /// A node is gone.
    pub fn release(&mut self, node: &str) {
        self.told.remove(node);
        let Some(cidr) = self.held.remove(node) else { return };
        // Ranges given by hand may overlap.
        if !self.held.values().any(|held| *held == cidr) {
            self.used.remove(&cidr);
        }
    }

    fn note(&mut self, node: &Arc<str>, cidr: Cidr) {
        self.used.insert(cidr);
        self.held.insert(node.clone(), cidr);
    }

    /// Adds to a plan what gives a node its range. A node for which there is none is told so once, and looked at again with its next
    /// status.
    pub fn plan(&mut self, node: &Entry, world: &dyn World, plan: &mut Plan) {
        let Light::Node(light) = &node.light else { return };
        if !light.pod_cidr.is_empty() {
            if let Ok(cidr) = light.pod_cidr.parse() {
                self.note(&node.key.name, cidr);
            }
            return;
        }
        let Some(cidr) = self.range_of(&node.key.name, world) else {
            if self.told.insert(node.key.name.clone()) {
                plan.actions.push(Action::Event(EventNote {
                    regarding: ObjectRef::to("v1", "Node", node),
                    kind: "Normal",
                    reason: "CIDRNotAvailable",
                    message: format!("Node {} status is now: CIDRNotAvailable", node.key.name),
                    component: "cidrAllocator",
                }));
            }
            return;
        };
        self.note(&node.key.name, cidr);
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

    /// The range promised to this node before, or a free one.
    fn range_of(&mut self, node: &Arc<str>, world: &dyn World) -> Option<Cidr> {
        if let Some(cidr) = self.held.get(node) {
            return Some(*cidr);
        }
        if !std::mem::replace(&mut self.loaded, true) {
            for other in world.list("nodes", None) {
                if let Light::Node(light) = &other.light
                    && let Ok(cidr) = light.pod_cidr.parse()
                {
                    self.note(&other.key.name, cidr);
                }
            }
        }
        self.cluster.parts().find(|cidr| !self.used.contains(cidr))
    }
}
