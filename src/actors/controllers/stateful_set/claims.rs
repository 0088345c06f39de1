//! The claims of stateful pods: made with them, kept or given away with them as the retention policy says.
use super::{FAMILY, Set, identity, meta_patch};
use crate::actors::controllers::plan::{Creation, Plan, Prerequisite};
use crate::actors::controllers::replication::Pod;
use crate::protocol::meta::ObjectKey;
use serde_json::{Value, json};

pub const SHELF: &str = "persistentvolumeclaims";

fn templates<'a>(set: &'a Set<'_>) -> impl Iterator<Item = (&'a Value, String)> {
    let templates = set.object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
    templates.map(|template| (template, template["metadata"]["name"].as_str().unwrap_or_default().to_string()))
}

fn claim_name(set: &Set<'_>, template: &str, ordinal: i64) -> String {
    format!("{template}-{}", identity::pod_name(&set.entry.key.name, ordinal))
}

/// A pod's volumes: its claims, and those of the template with other names.
pub fn volumes(set: &Set<'_>, ordinal: i64, given: &Value) -> Vec<Value> {
    let mut volumes: Vec<Value> = templates(set)
        .map(|(_, name)| json!({ "name": name, "persistentVolumeClaim": { "claimName": claim_name(set, &name, ordinal) } }))
        .collect();
    let own = given.as_array().into_iter().flatten().filter(|v| templates(set).all(|(_, name)| v["name"] != name.as_str()));
    volumes.extend(own.cloned());
    volumes
}

/// The claims of one pod that are not there yet.
pub fn missing(set: &Set<'_>, ordinal: i64) -> Vec<Prerequisite> {
    let mut needs = Vec::new();
    let pod = identity::pod_name(&set.entry.key.name, ordinal);
    for (template, base) in templates(set) {
        let name = claim_name(set, &base, ordinal);
        if set.world.get(SHELF, &ObjectKey::new(set.entry.key.namespace.clone(), name.as_str())).is_some() {
            continue;
        }
        let mut meta = json!({ "name": name });
        let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        labels.extend(set.object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        meta["labels"] = labels.into();
        if template["metadata"]["annotations"].is_object() {
            meta["annotations"] = template["metadata"]["annotations"].clone();
        }
        if policy(set, "whenDeleted") {
            meta["ownerReferences"] = json!([FAMILY.reference(set.entry)]);
        }
        let of = format!("Pod {pod} in StatefulSet {}", set.entry.key.name);
        let report = FAMILY.report(
            set.entry,
            ("SuccessfulCreate", format!("create Claim {{}} {of} success")),
            ("FailedCreate", format!("create Claim {name} for {of} failed error: {{}}")),
        );
        let creation = Creation {
            kind: SHELF.into(),
            namespace: set.entry.key.namespace.clone(),
            object: json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"] }),
            report: Some(report),
        };
        needs.push(Prerequisite { creation, failure: format!("failed to create PVC {name}: ") });
    }
    needs
}

/// The claims of a pod that are on their way out: it must not be made with them.
pub fn leaving(set: &Set<'_>, ordinal: i64) -> Vec<String> {
    let name = |(_, base): (&Value, String)| claim_name(set, &base, ordinal);
    let goes = |name: &String| {
        let claim = set.world.get(SHELF, &ObjectKey::new(set.entry.key.namespace.clone(), name.as_str()));
        claim.is_some_and(|claim| claim.meta.deleting.is_some())
    };
    templates(set).map(name).filter(goes).collect()
}

/// Whether a pod that is to be made would get a claim that goes with its predecessor: one that belongs to a pod of that name, of
/// which there is none now. It is waited for, or the new pod would lose its data a moment later.
pub fn stale(set: &Set<'_>, ordinal: i64) -> bool {
    let pod = identity::pod_name(&set.entry.key.name, ordinal);
    policy(set, "whenScaled")
        && templates(set).any(|(_, base)| {
            let key = ObjectKey::new(set.entry.key.namespace.clone(), claim_name(set, &base, ordinal));
            set.world.get(SHELF, &key).is_some_and(|claim| claim.meta.owners.iter().any(|o| &*o.kind == "Pod" && *o.name == *pod))
        })
}

/// Whether a claim has the name of one of a set's: a pod may wait for it to go.
pub fn named_by(set: &str, claim: &str) -> bool {
    claim.rsplit_once('-').is_some_and(|(rest, ordinal)| {
        ordinal.bytes().all(|b| b.is_ascii_digit()) && rest.strip_suffix(set).is_some_and(|template| template.ends_with('-'))
    })
}

/// Whether claims go when the set is deleted, or scaled down.
fn policy(set: &Set<'_>, when: &str) -> bool {
    set.object["spec"]["persistentVolumeClaimRetentionPolicy"][when] == "Delete"
}

/// Makes a pod's claims belong to whatever takes them along: the set, the condemned pod, or nobody. A claim that
/// somebody else controls is left alone.
pub fn keep_owners(set: &Set<'_>, ordinal: i64, pod: &Pod, condemned: bool, plan: &mut Plan) {
    let (deleted, scaled) = (policy(set, "whenDeleted"), policy(set, "whenScaled"));
    let of_pod = scaled && condemned;
    let of_set = deleted && !of_pod;
    for (_, base) in templates(set) {
        let key = ObjectKey::new(set.entry.key.namespace.clone(), claim_name(set, &base, ordinal));
        let Some(claim) = set.world.get(SHELF, &key) else { continue };
        let (set_uid, pod_uid) = (&set.entry.meta.uid, &pod.entry.meta.uid);
        if claim.meta.deleting.is_some() || claim.meta.controller().is_some_and(|c| c.uid != *set_uid && c.uid != *pod_uid) {
            continue;
        }
        let owned = |uid: &str| claim.meta.owners.iter().any(|o| *o.uid == *uid);
        if owned(set_uid) == of_set && owned(pod_uid) == of_pod {
            continue;
        }
        let mut owners = claim.parse()["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        owners.retain(|o| o["uid"] != **set_uid && o["uid"] != **pod_uid);
        if of_set {
            owners.push(FAMILY.reference(set.entry));
        }
        if of_pod {
            owners.push(json!({
                "apiVersion": "v1", "kind": "Pod", "name": &*pod.entry.key.name, "uid": &**pod_uid,
                "controller": true, "blockOwnerDeletion": true,
            }));
        }
        let with = if of_pod { "its pod" } else { "the set" };
        let fate = if of_pod || of_set { format!("goes with {with}") } else { "outlives the set".into() };
        plan.because(FAMILY.subject(set.entry), format_args!("claim {} {fate}", claim.key.name));
        let owners = if owners.is_empty() { Value::Null } else { owners.into() };
        plan.actions.push(meta_patch(SHELF, &claim, json!({ "ownerReferences": owners }), true));
    }
}
