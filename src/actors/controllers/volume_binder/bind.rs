//! The writes of a binding. Each is planned alone, when what it rests on is there: the volume says whose it is, then the claim
//! names the volume, then both say so in their status. Whenever that is interrupted, the next look goes on.
use super::facts::{BEFORE_RESIZE, BY_CONTROLLER, CLAIMS, COMPLETED, Claim, VOLUMES, Volume, annotated};
use crate::actors::controllers::difference::status_patch;
use crate::actors::controllers::plan::{Action, EventNote, ObjectRef, Patch};
use crate::protocol::quantity::Quantity;
use crate::storage::entry::Entry;
use serde_json::{Value, json};

/// The component of the events.
const COMPONENT: &str = "persistentvolume-controller";

/// The next write that binds the two, on the side of the claim; `None` when there is nothing left to write there.
pub fn bind(volume: &Volume, claim: &Claim) -> Option<Action> {
    if volume.facts.claim.as_ref().is_none_or(|(key, uid)| *key != claim.entry.key || *uid != claim.facts.uid) {
        return Some(reserve(volume, claim));
    }
    if *claim.facts.volume != *volume.entry.key.name || !claim.facts.completed {
        return Some(name_volume(volume, claim));
    }
    claim_status(claim, "Bound", Some(volume))
}

/// The volume says whose it is.
fn reserve(volume: &Volume, claim: &Claim) -> Action {
    let key = &claim.entry.key;
    let reference = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*key.namespace, "name": &*key.name,
        "uid": &*claim.facts.uid, "resourceVersion": claim.entry.revision.to_string(),
    });
    let mut patch = json!({ "spec": { "claimRef": reference } });
    if !volume.facts.is_for(key, &claim.facts.uid) {
        patch["metadata"] = json!({ "annotations": { BY_CONTROLLER: "yes" } });
    }
    write(VOLUMES, &volume.entry, patch)
}

/// The claim names its volume.
fn name_volume(volume: &Volume, claim: &Claim) -> Action {
    let name = &*volume.entry.key.name;
    let mut annotations = json!({ COMPLETED: "yes" });
    if *claim.facts.volume != *name {
        annotations[BY_CONTROLLER] = "yes".into();
    }
    write(CLAIMS, &claim.entry, json!({ "metadata": { "annotations": annotations }, "spec": { "volumeName": name } }))
}

/// The volume is given back: to everybody when the binding was ours, to whatever claim comes by that name otherwise.
pub fn unbind(volume: &Volume) -> Action {
    let patch = if annotated(&volume.object, BY_CONTROLLER) {
        json!({ "metadata": { "annotations": { BY_CONTROLLER: null } }, "spec": { "claimRef": null } })
    } else {
        json!({ "spec": { "claimRef": { "uid": null } } })
    };
    write(VOLUMES, &volume.entry, patch)
}

/// A change of the object itself, as it was seen.
pub fn write(kind: &str, entry: &Entry, patch: Value) -> Action {
    Action::Patch(Patch {
        kind: kind.into(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource: None,
        patch,
        expect_revision: Some(entry.revision),
    })
}

/// The claim's status, if it has to change: its phase, and what its volume has to offer.
pub fn claim_status(claim: &Claim, phase: &str, volume: Option<&Volume>) -> Option<Action> {
    let old = &claim.object["status"];
    let mut new = if old.is_object() { old.clone() } else { json!({}) };
    new["phase"] = phase.into();
    match volume {
        None => {
            for field in ["accessModes", "capacity", "currentVolumeAttributesClassName"] {
                new.as_object_mut()?.remove(field);
            }
        }
        Some(volume) => {
            let spec = &volume.object["spec"];
            new["accessModes"] = spec["accessModes"].clone();
            let before = &volume.object["metadata"]["annotations"][BEFORE_RESIZE];
            let capacity = if before.is_string() { before } else { &spec["capacity"]["storage"] };
            if !same_amount(capacity, &old["capacity"]["storage"]) {
                new["capacity"] = json!({ "storage": capacity });
            }
            if old["phase"] != phase && !volume.facts.attributes.is_empty() {
                new["currentVolumeAttributesClassName"] = (*volume.facts.attributes).into();
            }
        }
    }
    status_patch(CLAIMS, &claim.entry, old, &new)
}

fn same_amount(one: &Value, other: &Value) -> bool {
    let read = |value: &Value| value.as_str().and_then(|text| text.parse::<Quantity>().ok());
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one.compare(&other).is_eq(),
        _ => one == other,
    }
}

/// The volume's phase, if it has to change, with what there is to say about it.
pub fn volume_phase(volume: &Volume, phase: &str, message: &str) -> Option<Action> {
    let old = &volume.object["status"];
    if old["phase"] == phase {
        return None;
    }
    let mut new = if old.is_object() { old.clone() } else { json!({}) };
    new["phase"] = phase.into();
    new["message"] = if message.is_empty() { Value::Null } else { message.into() };
    status_patch(VOLUMES, &volume.entry, old, &new)
}

/// An event about a claim.
pub fn about_claim(claim: &Entry, kind: &'static str, reason: &'static str, message: String) -> Action {
    note("PersistentVolumeClaim", claim, kind, reason, message)
}

/// An event about a volume.
pub fn about_volume(volume: &Entry, kind: &'static str, reason: &'static str, message: String) -> Action {
    note("PersistentVolume", volume, kind, reason, message)
}

fn note(of: &str, entry: &Entry, kind: &'static str, reason: &'static str, message: String) -> Action {
    Action::Event(EventNote { regarding: ObjectRef::to("v1", of, entry), kind, reason, message, component: COMPONENT })
}
