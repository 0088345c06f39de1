//! Which checks make up a level, and what they share.
use super::policy::{Level, LevelVersion};
use super::{baseline, restricted};
use crate::actors::admission::refusal::{list, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// Why a pod does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub reason: String,
    pub detail: String,
}

/// A pod as a check sees it.
#[derive(Clone, Copy)]
pub struct Pod<'a> {
    pub meta: &'a Value,
    pub spec: &'a Value,
    /// The minor release whose rules count.
    pub minor: u32,
}

/// A check: its finding, if there is one. It asks for the release itself where rules have changed.
pub type Check = fn(Pod<'_>) -> Option<Finding>;

/// Everything that a level has against a pod, in upstream's order.
pub fn evaluate(wanted: LevelVersion, meta: &Value, spec: &Value) -> Vec<Finding> {
    let pod = Pod { meta, spec, minor: wanted.version.minor() };
    let run = |checks: &[Check]| checks.iter().filter_map(|check| check(pod)).collect::<Vec<_>>();
    match wanted.level {
        Level::Privileged => Vec::new(),
        Level::Baseline => run(&baseline::all()),
        Level::Restricted => {
            // Some baseline checks are replaced by stricter ones once those exist.
            let mut findings = run(&baseline::below_restricted(pod.minor));
            findings.extend(run(&restricted::all()));
            findings
        }
    }
}

impl Finding {
    pub fn new(reason: &str, detail: impl Into<String>) -> Option<Finding> {
        Some(Finding { reason: reason.into(), detail: detail.into() })
    }
}

impl<'a> Pod<'a> {
    /// Every container, in upstream's order.
    pub fn containers(self) -> impl Iterator<Item = &'a Value> {
        ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(move |field| list(self.spec, field))
    }

    pub fn security(self) -> &'a Value {
        &self.spec["securityContext"]
    }

    pub fn is_windows(self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// Root in a user namespace is nobody outside of it.
    pub fn has_user_namespace(self) -> bool {
        self.spec["hostUsers"] == false
    }
}

/// Names of the containers that something is true of.
pub fn named<'a>(pod: Pod<'a>, bad: impl Fn(&Value) -> bool) -> Vec<String> {
    pod.containers().filter(|c| bad(&c["securityContext"])).map(|c| text(c, "name").to_string()).collect()
}

/// `"a", "b"`
pub fn quoted(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    items.into_iter().map(|i| format!("\"{}\"", i.as_ref())).collect::<Vec<_>>().join(", ")
}

pub fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `container "a"`, `containers "a", "b"`
pub fn containers(names: &[String]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quoted(names))
}

/// `pod and containers "a", "b"`; `None` when nobody did it.
pub fn setters(pod: bool, names: &[String]) -> Option<String> {
    let mut setters: Vec<String> = Vec::new();
    if pod {
        setters.push("pod".into());
    }
    if !names.is_empty() {
        setters.push(containers(names));
    }
    (!setters.is_empty()).then(|| setters.join(" and "))
}

/// The texts of a list, sorted, each once, that are not among the allowed ones.
pub fn strangers(values: &[Value], allowed: &[&str]) -> BTreeSet<String> {
    values.iter().filter_map(Value::as_str).filter(|v| !allowed.contains(v)).map(String::from).collect()
}
