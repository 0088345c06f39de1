//! Takes the finalizers of StorageObjectInUseProtection away from claims that no pod uses, and from volumes that no claim has.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::json;

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const OF_CLAIM: &str = "kubernetes.io/pvc-protection";
const OF_VOLUME: &str = "kubernetes.io/pv-protection";

/// Decides about a claim or volume that is to go.
pub fn plan(kind: &str, entry: &Entry, world: &dyn World) -> Plan {
    let finalizer = if kind == CLAIMS { OF_CLAIM } else { OF_VOLUME };
    let held = entry.meta.finalizers.iter().any(|f| **f == *finalizer);
    if entry.meta.deleting.is_none() || !held || (kind == CLAIMS && used(entry, world)) || (kind == VOLUMES && bound(entry)) {
        return Plan::quiet();
    }
    let rest: Vec<&str> = entry.meta.finalizers.iter().map(|f| &**f).filter(|f| *f != finalizer).collect();
    let patch = Action::Patch(Patch {
        kind: kind.into(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource: None,
        patch: json!({ "metadata": { "finalizers": rest } }),
        expect_revision: Some(entry.revision),
    });
    Plan { actions: vec![patch], why: format!("{kind} {}: nobody uses it any more", entry.key), ..Plan::quiet() }
}

/// A pod that has not come to its end mounts the claim.
fn used(claim: &Entry, world: &dyn World) -> bool {
    world.list("pods", Some(&claim.key.namespace)).iter().any(|pod| !finished(pod) && claims_of(pod).any(|mounted| mounted == claim.key))
}

fn bound(volume: &Entry) -> bool {
    volume.parse()["status"]["phase"] == "Bound"
}

fn finished(pod: &Entry) -> bool {
    matches!(&pod.light, Light::Pod(light) if light.phase.finished())
}

/// The claims that a pod mounts.
pub fn claims_of(pod: &Entry) -> impl Iterator<Item = ObjectKey> {
    let claims = if let Light::Pod(light) = &pod.light { &*light.claims } else { &[] };
    claims.iter().map(|claim| ObjectKey::new(pod.key.namespace.clone(), claim.name.clone()))
}

/// The controller around [`plan`].
pub struct StorageProtection;

impl Controller for StorageProtection {
    fn name(&self) -> &'static str {
        "storageprotection"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, CLAIMS | VOLUMES | "pods")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        match &*change.kind {
            "pods" => {
                let over = change.deleted || finished(entry);
                if over && !world.list(CLAIMS, Some(&entry.key.namespace)).is_empty() {
                    out.extend(claims_of(entry).map(|claim| Key::of(CLAIMS, &claim)));
                }
            }
            kind if entry.meta.deleting.is_some() && !change.deleted => out.push(Key::of(kind, &entry.key)),
            _ => {}
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |entry| plan(&key.kind, &entry, world))
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::Index;
    use super::super::testing::Model;
    use super::super::world::View;
    use super::*;
    use crate::actors::controllers::feed::Objects;

    #[test]
    fn a_claim_stays_while_a_pod_mounts_it() {
        let model = Model::default();
        let going = "2026-01-01T00:00:00Z";
        let claim = json!({ "metadata": { "name": "c", "namespace": "ns", "uid": "c", "deletionTimestamp": going, "finalizers": [OF_CLAIM, "x/y"] } });
        model.put(CLAIMS, claim);
        let pod = |phase: &str| {
            let volumes = json!([{ "name": "v", "persistentVolumeClaim": { "claimName": "c" } }]);
            json!({ "metadata": { "name": "p", "namespace": "ns", "uid": "p" }, "spec": { "volumes": volumes }, "status": { "phase": phase } })
        };
        let planned = || {
            let entry = model.get(CLAIMS, &ObjectKey::new("ns", "c")).expect("the claim");
            plan(CLAIMS, &entry, &View { objects: &model, index: &Index::new(Parts::default()) })
        };
        model.put("pods", pod("Running"));
        assert!(planned().actions.is_empty());
        model.put("pods", pod("Succeeded"));
        let [Action::Patch(patch)] = &planned().actions[..] else { panic!("it is free") };
        assert_eq!(patch.patch, json!({ "metadata": { "finalizers": ["x/y"] } }));
    }
}
