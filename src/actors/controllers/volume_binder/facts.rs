//! What bears on binding of a claim and of a volume.
pub use crate::actors::scheduler::cluster::storage::{BIND_COMPLETED as COMPLETED, CLAIMS, CLASSES, SELECTED_NODE, VOLUMES};
use crate::actors::scheduler::terms::Selector;
use crate::protocol::light::quantity_in;
use crate::protocol::meta::ObjectKey;
pub use crate::protocol::validation::persistent_volume::OLD_CLASS;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::sync::Arc;

/// The binding is ours, and we may take it back.
pub const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it for a claim.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: who shall make its volume; the second name is the former one.
pub const PROVISIONERS: [&str; 2] = ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// On a volume that is being enlarged: how much fitted before.
pub const BEFORE_RESIZE: &str = "volume.alpha.kubernetes.io/pre-resize-capacity";

/// Access modes as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes(u8);

impl Modes {
    fn parse(list: &Value) -> Modes {
        let bit = |mode: &Value| match mode.as_str() {
            Some("ReadWriteOnce") => 1,
            Some("ReadOnlyMany") => 2,
            Some("ReadWriteMany") => 4,
            Some("ReadWriteOncePod") => 8,
            _ => 0,
        };
        Modes(list.as_array().into_iter().flatten().map(bit).fold(0, |all, one| all | one))
    }

    /// Every one of `wanted` is among these.
    pub fn contain(self, wanted: Modes) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}

/// What bears on a claim's binding.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimFacts {
    pub uid: Arc<str>,
    /// Empty: none, and none wanted; `None`: nothing was said, and a default may come.
    pub class: Option<Arc<str>>,
    /// Bytes.
    pub request: i64,
    pub modes: Modes,
    pub block: bool,
    /// The VolumeAttributesClass.
    pub attributes: Arc<str>,
    /// `None`: any volume will do.
    pub selector: Option<Selector>,
    /// `spec.volumeName`, empty when it names none.
    pub volume: Arc<str>,
    /// It has been bound before.
    pub completed: bool,
}

impl ClaimFacts {
    pub fn of(entry: &Entry, object: &Value) -> ClaimFacts {
        let spec = &object["spec"];
        let selector = &spec["selector"];
        ClaimFacts {
            uid: entry.meta.uid.clone(),
            class: class_of(object),
            request: quantity_in(&spec["resources"]["requests"]["storage"], "storage"),
            modes: Modes::parse(&spec["accessModes"]),
            block: spec["volumeMode"] == "Block",
            attributes: text(&spec["volumeAttributesClassName"]),
            selector: selector.is_object().then(|| Selector::parse(selector)),
            volume: text(&spec["volumeName"]),
            completed: annotated(object, COMPLETED),
        }
    }

    /// The class's name, empty for none.
    pub fn class_name(&self) -> &str {
        self.class.as_deref().unwrap_or_default()
    }
}

/// What bears on a volume's binding.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeFacts {
    pub class: Arc<str>,
    /// Bytes.
    pub capacity: i64,
    pub modes: Modes,
    pub block: bool,
    pub attributes: Arc<str>,
    /// Its phase is `Available`.
    pub available: bool,
    pub deleting: bool,
    /// The claim that it is for; with its uid when they have met.
    pub claim: Option<(ObjectKey, Arc<str>)>,
}

impl VolumeFacts {
    pub fn of(entry: &Entry, object: &Value) -> VolumeFacts {
        let spec = &object["spec"];
        let to = &spec["claimRef"];
        VolumeFacts {
            class: class_of(object).unwrap_or_default(),
            capacity: quantity_in(&spec["capacity"]["storage"], "storage"),
            modes: Modes::parse(&spec["accessModes"]),
            block: spec["volumeMode"] == "Block",
            attributes: text(&spec["volumeAttributesClassName"]),
            available: object["status"]["phase"] == "Available",
            deleting: entry.meta.deleting.is_some(),
            claim: to.is_object().then(|| (ObjectKey::new(text(&to["namespace"]), text(&to["name"])), text(&to["uid"]))),
        }
    }

    /// Whether it is for this very claim, be it that they have not met yet.
    pub fn is_for(&self, key: &ObjectKey, uid: &str) -> bool {
        self.claim.as_ref().is_some_and(|(to, met)| to == key && (met.is_empty() || **met == *uid))
    }
}

/// A claim, read.
pub struct Claim {
    pub entry: Arc<Entry>,
    pub object: Value,
    pub facts: ClaimFacts,
}

impl Claim {
    pub fn read(entry: Arc<Entry>) -> Claim {
        let object = entry.parse();
        let facts = ClaimFacts::of(&entry, &object);
        Claim { entry, object, facts }
    }
}

/// A volume, read.
pub struct Volume {
    pub entry: Arc<Entry>,
    pub object: Value,
    pub facts: VolumeFacts,
}

impl Volume {
    pub fn read(entry: Arc<Entry>) -> Volume {
        let object = entry.parse();
        let facts = VolumeFacts::of(&entry, &object);
        Volume { entry, object, facts }
    }
}

/// Whether the object has the annotation.
pub fn annotated(object: &Value, name: &str) -> bool {
    object["metadata"]["annotations"][name].is_string()
}

/// The class by the former annotation, or else by the field.
pub fn class_of(object: &Value) -> Option<Arc<str>> {
    let old = object["metadata"]["annotations"][OLD_CLASS].as_str();
    old.or_else(|| object["spec"]["storageClassName"].as_str()).map(Arc::from)
}

fn text(value: &Value) -> Arc<str> {
    value.as_str().unwrap_or_default().into()
}
