//! Namespace deletion: what is in a terminating namespace goes, pods first; then the namespace's own finalizer.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Deletion, Failure, Patch, Plan, Propagation};
use super::runner::{Controller, Key};
use super::world::World;
use crate::actors::aggregation::{self, Cleared, RemoteContent};
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const FINALIZER: &str = "kubernetes";
const PODS: &str = "pods";

/// What is left, by `resource.group`: shelf and object.
type Remaining = BTreeMap<String, Vec<(Arc<str>, Arc<Entry>)>>;

/// What extension API servers have to do with a namespace that goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Group versions of which it is not known what they keep: nobody answers for them.
    pub unknown: Vec<String>,
    /// What they still keep in the namespace.
    pub left: Vec<String>,
    /// They are being asked.
    pub pending: bool,
}

/// How soon others are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Decides about one namespace. Pods go first and gracefully, so that nothing they rely on vanishes under them; the rest
/// follows when they are gone. As long as something is, or may be, elsewhere, the namespace stays.
pub fn plan(namespace: &Entry, world: &dyn World, elsewhere: &dyn Fn() -> Elsewhere, now: Timestamp) -> Plan {
    if namespace.meta.deleting.is_none() {
        return Plan::quiet();
    }
    let object = namespace.parse();
    let finalizers: Vec<&Value> = object["spec"]["finalizers"].as_array().into_iter().flatten().collect();
    if !finalizers.iter().any(|f| *f == FINALIZER) {
        return Plan::quiet();
    }
    let mut remaining = Remaining::new();
    for info in world.kinds().into_iter().filter(|k| k.namespaced) {
        let entries = world.list(&info.shelf, Some(&namespace.key.name));
        if !entries.is_empty() {
            let group = format!("{}.{}", info.resource, info.group);
            remaining.insert(group, entries.into_iter().map(|e| (info.shelf.clone(), e)).collect());
        }
    }
    let elsewhere = elsewhere();
    let nothing_elsewhere = elsewhere == Elsewhere::default();
    if remaining.is_empty() && nothing_elsewhere {
        return finalize(namespace, &finalizers);
    }
    let is_pod = |(kind, _): &(Arc<str>, Arc<Entry>)| **kind == *PODS;
    if remaining.values().flatten().any(is_pod) {
        // As long as there are pods, nothing else is looked at, and nothing else is told of.
        remaining.retain(|_, all| all.iter().any(is_pod));
    }
    let doomed = remaining.values().flatten().filter(|(_, e)| e.meta.deleting.is_none());
    let mut plan = Plan::quiet();
    plan.actions.extend(doomed.map(|(kind, e)| delete(kind, e)));
    if !plan.actions.is_empty() {
        plan.why = format!("namespace {}: deleting {} objects", namespace.key.name, plan.actions.len());
    }
    plan.actions.extend(conditions(namespace, &object["status"]["conditions"], &remaining, &elsewhere, now));
    if !nothing_elsewhere {
        plan.requeue(ASK_AGAIN);
    }
    plan
}

fn delete(kind: &Arc<str>, entry: &Entry) -> Action {
    let (key, uid) = (entry.key.clone(), entry.meta.uid.clone());
    Action::Delete(Deletion { kind: kind.clone(), key, uid, propagation: Propagation::Background, grace: None, report: None })
}

fn finalize(namespace: &Entry, finalizers: &[&Value]) -> Plan {
    let rest: Vec<&&Value> = finalizers.iter().filter(|f| **f != FINALIZER).collect();
    let patch = patch(namespace, "finalize", json!({"spec": {"finalizers": rest}}));
    Plan { actions: vec![patch], requeue_after: None, why: format!("namespace {}: empty, removing its finalizer", namespace.key.name) }
}

