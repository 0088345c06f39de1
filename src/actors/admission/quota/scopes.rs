//! Which objects a quota with scopes counts.
use crate::actors::admission::refusal::{list, text};
use crate::actors::kinds::qos_class;
use serde_json::Value;

/// One scope of a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    scope: String,
    operator: String,
    values: Vec<String>,
}

/// `spec.scopes` and `spec.scopeSelector` of a quota.
pub fn selectors(quota: &Value) -> Vec<Selector> {
    let plain = list(&quota["spec"], "scopes").iter().filter_map(Value::as_str);
    let plain = plain.map(|scope| Selector { scope: scope.into(), operator: "Exists".into(), values: Vec::new() });
    let expressions = list(&quota["spec"]["scopeSelector"], "matchExpressions").iter().map(|e| Selector {
        scope: text(e, "scopeName").into(),
        operator: text(e, "operator").into(),
        values: list(e, "values").iter().filter_map(Value::as_str).map(String::from).collect(),
    });
    plain.chain(expressions).collect()
}

/// Whether an object is in every scope. Kinds without scopes are in none.
pub fn matches(selectors: &[Selector], group: &str, plural: &str, object: &Value) -> bool {
    selectors.iter().all(|selector| match (group, plural) {
        ("", "pods") => pod(selector, object),
        ("", "persistentvolumeclaims") => selector.scope == "VolumeAttributesClass" && selector.selects(&attribute_classes(object)),
        _ => false,
    })
}

fn pod(selector: &Selector, pod: &Value) -> bool {
    let spec = &pod["spec"];
    let terminating = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    match selector.scope.as_str() {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => qos_class(spec) == "BestEffort",
        "NotBestEffort" => qos_class(spec) != "BestEffort",
        "PriorityClass" => {
            let class = text(spec, "priorityClassName");
            selector.selects(&if class.is_empty() { Vec::new() } else { vec![class] })
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(spec),
        _ => false,
    }
}

impl Selector {
    /// As a label selector on the scope's name.
    fn selects(&self, names: &[&str]) -> bool {
        let named = names.iter().any(|n| self.values.iter().any(|v| v == n));
        match self.operator.as_str() {
            "Exists" => !names.is_empty(),
            "DoesNotExist" => names.is_empty(),
            "In" => named,
            "NotIn" => !named,
            _ => false,
        }
    }
}

fn crosses_namespaces(spec: &Value) -> bool {
    let crosses = |term: &Value| !list(term, "namespaces").is_empty() || term["namespaceSelector"].is_object();
    ["podAffinity", "podAntiAffinity"].into_iter().any(|kind| {
        let affinity = &spec["affinity"][kind];
        let required = list(affinity, "requiredDuringSchedulingIgnoredDuringExecution").iter().any(crosses);
        required || list(affinity, "preferredDuringSchedulingIgnoredDuringExecution").iter().any(|w| crosses(&w["podAffinityTerm"]))
    })
}

fn attribute_classes(claim: &Value) -> Vec<&str> {
    let status = &claim["status"];
    let names = [
        text(&claim["spec"], "volumeAttributesClassName"),
        text(status, "currentVolumeAttributesClassName"),
        text(&status["modifyVolumeStatus"], "targetVolumeAttributesClassName"),
    ];
    names.into_iter().filter(|n| !n.is_empty()).collect()
}
