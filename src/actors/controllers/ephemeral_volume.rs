//! Claims that pods bring along: for each generic ephemeral volume the pod's own claim, `<pod>-<volume>`, which goes with the pod.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Creation, EventNote, Failure, ObjectRef, Plan, Report};
use super::runner::{Controller, Key};
use super::storage_protection::claims_of;
use super::volume_binder::facts::CLAIMS;
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};

const COMPONENT: &str = "ephemeral_volume";

/// Decides about one pod.
pub fn plan(pod: &Entry, world: &dyn World) -> Plan {
    let mut plan = Plan::quiet();
    if pod.meta.deleting.is_some() || !mounts(pod) {
        return plan;
    }
    let object = pod.parse();
    for volume in object["spec"]["volumes"].as_array().into_iter().flatten().filter(|v| v["ephemeral"].is_object()) {
        let called = volume["name"].as_str().unwrap_or_default();
        let key = ObjectKey::new(pod.key.namespace.clone(), format!("{}-{called}", pod.key.name));
        match world.get(CLAIMS, &key) {
            None => plan.actions.push(create(pod, called, &key, &volume["ephemeral"]["volumeClaimTemplate"])),
            Some(claim) if claim.meta.controller().is_some_and(|owner| owner.uid == pod.meta.uid) => {}
            Some(_) => {
                let message = format!("ephemeral volume {called}: PVC {key} was not created for pod {} (pod is not owner)", pod.key);
                plan.actions.push(Action::Event(EventNote {
                    regarding: ObjectRef::to("v1", "Pod", pod),
                    kind: "Warning",
                    reason: "FailedBinding",
                    message,
                    component: COMPONENT,
                }));
            }
        }
    }
    if !plan.actions.is_empty() {
        plan.why = format!("pod {}: claims of its own", pod.key);
    }
    plan
}

/// Whether it has, or is to get, claims of its own.
fn mounts(pod: &Entry) -> bool {
    matches!(&pod.light, Light::Pod(light) if light.claims.iter().any(|claim| claim.ephemeral) && !light.phase.finished())
}

fn create(pod: &Entry, volume: &str, key: &ObjectKey, template: &Value) -> Action {
    let mut meta = json!({
        "name": &*key.name,
        "ownerReferences": [{
            "apiVersion": "v1", "kind": "Pod", "name": &*pod.key.name, "uid": &*pod.meta.uid, "controller": true, "blockOwnerDeletion": true,
        }],
    });
    for field in ["labels", "annotations"] {
        if template["metadata"][field].is_object() {
            meta[field] = template["metadata"][field].clone();
        }
    }
    Action::Create(Creation {
        kind: CLAIMS.into(),
        namespace: key.namespace.clone(),
        object: json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"] }),
        report: Some(Report {
            regarding: ObjectRef::to("v1", "Pod", pod),
            component: COMPONENT,
            success: ("", "".into()),
            failure: ("FailedBinding", format!("ephemeral volume {volume}: create PVC {}: {{}}", key.name).into()),
        }),
    })
}

/// The controller around [`plan`].
pub struct EphemeralVolumes;

impl Controller for EphemeralVolumes {
    fn name(&self) -> &'static str {
        "ephemeralvolume"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, CLAIMS | "pods")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        if &*change.kind == "pods" {
            if !change.deleted && mounts(entry) {
                out.push(Key::of("pods", &entry.key));
            }
        } else if change.deleted {
            // A pod may still need it; or it stood in the way of the pod's own.
            let pods = world.list("pods", Some(&entry.key.namespace));
            let named = pods.iter().filter(|pod| mounts(pod) && claims_of(pod).any(|claim| claim == entry.key));
            out.extend(named.map(|pod| Key::of("pods", &pod.key)));
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |pod| plan(&pod, world))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, Model, key, mk_pod};
    use super::*;
    use crate::actors::controllers::feed::Objects;
    use crate::actors::controllers::plan::Propagation;

    #[test]
    fn a_pod_gets_its_own_claim_and_no_other() {
        let model = Model::default();
        let mut bench = Bench::new(&model, &mut EphemeralVolumes);
        let mut pod = mk_pod("p", json!({}));
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        pod["spec"]["volumes"] = json!([{"name": "own", "ephemeral": {"volumeClaimTemplate": template}}, {"name": "tmp", "emptyDir": {}}]);
        model.put(CLAIMS, json!({"metadata": {"name": "p-own", "namespace": "default"}}));
        let entry = model.put("pods", pod);
        bench.converge(&mut EphemeralVolumes, 0);
        let told = model.events();
        let words = "ephemeral volume own: PVC default/p-own was not created for pod default/p (pod is not owner)";
        assert_eq!((told[0].reason, &*told[0].message, told[0].component), ("FailedBinding", words, "ephemeral_volume"));
        // When what stood in the way is gone, the pod gets its own.
        model.delete_now(CLAIMS, &key("p-own"), Propagation::Background);
        bench.converge(&mut EphemeralVolumes, 0);
        let claim = model.get(CLAIMS, &key("p-own")).expect("the claim");
        assert_eq!(claim.meta.controller().map(|o| o.uid.clone()), Some(entry.meta.uid.clone()));
        assert_eq!((claim.meta.label("a"), &claim.parse()["spec"]["accessModes"][0]), (Some("b"), &"ReadWriteOnce".into()));
        assert_eq!(bench.converge(&mut EphemeralVolumes, 0), 0);
    }
}
