//! PodSecurity: the pod security standards, by the labels of the namespace. Levels, versions, checks and words are upstream's.
mod baseline;
mod checks;
mod policy;
mod restricted;

use super::notes::note;
use super::plugins::World;
use super::refusal::{forbidden, is, list, text};
use crate::actors::kinds::{Attributes, Operation};
use crate::protocol::status::ApiError;
use crate::storage::Entry;
use checks::{Finding, evaluate};
use policy::{Level, LevelVersion, Policy, compare};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Pods of a namespace that are looked at when its level is raised.
const PODS_CHECKED: usize = 3000;

/// Judges pods, what makes pods, and namespaces. Answers warnings.
pub fn validate(a: &Attributes<'_>, object: &Value, old: Option<&Value>, world: &World) -> Result<Vec<String>, ApiError> {
    if is(a, "", "namespaces") {
        return namespace(a, object, old, world);
    }
    let pod = is(a, "", "pods") || (a.kind.resource.plural == "pods" && matches!(a.subresource, "ephemeralcontainers" | "resize"));
    if pod {
        return match old {
            Some(old) if !significant(object, old) => Ok(Vec::new()),
            _ => judge(a, object, (&object["metadata"], &object["spec"]), world, true),
        };
    }
    match template(a, object) {
        Some(template) => judge(a, object, template, world, false),
        None => Ok(Vec::new()),
    }
}

/// The metadata and specification of the pods that an object makes.
fn template<'a>(a: &Attributes<'_>, object: &'a Value) -> Option<(&'a Value, &'a Value)> {
    if !a.subresource.is_empty() {
        return None;
    }
    let resource = &a.kind.resource;
    let template = match (resource.group, resource.plural) {
        ("", "podtemplates") => &object["template"],
        ("", "replicationcontrollers") | ("apps", "replicasets" | "deployments" | "statefulsets" | "daemonsets") | ("batch", "jobs") => {
            &object["spec"]["template"]
        }
        ("batch", "cronjobs") => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => return None,
    };
    template["spec"].is_object().then(|| (&template["metadata"], &template["spec"]))
}

fn judge(a: &Attributes<'_>, object: &Value, pod: (&Value, &Value), world: &World, enforce: bool) -> Result<Vec<String>, ApiError> {
    // A missing namespace is the write path's to tell.
    let Some(namespace) = world.namespace(&a.key.namespace) else { return Ok(Vec::new()) };
    let (policy, _) = policy_of(&namespace);
    if enforce {
        note("pod-security.kubernetes.io/enforce-policy", policy.enforce.to_string());
        let findings = evaluate(policy.enforce, pod.0, pod.1);
        if !findings.is_empty() {
            let why = format!("violates PodSecurity \"{}\": {}", policy.enforce, details(&findings));
            return Err(forbidden(a, Some(object), &why));
        }
    }
    let audit = evaluate(policy.audit, pod.0, pod.1);
    if !audit.is_empty() {
        let why = format!("would violate PodSecurity \"{}\": {}", policy.audit, details(&audit));
        note("pod-security.kubernetes.io/audit-violations", why);
    }
    let warn = evaluate(policy.warn, pod.0, pod.1);
    if warn.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!("would violate PodSecurity \"{}\": {}", policy.warn, details(&warn))])
}

fn policy_of(namespace: &Entry) -> (Policy, Vec<crate::protocol::status::FieldError>) {
    policy::parse(|label| namespace.meta.label(label).map(String::from))
}

/// Labels must be right, and who raises the level hears which pods would not have been let in.
fn namespace(a: &Attributes<'_>, object: &Value, old: Option<&Value>, world: &World) -> Result<Vec<String>, ApiError> {
    let of = |object: &Value| policy::parse(|label| object["metadata"]["labels"][label].as_str().map(String::from));
    let (new, errors) = of(object);
    let invalid = || Err(ApiError::invalid("", "Namespace", &a.key.name, &errors));
    let Some(old) = old.filter(|_| a.operation == Operation::Update) else {
        return if errors.is_empty() { Ok(Vec::new()) } else { invalid() };
    };
    let (before, held) = of(old);
    if !errors.is_empty() && errors != held {
        return invalid();
    }
    let same_version = new.enforce.version == before.enforce.version;
    if new.enforce == before.enforce
        || new.enforce.level == Level::Privileged
        || (same_version && compare(new.enforce.level, before.enforce.level).is_le())
    {
        return Ok(Vec::new());
    }
    Ok(existing(&a.key.name, new.enforce, world))
}

/// What is wrong with the pods that a namespace holds, told once for those alike.
fn existing(namespace: &str, enforce: LevelVersion, world: &World) -> Vec<String> {
    let snapshot = world.pods.snapshot();
    let (pods, total) = prioritized(snapshot.iter_namespace(namespace));
    let mut found: BTreeMap<String, (Arc<str>, usize)> = BTreeMap::new();
    for pod in pods.iter().take(PODS_CHECKED) {
        let object = pod.parse();
        let findings = evaluate(enforce, &object["metadata"], &object["spec"]);
        if findings.is_empty() {
            continue;
        }
        let reasons: Vec<&str> = findings.iter().map(|f| f.reason.as_str()).collect();
        let held = found.entry(reasons.join(", ")).or_insert_with(|| (pod.key.name.clone(), 0));
        held.0 = held.0.clone().min(pod.key.name.clone());
        held.1 += 1;
    }
    let mut warnings = Vec::new();
    if total > PODS_CHECKED {
        warnings.push(format!("new PodSecurity enforce level only checked against the first {PODS_CHECKED} of {total} existing pods"));
    }
    if !found.is_empty() {
        warnings.push(format!("existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{enforce}\""));
    }
    let mut lines: Vec<String> = found
        .into_iter()
        .map(|(reasons, (name, count))| match count {
            1 => format!("{name}: {reasons}"),
            2 => format!("{name} (and 1 other pod): {reasons}"),
            _ => format!("{name} (and {} other pods): {reasons}", count - 1),
        })
        .collect();
    lines.sort();
    warnings.extend(lines);
    warnings
}

/// One pod of each controller first, the rest after; with how many there are.
fn prioritized<'a>(pods: impl Iterator<Item = &'a Arc<Entry>>) -> (Vec<&'a Arc<Entry>>, usize) {
    let mut seen = HashSet::new();
    let (mut first, rest): (Vec<_>, Vec<_>) =
        pods.partition(|pod| pod.meta.controller().is_none_or(|owner| seen.insert(owner.uid.clone())));
    first.extend(rest);
    let total = first.len();
    (first, total)
}

/// Only images, and containers that were added, can make a pod worse.
fn significant(pod: &Value, old: &Value) -> bool {
    let changed = |field: &str| {
        let (new, old) = (list(&pod["spec"], field), list(&old["spec"], field));
        new.len() != old.len() || new.iter().zip(old).any(|(n, o)| n["image"] != o["image"])
    };
    let held = list(&old["spec"], "ephemeralContainers");
    let ephemeral = list(&pod["spec"], "ephemeralContainers").iter().any(|new| {
        let old = held.iter().find(|o| text(o, "name") == text(new, "name"));
        old.is_none_or(|o| o["image"] != new["image"])
    });
    changed("containers") || changed("initContainers") || ephemeral
}

fn details(findings: &[Finding]) -> String {
    let one = |f: &Finding| if f.detail.is_empty() { f.reason.clone() } else { format!("{} ({})", f.reason, f.detail) };
    findings.iter().map(one).collect::<Vec<_>>().join(", ")
}
