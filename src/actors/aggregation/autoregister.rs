//! The APIServices of what this server answers itself: every built-in group version from the start, those of definitions as they
//! come and go.
use super::SHELF;
use crate::actors::controllers::feed::Change;
use crate::actors::controllers::index::Parts;
use crate::actors::controllers::plan::{Action, Creation, Deletion, Failure, Patch, Plan, Propagation};
use crate::actors::controllers::runner::{Controller, Key};
use crate::actors::controllers::world::World;
use crate::actors::kinds::apiextensions::SHELF as DEFINITIONS;
use crate::actors::kinds::{Body, Kinds};
use crate::protocol::legacy;
use crate::protocol::meta::ObjectKey;
use crate::storage::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};

/// Says that an APIService is kept by the server: `onstart` or `true`.
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
/// The namespace whose appearance starts everything: it is there as long as the cluster is.
const ANCHOR: &str = "default";
/// Upstream's priorities of built-in groups.
const GROUPS: &[(&str, i64)] = &[
    ("", 18000),
    ("apps", 17800),
    ("events.k8s.io", 17750),
    ("authentication.k8s.io", 17700),
    ("authorization.k8s.io", 17600),
    ("autoscaling", 17500),
    ("batch", 17400),
    ("certificates.k8s.io", 17300),
    ("networking.k8s.io", 17200),
    ("policy", 17100),
    ("rbac.authorization.k8s.io", 17000),
    ("storage.k8s.io", 16800),
    ("apiextensions.k8s.io", 16700),
    ("admissionregistration.k8s.io", 16700),
    ("scheduling.k8s.io", 16600),
    ("coordination.k8s.io", 16500),
    ("node.k8s.io", 16300),
    ("discovery.k8s.io", 16200),
    ("flowcontrol.apiserver.k8s.io", 16100),
    ("resource.k8s.io", 15900),
];
/// Groups of reviews, which are answered and not stored.
const REVIEWS: [(&str, &str); 2] = [("authentication.k8s.io", "v1"), ("authorization.k8s.io", "v1")];

/// Group and version.
type Gv = (String, String);

/// The built-in group versions that the API serves.
pub fn built_in(kinds: &Kinds) -> BTreeSet<Gv> {
    let served = kinds.iter().filter(|s| matches!(s.kind.body, Body::Typed(_)) && !legacy::is_removed(&s.kind.resource));
    let served = served.map(|s| (s.kind.resource.group.to_string(), s.kind.resource.version.to_string()));
    let reviews = REVIEWS.map(|(group, version)| (group.to_string(), version.to_string()));
    served.chain(reviews).filter(|(group, _)| priority(group).is_some()).collect()
}

fn priority(group: &str) -> Option<i64> {
    GROUPS.iter().find(|(name, _)| *name == group).map(|(_, priority)| *priority)
}

/// Stable before beta before alpha; of several stable ones the newer first.
fn version_priority(group: &str, version: &str) -> i64 {
    match (group, version) {
        ("", _) => 1,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io", "v1") => 21,
        (_, version) if version.contains("alpha") => 1,
        (_, version) if version.contains("beta") => 9,
        _ => 15,
    }
}

/// The controller.
pub struct Autoregister {
    built_in: BTreeSet<Gv>,
    /// Built-in ones that were looked at since the start.
    settled: HashSet<String>,
}

impl Autoregister {
    pub fn new(built_in: BTreeSet<Gv>) -> Self {
        Autoregister { built_in, settled: HashSet::new() }
    }

    /// The APIService that is to be there under a name, and whether it is a definition's.
    fn wanted(&self, name: &str, world: &dyn World) -> Option<(Value, bool)> {
        let (version, group) = name.split_once('.')?;
        if self.built_in.contains(&(group.to_string(), version.to_string())) {
            return Some((object(group, version, priority(group)?, version_priority(group, version), "onstart"), false));
        }
        let definitions = world.list(DEFINITIONS, None);
        let of_group = definitions.iter().filter(|e| e.key.name.split_once('.').is_some_and(|(_, g)| g == group));
        let served = of_group.into_iter().any(|e| versions(&e.parse()).iter().any(|v| v == version));
        served.then(|| (object(group, version, 1000, 100, "true"), true))
    }
}

