//! The checks that the restricted level adds.
use super::baseline::{proc_mount, seccomp_types};
use super::checks::{Check, Finding, Pod, containers, named, plural, quoted, setters, strangers};
use crate::actors::admission::refusal::{list, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every check, by upstream's names.
pub fn all() -> [Check; 7] {
    [allow_privilege_escalation, capabilities, proc_mount_restricted, volumes, run_as_non_root, run_as_user, seccomp]
}

fn allow_privilege_escalation(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor < 8 || (pod.minor >= 25 && pod.is_windows()) {
        return None;
    }
    let bad = named(pod, |s| s["allowPrivilegeEscalation"] != false);
    if bad.is_empty() {
        return None;
    }
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&bad));
    Finding::new("allowPrivilegeEscalation != false", detail)
}

fn capabilities(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor < 22 || (pod.minor >= 25 && pod.is_windows()) {
        return None;
    }
    let missing = named(pod, |s| !list(&s["capabilities"], "drop").iter().any(|c| c == "ALL"));
    let foreign = |s: &Value| strangers(list(&s["capabilities"], "add"), &["NET_BIND_SERVICE"]);
    let adding = named(pod, |s| !foreign(s).is_empty());
    let mut details = Vec::new();
    if !missing.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&missing)));
    }
    if !adding.is_empty() {
        let added: BTreeSet<String> = pod.containers().flat_map(|c| foreign(&c["securityContext"])).collect();
        details.push(format!("{} must not include {} in securityContext.capabilities.add", containers(&adding), quoted(&added)));
    }
    if details.is_empty() { None } else { Finding::new("unrestricted capabilities", details.join("; ")) }
}

fn proc_mount_restricted(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor < 35 { None } else { proc_mount(pod) }
}

const VOLUMES: [&str; 9] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"];

fn volumes(pod: Pod<'_>) -> Option<Finding> {
    let bad: Vec<&Value> = list(pod.spec, "volumes").iter().filter(|v| !VOLUMES.iter().any(|kind| v.get(kind).is_some())).collect();
    if bad.is_empty() {
        return None;
    }
    let kind = |v: &&Value| v.as_object().into_iter().flatten().map(|(k, _)| k.clone()).find(|k| k != "name");
    let kinds: BTreeSet<String> = bad.iter().map(|v| kind(v).unwrap_or_else(|| "unknown".into())).collect();
    let detail = format!(
        "{} {} {} {} {}",
        plural("volume", "volumes", bad.len()),
        quoted(bad.iter().map(|v| text(v, "name"))),
        plural("uses", "use", bad.len()),
        plural("restricted volume type", "restricted volume types", kinds.len()),
        quoted(&kinds),
    );
    Finding::new("restricted volume types", detail)
}

fn run_as_non_root(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor >= 35 && pod.has_user_namespace() {
        return None;
    }
    let reason = "runAsNonRoot != true";
    let whole = pod.security()["runAsNonRoot"].as_bool();
    let explicit = named(pod, |s| s["runAsNonRoot"] == false);
    if let Some(setters) = setters(whole == Some(false), &explicit) {
        return Finding::new(reason, format!("{setters} must not set securityContext.runAsNonRoot=false"));
    }
    let implicit = named(pod, |s| s["runAsNonRoot"].is_null() && whole != Some(true));
    if implicit.is_empty() {
        return None;
    }
    Finding::new(reason, format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&implicit)))
}

fn run_as_user(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor < 23 || (pod.minor >= 35 && pod.has_user_namespace()) {
        return None;
    }
    let setters = setters(pod.security()["runAsUser"] == 0, &named(pod, |s| s["runAsUser"] == 0))?;
    Finding::new("runAsUser=0", format!("{setters} must not set runAsUser=0"))
}

fn seccomp(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor < 19 || (pod.minor >= 25 && pod.is_windows()) {
        return None;
    }
    if let Some(finding) = seccomp_types(pod) {
        return Some(finding);
    }
    // What is set is good by now, so it is enough that it is set.
    let whole = !pod.security()["seccompProfile"].is_null();
    let implicit = named(pod, |s| !whole && s["seccompProfile"].is_null());
    if implicit.is_empty() {
        return None;
    }
    let detail =
        format!("pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"", containers(&implicit));
    Finding::new("seccompProfile", detail)
}
