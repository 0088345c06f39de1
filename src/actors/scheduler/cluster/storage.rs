//! Claims, volumes, storage classes and what drivers can do: what the volume plugins look at.
use crate::actors::scheduler::terms::{Labels, NodeTerm, Selector, items, label, node_terms};
use crate::protocol::light::quantity_in;
use crate::protocol::meta::{Meta, ObjectKey};
use crate::protocol::validation::persistent_volume::OLD_CLASS;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The shelves that [`Storage`] is kept from.
pub const CLAIMS: &str = "persistentvolumeclaims";
pub const VOLUMES: &str = "persistentvolumes";
pub const CLASSES: &str = "storageclasses.storage.k8s.io";
pub const CSI_NODES: &str = "csinodes.storage.k8s.io";
pub const CSI_DRIVERS: &str = "csidrivers.storage.k8s.io";
pub const CAPACITIES: &str = "csistoragecapacities.storage.k8s.io";

/// On a claim: it once had its volume on both sides.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim: the node that the scheduler has in mind for its pod.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    pub uid: Arc<str>,
    pub revision: u64,
    pub deleting: bool,
    pub lost: bool,
    pub class: Arc<str>,
    /// `spec.volumeName`.
    pub volume: Arc<str>,
    /// Both sides know of each other.
    pub bound: bool,
    pub selected_node: Option<Arc<str>>,
    pub modes: Vec<String>,
    /// Bytes.
    pub request: i64,
    pub block: bool,
    /// The VolumeAttributesClass.
    attributes: Arc<str>,
    selector: Value,
    /// The uid of the pod that it was made for.
    pub owner: Arc<str>,
}

/// A PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    pub revision: u64,
    meta: Meta,
    /// `None`: any node will do.
    pub nodes: Option<Vec<NodeTerm>>,
    pub class: Arc<str>,
    /// Bytes.
    pub capacity: i64,
    pub modes: Vec<String>,
    pub block: bool,
    attributes: Arc<str>,
    available: bool,
    /// Namespace, name and uid (empty when pre-bound by hand) of its claim.
    pub claim: Option<(ObjectKey, Arc<str>)>,
    /// Driver and handle.
    pub csi: Option<(Arc<str>, Arc<str>)>,
}

/// A StorageClass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    pub waits: bool,
    pub provisioner: Arc<str>,
    pub topologies: Vec<NodeTerm>,
}

/// What a driver has left somewhere.
#[derive(Clone, Debug, PartialEq)]
struct Capacity {
    class: Arc<str>,
    nodes: Selector,
    bytes: i64,
}

/// Whether a volume can be made for a claim where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    Possible,
    /// The class makes no volumes, or none there.
    Impossible,
    /// It could, but its driver says that no storage is left there.
    NoRoom,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Storage {
    pub claims: HashMap<ObjectKey, Claim>,
    pub volumes: HashMap<Arc<str>, Volume>,
    pub classes: HashMap<Arc<str>, Class>,
    /// How many volumes of a driver a node can have, by node and driver.
    pub limits: HashMap<Arc<str>, HashMap<Arc<str>, i64>>,
    capacities: HashMap<ObjectKey, Capacity>,
    /// Drivers that publish capacities.
    counted: HashMap<Arc<str>, bool>,
    /// Volumes promised to a claim by a decision that is not written yet.
    pub promised: HashMap<Arc<str>, ObjectKey>,
}

impl Storage {
    /// An object of one of the shelves appeared or changed. False: not a shelf of ours, or nothing changed.
    pub fn set(&mut self, shelf: &str, entry: &Entry) -> bool {
        let object = entry.parse();
        let name = entry.key.name.clone();
        match shelf {
            CLAIMS => replace(&mut self.claims, entry.key.clone(), claim(entry, &object)),
            VOLUMES => {
                let volume = volume(entry, &object);
                if volume.claim.is_some() {
                    self.promised.remove(&name);
                }
                replace(&mut self.volumes, name, volume)
            }
            CLASSES => replace(&mut self.classes, name, class(&object)),
            CSI_NODES => replace(&mut self.limits, name, limits(&object)),
            CSI_DRIVERS => replace(&mut self.counted, name, object["spec"]["storageCapacity"] == true),
            CAPACITIES => replace(&mut self.capacities, entry.key.clone(), capacity(&object)),
            _ => false,
        }
    }

