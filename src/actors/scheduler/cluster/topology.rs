//! Places by topology key: which value of a label each node has, as small numbers.
use crate::actors::scheduler::terms::{Labels, label};
use std::collections::HashMap;
use std::sync::Arc;

/// The domain of a node that lacks the label.
pub const NOWHERE: u32 = u32::MAX;

/// The nodes by one label.
#[derive(Debug)]
pub struct Topology {
    pub key: Arc<str>,
    /// The domain of each slot.
    domains: Vec<u32>,
    ids: HashMap<Arc<str>, u32>,
}

impl Topology {
    pub fn new(key: Arc<str>) -> Self {
        Topology { key, domains: Vec::new(), ids: HashMap::new() }
    }

    /// A node's labels; `None` for one that is gone.
    pub fn set(&mut self, slot: usize, labels: Option<&Labels>) {
        if self.domains.len() <= slot {
            self.domains.resize(slot + 1, NOWHERE);
        }
        let value = labels.and_then(|l| label(l, &self.key));
        let domain = match value {
            None => NOWHERE,
            Some(value) => match self.ids.get(value) {
                Some(id) => *id,
                None => {
                    let id = u32::try_from(self.ids.len()).unwrap_or(NOWHERE);
                    self.ids.insert(value.into(), id);
                    id
                }
            },
        };
        if let Some(at) = self.domains.get_mut(slot) {
            *at = domain;
        }
    }

    /// [`NOWHERE`] when the node lacks the label.
    pub fn domain(&self, slot: usize) -> u32 {
        self.domains.get(slot).copied().unwrap_or(NOWHERE)
    }

    /// The domain of every slot.
    pub fn domains(&self) -> &[u32] {
        &self.domains
    }

    /// One more than the greatest domain.
    pub fn size(&self) -> usize {
        self.ids.len()
    }
}