/// The status patch that says what still remains, when it says anything new.
fn conditions(namespace: &Entry, current: &Value, remaining: &Remaining, elsewhere: &Elsewhere, now: Timestamp) -> Option<Action> {
    let mut counts: Vec<String> = remaining.iter().map(|(group, all)| format!("{group} has {} resource instances", all.len())).collect();
    counts.extend(elsewhere.left.iter().cloned());
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    for finalizer in remaining.values().flatten().flat_map(|(_, e)| e.meta.finalizers.iter()) {
        *held.entry(finalizer).or_default() += 1;
    }
    let held: Vec<String> = held.iter().map(|(finalizer, count)| format!("{finalizer} in {count} resource instances")).collect();
    let finalizers = match held.is_empty() {
        true => ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_string()),
        false => ("True", "SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {}", held.join(", "))),
    };
    let content = match counts.is_empty() {
        true => ("False", "ContentRemoved", "All content successfully removed".to_string()),
        false => ("True", "SomeResourcesRemain", format!("Some resources are remaining: {}", counts.join(", "))),
    };
    let wanted = [
        ("NamespaceDeletionDiscoveryFailure", discovery(&elsewhere.unknown)),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            ("False", "ParsedGroupVersions", "All legacy kube types successfully parsed".to_string()),
        ),
        (
            "NamespaceDeletionContentFailure",
            ("False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization".to_string()),
        ),
        ("NamespaceContentRemaining", content),
        ("NamespaceFinalizersRemaining", finalizers),
    ];
    let mut list: Vec<Value> = current.as_array().cloned().unwrap_or_default();
    let mut changed = false;
    for (kind, (status, reason, message)) in wanted {
        let old = list.iter().position(|c| c["type"] == kind);
        let same = old.and_then(|i| list.get(i)).is_some_and(|c| c["status"] == status && c["message"] == message.as_str());
        if same {
            continue;
        }
        changed = true;
        let kept = old.and_then(|i| list.get(i)).filter(|c| c["status"] == status).map(|c| c["lastTransitionTime"].clone());
        let since = kept.unwrap_or_else(|| rfc3339(now).into());
        let condition = json!({"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message});
        match old.and_then(|i| list.get_mut(i)) {
            Some(place) => *place = condition,
            None => list.push(condition),
        }
    }
    changed.then(|| patch(namespace, "status", json!({"status": {"conditions": list}})))
}

/// Whether it is known what there is to delete.
fn discovery(unknown: &[String]) -> (&'static str, &'static str, String) {
    if unknown.is_empty() {
        return ("False", "ResourcesDiscovered", "All resources successfully discovered".into());
    }
    let stale: Vec<String> = unknown.iter().map(|gv| format!("{gv}: stale GroupVersion discovery: {gv}")).collect();
    let why = format!(
        "Discovery failed for some groups, {} failing: unable to retrieve the complete list of server APIs: {}",
        unknown.len(),
        stale.join(", ")
    );
    ("True", "DiscoveryFailed", why)
}

fn patch(namespace: &Entry, subresource: &'static str, patch: Value) -> Action {
    Action::Patch(Patch {
        kind: "namespaces".into(),
        key: namespace.key.clone(),
        uid: Some(namespace.meta.uid.clone()),
        subresource: Some(subresource),
        patch,
        expect_revision: None,
    })
}

/// The controller around [`plan`].
pub struct Namespaces {
    /// What lies with extension API servers; `None` when there are none.
    pub remote: Option<Arc<dyn RemoteContent>>,
}

impl Namespaces {
    fn elsewhere(&self, namespace: &str, world: &dyn World) -> Elsewhere {
        let Some(remote) = &self.remote else { return Elsewhere::default() };
        let services = world.list(aggregation::SHELF, None);
        let mut found = Elsewhere::default();
        for object in services.iter().map(|e| e.parse()).filter(|o| o["spec"]["service"].is_object()) {
            if !object["status"]["conditions"].as_array().is_some_and(|list| list.iter().any(is_available)) {
                let text = |field: &str| object["spec"][field].as_str().unwrap_or_default().to_string();
                found.unknown.push(format!("{}/{}", text("group"), text("version")));
            }
        }
        match remote.clear(namespace) {
            Cleared::Clean => {}
            Cleared::Pending => found.pending = true,
            Cleared::Left(left) => found.left = left,
        }
        found
    }
}

fn is_available(condition: &Value) -> bool {
    condition["type"] == "Available" && condition["status"] == "True"
}

impl Controller for Namespaces {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    /// Everything: the last object to leave lets its namespace go.
    fn watches(&self, _kind: &str) -> bool {
        true
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        if &*change.kind == aggregation::SHELF {
            let waiting = world.list("namespaces", None).into_iter().filter(|n| n.meta.deleting.is_some());
            out.extend(waiting.map(|n| Key::of("namespaces", &n.key)));
        } else if &*change.kind == "namespaces" {
            out.push(Key::of("namespaces", &change.entry.key));
        } else if !change.entry.key.namespace.is_empty() {
            let key = ObjectKey::new("", change.entry.key.namespace.clone());
            if world.get("namespaces", &key).is_some_and(|n| n.meta.deleting.is_some()) {
                out.push(Key { kind: "namespaces".into(), object: key });
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(namespace) = world.get(&key.kind, &key.object) else {
            if let Some(remote) = &self.remote {
                remote.forget(&key.object.name);
            }
            return Plan::quiet();
        };
        plan(&namespace, world, &|| self.elsewhere(&key.object.name, world), now)
    }
}