    /// An object is gone.
    pub fn gone(&mut self, shelf: &str, key: &ObjectKey) {
        match shelf {
            CLAIMS => drop(self.claims.remove(key)),
            VOLUMES => {
                self.promised.remove(&key.name);
                self.volumes.remove(&key.name);
            }
            CLASSES => drop(self.classes.remove(&key.name)),
            CSI_NODES => drop(self.limits.remove(&key.name)),
            CSI_DRIVERS => drop(self.counted.remove(&key.name)),
            CAPACITIES => drop(self.capacities.remove(key)),
            _ => {}
        }
    }

    /// The class that a report of what is left is about.
    pub fn class_of_capacity(&self, key: &ObjectKey) -> Option<&Arc<str>> {
        self.capacities.get(key).map(|c| &c.class)
    }

    /// Whether a claim without a volume waits until a pod needs it.
    pub fn waits(&self, claim: &Claim) -> bool {
        claim.volume.is_empty() && self.classes.get(&claim.class).is_some_and(|c| c.waits)
    }

    /// The volume that is kept for the claim, if the node can reach it; or else the smallest that suits the claim on the node. None
    /// of `taken`.
    pub fn find(&self, key: &ObjectKey, claim: &Claim, node: &str, meta: &Meta, taken: &[Arc<str>]) -> Option<Arc<str>> {
        let selector = if claim.selector.is_null() { Selector::All(Vec::new()) } else { Selector::parse(&claim.selector) };
        let (mut kept, mut best): (Option<(i64, &Arc<str>)>, Option<(i64, &Arc<str>)>) = (None, None);
        for (name, volume) in &self.volumes {
            let promised = self.promised.get(name).is_some_and(|to| to != key);
            if taken.contains(name) || promised || !volume.fits(claim) {
                continue;
            }
            let rank = (volume.capacity, name);
            if volume.claim.as_ref().is_some_and(|(to, uid)| to == key && (uid.is_empty() || *uid == claim.uid)) {
                kept = Some(kept.map_or(rank, |k| k.min(rank)));
            } else if volume.is_free_for(claim) && volume.reachable(node, meta) && selector.matches(&volume.meta.labels) {
                best = Some(best.map_or(rank, |b| b.min(rank)));
            }
        }
        match kept {
            Some((_, name)) => self.volumes.get(name).filter(|v| v.reachable(node, meta)).map(|_| name.clone()),
            None => best.map(|(_, name)| name.clone()),
        }
    }

    /// Whether the claim's class can make a volume for a node.
    pub fn provisioning(&self, claim: &Claim, node: &str, meta: &Meta) -> Provisioning {
        let Some(class) = self.classes.get(&claim.class) else { return Provisioning::Impossible };
        let made = !class.provisioner.is_empty() && &*class.provisioner != "kubernetes.io/no-provisioner";
        let here = class.topologies.is_empty() || class.topologies.iter().any(|t| t.labels.is_empty() || t.matches(node, meta));
        if !made || !here {
            return Provisioning::Impossible;
        }
        if !self.counted.get(&class.provisioner).copied().unwrap_or_default() {
            return Provisioning::Possible;
        }
        let room = |c: &Capacity| c.class == claim.class && c.bytes >= claim.request && c.nodes.matches(&meta.labels);
        if self.capacities.values().any(room) { Provisioning::Possible } else { Provisioning::NoRoom }
    }

    /// The driver and handle that a claim counts for on a node.
    pub fn attached(&self, key: &ObjectKey) -> Option<(Arc<str>, Arc<str>)> {
        let claim = self.claims.get(key)?;
        if let Some(volume) = self.volumes.get(&claim.volume) {
            return volume.csi.clone();
        }
        let class = self.classes.get(&claim.class)?;
        Some((class.provisioner.clone(), format!("{key}").into()))
    }
}

impl Volume {
    /// Whether a node can get at it.
    pub fn reachable(&self, node: &str, meta: &Meta) -> bool {
        self.nodes.as_ref().is_none_or(|terms| terms.iter().any(|t| t.matches(node, meta)))
    }

    /// Its labels that name zones and regions.
    pub fn zones(&self) -> impl Iterator<Item = (&str, &str)> {
        self.meta.labels.iter().map(|(k, v)| (&**k, &**v)).filter(|(key, _)| ZONES.iter().any(|(ga, beta)| key == ga || key == beta))
    }

    /// What even a volume that is kept for the claim has to have.
    fn fits(&self, claim: &Claim) -> bool {
        let alike = self.block == claim.block && self.attributes == claim.attributes;
        self.meta.deleting.is_none() && alike && self.capacity >= claim.request
    }

    /// Nobody has it, and it is of the claim's class.
    fn is_free_for(&self, claim: &Claim) -> bool {
        self.claim.is_none() && self.available && self.class == claim.class && claim.modes.iter().all(|m| self.modes.contains(m))
    }
}

