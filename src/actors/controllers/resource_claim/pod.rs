//! What is to be done about the claims of a pod.
use super::{CLAIMS, FOR_ENTRY, Meant, TEMPLATES, is_done, list, meant};
use crate::actors::controllers::plan::{Action, Creation, EventNote, ObjectRef, Patch, Plan, Report};
use crate::actors::controllers::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::{Value, json};
use std::sync::Arc;

const COMPONENT: &str = "resource_claim";
const FAILED: &str = "FailedResourceClaimCreation";
/// Longest beginning of a generated name: five letters follow, and a name of a claim has 63.
const BASE_MAX: usize = 57;
/// How many may use a claim.
const CONSUMERS_MAX: usize = 256;

/// Decides about one pod.
pub fn plan(pod: &Entry, world: &dyn World) -> Plan {
    let mut plan = Plan::quiet();
    if pod.meta.deleting.is_some() || is_done(pod) {
        return plan;
    }
    let object = pod.parse();
    let mut statuses = list(&object["status"]["resourceClaimStatuses"]).to_vec();
    let before = statuses.clone();
    for entry in list(&object["spec"]["resourceClaims"]) {
        provide(pod, &object, entry, &mut statuses, world, &mut plan);
    }
    if statuses != before {
        plan.actions.push(Action::Patch(Patch {
            kind: "pods".into(),
            key: pod.key.clone(),
            uid: Some(pod.meta.uid.clone()),
            subresource: Some("status"),
            patch: json!({ "status": { "resourceClaimStatuses": statuses } }),
            expect_revision: Some(pod.revision),
        }));
    }
    // Until it has a node, the scheduler reserves what it allocates.
    if matches!(&pod.light, Light::Pod(light) if !light.node.is_empty()) {
        reserve(pod, &object, world, &mut plan);
    }
    if !plan.actions.is_empty() {
        plan.why = format!("pod {}: its resource claims", pod.key);
    }
    plan
}

/// Sees to it that there is a claim for one of the pod's entries.
fn provide(pod: &Entry, object: &Value, entry: &Value, statuses: &mut Vec<Value>, world: &dyn World, plan: &mut Plan) {
    let called = entry["name"].as_str().unwrap_or_default();
    let at = |name: &str| ObjectKey::new(pod.key.namespace.clone(), name);
    match meant(object, entry) {
        Meant::Nothing | Meant::Named(_) => return,
        // Made, and still there; one that is somebody else's by now is not ours.
        Meant::Own(name) if world.get(CLAIMS, &at(name)).is_some_and(|claim| is_of(&claim, pod)) => return,
        Meant::Own(_) | Meant::Missing => {}
    }
    let Some(template) = entry["resourceClaimTemplateName"].as_str() else { return };
    let made = own_claims(pod, world).into_iter().find(|claim| claim.parse()["metadata"]["annotations"][FOR_ENTRY] == called);
    if let Some(claim) = made {
        statuses.retain(|status| status["name"] != called);
        statuses.push(json!({ "name": called, "resourceClaimName": &*claim.key.name }));
        return;
    }
    match world.get(TEMPLATES, &at(template)) {
        Some(found) => plan.actions.push(create(pod, called, &found.parse()["spec"])),
        None => plan.actions.push(Action::Event(EventNote {
            regarding: ObjectRef::to("v1", "Pod", pod),
            kind: "Warning",
            reason: FAILED,
            message: format!(
                "PodResourceClaim {called}: resource claim template {template:?}: resourceclaimtemplate.resource.k8s.io {template:?} not found"
            ),
            component: COMPONENT,
        })),
    }
}

/// The claims that were made for the pod.
pub fn own_claims(pod: &Entry, world: &dyn World) -> Vec<Arc<Entry>> {
    let mut claims = world.list(CLAIMS, Some(&pod.key.namespace));
    claims.retain(|claim| is_of(claim, pod));
    claims
}

fn is_of(claim: &Entry, pod: &Entry) -> bool {
    claim.meta.controller().is_some_and(|owner| owner.uid == pod.meta.uid)
}

fn create(pod: &Entry, called: &str, template: &Value) -> Action {
    let mut annotations = template["metadata"]["annotations"].clone();
    if !annotations.is_object() {
        annotations = json!({});
    }
    annotations[FOR_ENTRY] = called.into();
    let mut meta = json!({
        "generateName": base(&pod.key.name, called), "annotations": annotations,
        "ownerReferences": [{
            "apiVersion": "v1", "kind": "Pod", "name": &*pod.key.name, "uid": &*pod.meta.uid, "controller": true, "blockOwnerDeletion": true,
        }],
    });
    if template["metadata"]["labels"].is_object() {
        meta["labels"] = template["metadata"]["labels"].clone();
    }
    Action::Create(Creation {
        kind: CLAIMS.into(),
        namespace: pod.key.namespace.clone(),
        object: json!({ "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": meta, "spec": template["spec"] }),
        report: Some(Report {
            regarding: ObjectRef::to("v1", "Pod", pod),
            component: COMPONENT,
            success: ("", "".into()),
            failure: (FAILED, format!("PodResourceClaim {called}: create ResourceClaim : {{}}").into()),
        }),
    })
}

/// `<pod>-<entry>-`; both parts are cut alike when that is too long.
fn base(pod: &str, called: &str) -> String {
    let whole = format!("{pod}-{called}-");
    if whole.len() <= BASE_MAX {
        return whole;
    }
    let part = |text: &str| text.chars().take(text.len() * BASE_MAX / whole.len()).collect::<String>();
    format!("{}-{}", part(pod), part(called))
}

/// A pod that got its node past the scheduler uses what is allocated all the same.
fn reserve(pod: &Entry, object: &Value, world: &dyn World, plan: &mut Plan) {
    for entry in list(&object["spec"]["resourceClaims"]) {
        let (name, own) = match meant(object, entry) {
            Meant::Named(name) => (name, false),
            Meant::Own(name) => (name, true),
            Meant::Nothing | Meant::Missing => continue,
        };
        let Some(claim) = world.get(CLAIMS, &ObjectKey::new(pod.key.namespace.clone(), name)) else { return };
        let status = claim.parse()["status"].take();
        let users = list(&status["reservedFor"]);
        let reserved = users.iter().any(|user| user["uid"] == *pod.meta.uid);
        if (own && !is_of(&claim, pod)) || status["allocation"].is_null() || reserved || users.len() >= CONSUMERS_MAX {
            continue;
        }
        let mut users = users.to_vec();
        users.push(json!({ "resource": "pods", "name": &*pod.key.name, "uid": &*pod.meta.uid }));
        plan.actions.push(Action::Patch(Patch {
            kind: CLAIMS.into(),
            key: claim.key.clone(),
            uid: Some(claim.meta.uid.clone()),
            subresource: Some("status"),
            patch: json!({ "status": { "reservedFor": users } }),
            expect_revision: Some(claim.revision),
        }));
    }
}