fn object(group: &str, version: &str, group_priority: i64, version_priority: i64, managed: &str) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": { "name": format!("{version}.{group}"), "labels": { MANAGED: managed } },
        "spec": { "group": group, "version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority },
    })
}

/// The versions that a definition serves.
fn versions(crd: &Value) -> Vec<String> {
    let versions = crd["spec"]["versions"].as_array().into_iter().flatten().filter(|v| v["served"] == true);
    versions.filter_map(|v| v["name"].as_str().map(String::from)).collect()
}

/// What is done about an APIService.
pub fn plan(name: &str, wanted: Option<&Value>, held: Option<&Entry>) -> Plan {
    let mut plan = Plan::quiet();
    match (wanted, held) {
        (Some(wanted), None) => {
            plan.why = format!("apiservice {name}: missing");
            let creation = Creation { kind: SHELF.into(), namespace: "".into(), object: wanted.clone(), report: None };
            plan.actions.push(Action::Create(creation));
        }
        (Some(wanted), Some(held)) if held.meta.label(MANAGED).is_some() && held.meta.deleting.is_none() => {
            let object = held.parse();
            let differs = |field: &str| object["spec"][field] != wanted["spec"][field];
            if ["group", "version", "groupPriorityMinimum", "versionPriority", "service"].into_iter().any(differs) {
                plan.why = format!("apiservice {name}: not as it should be");
                let mut spec = wanted["spec"].clone();
                for field in ["service", "caBundle", "insecureSkipTLSVerify"] {
                    spec[field] = Value::Null;
                }
                plan.actions.push(Action::Patch(Patch {
                    kind: SHELF.into(),
                    key: held.key.clone(),
                    uid: Some(held.meta.uid.clone()),
                    subresource: None,
                    patch: json!({ "spec": spec }),
                    expect_revision: Some(held.revision),
                }));
            }
        }
        (None, Some(held)) if held.meta.label(MANAGED) == Some("true") && held.meta.deleting.is_none() => {
            plan.why = format!("apiservice {name}: its definition is gone");
            let (key, uid) = (held.key.clone(), held.meta.uid.clone());
            let propagation = Propagation::Background;
            plan.actions.push(Action::Delete(Deletion { kind: SHELF.into(), key, uid, propagation, grace: None, report: None }));
        }
        _ => {}
    }
    plan
}

impl Controller for Autoregister {
    fn name(&self) -> &'static str {
        "autoregister"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, SHELF | DEFINITIONS | "namespaces")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let key = |name: String| Key::of(SHELF, &ObjectKey::new("", name));
        match &*change.kind {
            SHELF => out.push(Key::of(SHELF, &change.entry.key)),
            DEFINITIONS => {
                let crd = change.entry.parse();
                let group = crd["spec"]["group"].as_str().unwrap_or_default();
                out.extend(versions(&crd).into_iter().map(|version| key(format!("{version}.{group}"))));
                // A version that is served no longer is known by what was made for it.
                let end = format!(".{group}");
                out.extend(world.list(SHELF, None).iter().filter(|e| e.key.name.ends_with(&end)).map(|e| Key::of(SHELF, &e.key)));
            }
            _ if &*change.entry.key.name == ANCHOR => {
                out.extend(self.built_in.iter().map(|(group, version)| key(format!("{version}.{group}"))));
            }
            _ => {}
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, failure: Option<&Failure>) -> Plan {
        let name = &*key.object.name;
        let wanted = self.wanted(name, world);
        // Built-in ones are put in order once, at the start; then they are for people to change.
        if wanted.as_ref().is_some_and(|(_, defined)| !defined) && !self.settled.insert(name.to_string()) && failure.is_none() {
            return Plan::quiet();
        }
        plan(name, wanted.as_ref().map(|(object, _)| object), world.get(SHELF, &key.object).as_deref())
    }
}