/// Labels of places, with their former names.
const ZONES: [(&str, &str); 2] = [
    ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
];

/// A node's value of a label of a place, under its name of today or its former one.
pub fn place_of<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    let (ga, beta) = ZONES.into_iter().find(|(ga, beta)| key == *ga || key == *beta)?;
    label(labels, key).or_else(|| label(labels, ga)).or_else(|| label(labels, beta))
}

/// Whether a node says anything about where it is.
pub fn placed(labels: &Labels) -> bool {
    ZONES.iter().any(|(key, _)| place_of(labels, key).is_some())
}

fn replace<K: std::hash::Hash + Eq, V: PartialEq>(map: &mut HashMap<K, V>, key: K, value: V) -> bool {
    let same = map.get(&key) == Some(&value);
    if !same {
        map.insert(key, value);
    }
    !same
}

fn text(value: &Value) -> Arc<str> {
    value.as_str().unwrap_or_default().into()
}

fn texts(value: &Value) -> Vec<String> {
    items(value).filter_map(Value::as_str).map(String::from).collect()
}

fn class_of(object: &Value) -> Arc<str> {
    let annotation = &object["metadata"]["annotations"][OLD_CLASS];
    text(if annotation.is_string() { annotation } else { &object["spec"]["storageClassName"] })
}

fn claim(entry: &Entry, object: &Value) -> Claim {
    let (spec, notes) = (&object["spec"], &object["metadata"]["annotations"]);
    Claim {
        uid: entry.meta.uid.clone(),
        revision: entry.revision,
        deleting: entry.meta.deleting.is_some(),
        lost: object["status"]["phase"] == "Lost",
        class: class_of(object),
        volume: text(&spec["volumeName"]),
        bound: spec["volumeName"].as_str().is_some_and(|n| !n.is_empty())
            && (!notes[BIND_COMPLETED].is_null() || object["status"]["phase"] == "Bound"),
        selected_node: notes[SELECTED_NODE].as_str().map(Arc::from),
        modes: texts(&spec["accessModes"]),
        request: quantity_in(&spec["resources"]["requests"]["storage"], "storage"),
        block: spec["volumeMode"] == "Block",
        attributes: text(&spec["volumeAttributesClassName"]),
        selector: spec["selector"].clone(),
        owner: entry.meta.controller().filter(|o| &*o.kind == "Pod").map(|o| o.uid.clone()).unwrap_or_default(),
    }
}

fn volume(entry: &Entry, object: &Value) -> Volume {
    let spec = &object["spec"];
    let to = &spec["claimRef"];
    Volume {
        revision: entry.revision,
        meta: entry.meta.clone(),
        nodes: node_terms(&spec["nodeAffinity"]["required"]),
        class: class_of(object),
        capacity: quantity_in(&spec["capacity"]["storage"], "storage"),
        modes: texts(&spec["accessModes"]),
        block: spec["volumeMode"] == "Block",
        attributes: text(&spec["volumeAttributesClassName"]),
        available: object["status"]["phase"] == "Available",
        claim: to.is_object().then(|| (ObjectKey::new(text(&to["namespace"]), text(&to["name"])), text(&to["uid"]))),
        csi: spec["csi"]["driver"].as_str().map(|driver| (driver.into(), text(&spec["csi"]["volumeHandle"]))),
    }
}

fn class(object: &Value) -> Class {
    let term = |t: &Value| {
        let labels = items(&t["matchLabelExpressions"]).map(|e| crate::actors::controllers::labels::Requirement {
            key: e["key"].as_str().unwrap_or_default().into(),
            operator: crate::actors::controllers::labels::Operator::In,
            values: texts(&e["values"]),
        });
        NodeTerm { labels: labels.collect(), fields: Vec::new() }
    };
    Class {
        waits: object["volumeBindingMode"] == "WaitForFirstConsumer",
        provisioner: text(&object["provisioner"]),
        topologies: items(&object["allowedTopologies"]).map(term).collect(),
    }
}

fn limits(object: &Value) -> HashMap<Arc<str>, i64> {
    let drivers = items(&object["spec"]["drivers"]);
    drivers.filter_map(|d| Some((text(&d["name"]), d["allocatable"]["count"].as_i64()?))).collect()
}

fn capacity(object: &Value) -> Capacity {
    let bytes = if object["maximumVolumeSize"].is_null() { &object["capacity"] } else { &object["maximumVolumeSize"] };
    Capacity {
        class: text(&object["storageClassName"]),
        nodes: Selector::parse(&object["nodeTopology"]),
        bytes: quantity_in(bytes, "storage"),
    }
}
