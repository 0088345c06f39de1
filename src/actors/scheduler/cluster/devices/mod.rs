//! Devices that drivers offer, the classes of them, and the claims of pods on them.
pub mod allocate;
mod read;

use crate::actors::scheduler::terms::NodeTerm;
use crate::protocol::cel::{Program, Variables};
use crate::protocol::light::Taint;
use crate::protocol::meta::{Meta, ObjectKey};
use crate::storage::entry::Entry;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The shelves that [`Devices`] is kept from.
pub const CLAIMS: &str = "resourceclaims.resource.k8s.io";
pub const CLASSES: &str = "deviceclasses.resource.k8s.io";
pub const SLICES: &str = "resourceslices.resource.k8s.io";

/// Compiled expressions that are kept.
const PROGRAMS: usize = 1024;

/// Which device of all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId {
    pub driver: Arc<str>,
    pub pool: Arc<str>,
    pub device: Arc<str>,
}

/// Which nodes can use a device.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Node(Arc<str>),
    /// As parsed, and as said.
    Nodes(Vec<NodeTerm>, Value),
    Everywhere,
}

impl Place {
    pub fn reaches(&self, name: &str, meta: &Meta) -> bool {
        match self {
            Place::Node(node) => **node == *name,
            Place::Nodes(terms, _) => terms.iter().any(|term| term.matches(name, meta)),
            Place::Everywhere => true,
        }
    }
}

/// One device.
#[derive(Debug)]
pub struct Device {
    pub id: DeviceId,
    pub place: Place,
    /// What selectors see.
    variables: Variables,
    /// As said, for claims whose devices must be alike.
    attributes: Value,
    taints: Vec<Taint>,
    /// It is a part of something bigger, or can be shared: neither is done here.
    special: bool,
}

/// One `ResourceSlice`.
#[derive(Debug)]
struct Slice {
    driver: Arc<str>,
    pool: Arc<str>,
    generation: i64,
    /// How many slices the pool has.
    count: usize,
    devices: Vec<Arc<Device>>,
}

/// A compiled condition, or why there is none.
type Condition = Result<Program, String>;

/// One `DeviceClass`.
#[derive(Debug)]
pub struct Class {
    selectors: Vec<Condition>,
    pub config: Vec<Value>,
}

/// One request of a claim.
#[derive(Debug)]
pub struct Request {
    pub name: Arc<str>,
    pub class: Arc<str>,
    selectors: Vec<Condition>,
    tolerations: Vec<crate::actors::scheduler::terms::Toleration>,
    /// `None`: all there are.
    pub count: Option<usize>,
}

/// All devices of these requests have the same value of an attribute.
#[derive(Clone, Debug)]
pub struct Alike {
    /// None: of all requests.
    pub requests: Vec<String>,
    pub attribute: String,
}

/// What a claim was given.
#[derive(Debug)]
pub struct Given {
    /// `None`: any node can use it.
    pub nodes: Option<Vec<NodeTerm>>,
    pub devices: Vec<DeviceId>,
}

/// A ResourceClaim.
#[derive(Debug)]
pub struct Claim {
    pub uid: Arc<str>,
    pub revision: u64,
    pub deleting: bool,
    /// The uid of the pod that it was made for.
    pub owner: Arc<str>,
    pub finalizers: Vec<Arc<str>>,
    pub given: Option<Given>,
    /// `status.reservedFor`.
    pub users: Vec<Value>,
    pub requests: Vec<Request>,
    pub alike: Vec<Alike>,
    pub config: Vec<Value>,
    /// What it asks for that is not done here.
    pub refused: Option<String>,
}

impl Claim {
    /// Whether the pod may use what was given.
    pub fn is_reserved_for(&self, pod: &str) -> bool {
        self.users.iter().any(|user| user["uid"] == pod)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Devices {
    pub claims: HashMap<ObjectKey, Claim>,
    pub classes: HashMap<Arc<str>, Class>,
    slices: BTreeMap<Arc<str>, Slice>,
    programs: HashMap<String, Condition>,
    /// Whose the devices are that somebody has.
    taken: HashMap<DeviceId, ObjectKey>,
    /// What decisions gave that are not written yet.
    pub promised: HashMap<ObjectKey, Vec<DeviceId>>,
}

impl Devices {
    /// An object of one of the shelves appeared or changed. False: not a shelf of ours.
    pub fn set(&mut self, shelf: &str, entry: &Entry) -> bool {
        let object = entry.parse();
        let name = entry.key.name.clone();
        match shelf {
            CLAIMS => {
                self.forget_claim(&entry.key);
                let claim = self.claim(entry, &object);
                if let Some(given) = &claim.given {
                    self.promised.remove(&entry.key);
                    self.taken.extend(given.devices.iter().map(|id| (id.clone(), entry.key.clone())));
                }
                self.claims.insert(entry.key.clone(), claim);
            }
            CLASSES => {
                let class = self.class(&object);
                self.classes.insert(name, class);
            }
            SLICES => drop(self.slices.insert(name, read::slice(&object))),
            _ => return false,
        }
        true
    }

    /// An object is gone.
    pub fn gone(&mut self, shelf: &str, key: &ObjectKey) {
        match shelf {
            CLAIMS => {
                self.promised.remove(key);
                self.forget_claim(key);
            }
            CLASSES => drop(self.classes.remove(&key.name)),
            SLICES => drop(self.slices.remove(&key.name)),
            _ => {}
        }
    }

    fn forget_claim(&mut self, key: &ObjectKey) {
        let given = self.claims.remove(key).and_then(|claim| claim.given);
        for id in given.iter().flat_map(|given| &given.devices) {
            if self.taken.get(id) == Some(key) {
                self.taken.remove(id);
            }
        }
    }

    /// Whether a claim was given devices.
    pub fn has_some(&self, key: &ObjectKey) -> bool {
        self.claims.get(key).and_then(|claim| claim.given.as_ref()).is_some_and(|given| !given.devices.is_empty())
    }

    /// Whether nobody has the device, or is about to.
    fn is_free(&self, id: &DeviceId) -> bool {
        !self.taken.contains_key(id) && !self.promised.values().any(|ids| ids.contains(id))
    }

    /// The devices of pools that are known whole, in the order of their slices.
    fn offered(&self) -> impl Iterator<Item = &Arc<Device>> {
        let mut pools: HashMap<(&str, &str), (i64, usize)> = HashMap::new();
        for slice in self.slices.values() {
            let (generation, seen) = pools.entry((&slice.driver, &slice.pool)).or_insert((slice.generation, 0));
            if slice.generation > *generation {
                (*generation, *seen) = (slice.generation, 0);
            }
            *seen += usize::from(slice.generation == *generation);
        }
        let whole = move |slice: &&Slice| pools.get(&(&*slice.driver, &*slice.pool)) == Some(&(slice.generation, slice.count));
        self.slices.values().filter(whole).flat_map(|slice| &slice.devices)
    }
}
