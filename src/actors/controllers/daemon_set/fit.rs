//! Which nodes a daemon's template suits.
use crate::actors::controllers::labels::{Operator, Requirement};
use crate::protocol::light::Taint;
use crate::protocol::meta::Meta;
use serde_json::{Value, json};

/// What daemons put up with besides what their template says: nodes in trouble still need them.
const ALWAYS: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// A node's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    pub should_run: bool,
    pub may_stay: bool,
}

/// A template's demands on a node, parsed once per run.
pub struct Rules {
    /// `spec.nodeName`: no other node will do.
    node: Option<String>,
    selector: Vec<Requirement>,
    /// Required affinity: labels and fields of each term; one of them.
    terms: Option<Vec<(Vec<Requirement>, Vec<Requirement>)>>,
    tolerations: Vec<Value>,
}

impl Rules {
    pub fn of(template: &Value) -> Rules {
        let spec = &template["spec"];
        let selector = spec["nodeSelector"].as_object().into_iter().flatten().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: value.as_str().map(str::to_string).into_iter().collect(),
        });
        let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        let term = |t: &Value| (requirements(&t["matchExpressions"]), requirements(&t["matchFields"]));
        Rules {
            node: spec["nodeName"].as_str().filter(|n| !n.is_empty()).map(str::to_string),
            selector: selector.collect(),
            terms: required.as_array().map(|terms| terms.iter().map(term).collect()),
            tolerations: tolerations(spec),
        }
    }

    /// Whether the pod should run on a node, and whether one that is there may stay: taints that only keep new pods away
    /// do not drive it out.
    pub fn fit(&self, name: &str, meta: &Meta, taints: &[Taint]) -> Fit {
        if self.node.as_ref().is_some_and(|n| n != name) || !self.suits(name, meta) {
            return Fit { should_run: false, may_stay: false };
        }
        let unbearable = |effect: &str| taints.iter().any(|t| &*t.effect == effect && !self.tolerations.iter().any(|tol| covers(tol, t)));
        let driven_out = unbearable("NoExecute");
        Fit { should_run: !driven_out && !unbearable("NoSchedule"), may_stay: !driven_out }
    }

    fn suits(&self, name: &str, meta: &Meta) -> bool {
        let matches = |(labels, fields): &(Vec<Requirement>, Vec<Requirement>)| {
            !(labels.is_empty() && fields.is_empty())
                && labels.iter().all(|r| r.holds(meta.label(&r.key)))
                && fields.iter().all(|r| r.holds((r.key == "metadata.name").then_some(name)))
        };
        self.selector.iter().all(|r| r.holds(meta.label(&r.key))) && self.terms.as_ref().is_none_or(|terms| terms.iter().any(matches))
    }
}

/// The tolerations of a daemon's pod: the template's, and those that every daemon gets.
pub fn tolerations(spec: &Value) -> Vec<Value> {
    let mut list = spec["tolerations"].as_array().cloned().unwrap_or_default();
    let network = (spec["hostNetwork"] == true).then_some(NETWORK);
    for (key, effect) in ALWAYS.into_iter().chain(network) {
        let given = json!({ "key": key, "operator": "Exists", "effect": effect });
        if !list.contains(&given) {
            list.push(given);
        }
    }
    list
}

/// A requirement that cannot be read must not widen the term: it becomes one that never holds.
fn requirements(list: &Value) -> Vec<Requirement> {
    let never = || Requirement { key: String::new(), operator: Operator::Exists, values: Vec::new() };
    list.as_array().into_iter().flatten().map(|r| Requirement::parse(r).unwrap_or_else(never)).collect()
}

fn covers(toleration: &Value, taint: &Taint) -> bool {
    let said = |field: &str| toleration[field].as_str().unwrap_or_default();
    (said("effect").is_empty() || said("effect") == &*taint.effect)
        && (said("key").is_empty() || said("key") == &*taint.key)
        && (said("operator") == "Exists" || said("value") == &*taint.value)
}
