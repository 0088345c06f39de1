//! Claims that ask for more than their volume has. Nothing built in can enlarge a volume: drivers do that with a resizer of their own,
//! and the claim says that it is waited for.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, EventNote, Failure, ObjectRef, Plan};
use super::runner::{Controller, Key};
use super::volume_binder::facts::{BEFORE_RESIZE, CLAIMS, VOLUMES};
use super::world::World;
use crate::protocol::light::quantity_in;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Decides about one claim.
pub fn plan(claim: &Entry, world: &dyn World) -> Plan {
    let object = claim.parse();
    let volume = world.get(VOLUMES, &ObjectKey::new("", object["spec"]["volumeName"].as_str().unwrap_or_default()));
    let volume = volume.map(|entry| entry.parse()).unwrap_or_default();
    let ours = volume["spec"]["claimRef"]["uid"] == *claim.meta.uid;
    let more = wanted(&object).is_some() || volume["metadata"]["annotations"][BEFORE_RESIZE].is_string();
    if !ours || !more {
        return Plan::quiet();
    }
    let note = EventNote {
        regarding: ObjectRef::to("v1", "PersistentVolumeClaim", claim),
        kind: "Normal",
        reason: "ExternalExpanding",
        message: "waiting for an external controller to expand this PVC".into(),
        component: "volume_expand",
    };
    Plan { actions: vec![Action::Event(note)], why: format!("claim {}: waits to be expanded", claim.key), ..Plan::quiet() }
}

/// How much a bound claim asks for, bytes, when that is more than it has.
fn wanted(object: &Value) -> Option<i64> {
    let size = |amount: &Value| quantity_in(&amount["storage"], "storage");
    let (wanted, has) = (size(&object["spec"]["resources"]["requests"]), size(&object["status"]["capacity"]));
    (object["status"]["phase"] == "Bound" && wanted > has).then_some(wanted)
}

/// The controller around [`plan`].
#[derive(Default)]
pub struct VolumeExpand {
    /// Claims that ask for more, by uid, with how much: each is told once.
    asking: RefCell<HashMap<Arc<str>, i64>>,
}

impl Controller for VolumeExpand {
    fn name(&self) -> &'static str {
        "persistentvolumeexpander"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == CLAIMS
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        let (entry, mut asking) = (&change.entry, self.asking.borrow_mut());
        match wanted(&entry.parse()).filter(|_| !change.deleted) {
            None => drop(asking.remove(&entry.meta.uid)),
            Some(size) => {
                if asking.insert(entry.meta.uid.clone(), size) != Some(size) {
                    out.push(Key::of(CLAIMS, &entry.key));
                }
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |claim| plan(&claim, world))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, Model, key};
    use super::*;
    use serde_json::json;

    #[test]
    fn who_asks_for_more_is_told_once() {
        let (model, mut controller) = (Model::default(), VolumeExpand::default());
        let mut bench = Bench::new(&model, &mut controller);
        model.put(VOLUMES, json!({"metadata": {"name": "v"}, "spec": {"claimRef": {"uid": "c"}}}));
        let claim = json!({"metadata": {"name": "c", "namespace": "default", "uid": "c"},
            "spec": {"volumeName": "v", "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
        model.put(CLAIMS, claim);
        assert_eq!((bench.converge(&mut controller, 0), model.events().len()), (0, 0));
        model.edit(CLAIMS, &key("c"), json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}));
        model.edit(CLAIMS, &key("c"), json!({"metadata": {"labels": {"a": "b"}}}));
        bench.converge(&mut controller, 0);
        assert_eq!(model.events().iter().map(|e| e.reason).collect::<Vec<_>>(), ["ExternalExpanding"]);
    }
}
