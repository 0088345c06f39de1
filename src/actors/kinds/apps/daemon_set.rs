//! `apps/v1 DaemonSet`.
use super::checks::{amount, at_most_100_percent, collisions_grow, int_or_percent, is_empty_selector, not_negative, selector_fits};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, container_images, container_names, label_map, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::DAEMON_SET;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::{member, members, set};
use crate::protocol::validation::{default_pod_template, immutable, only_always, same, selector, validate_pod_template, workload_warnings};
use serde_json::{Value, json};

const RW: &[&str] = &["get", "patch", "update"];
/// Counts the templates; a field of the specification once, and since then an annotation.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "apps",
        version: "v1",
        kind: "DaemonSet",
        plural: "daemonsets",
        singular: "daemonset",
        namespaced: true,
        short_names: &["ds"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[Subresource { name: "status", group: "apps", version: "v1", kind: "DaemonSet", verbs: RW }],
    },
    body: Body::Typed(&DAEMON_SET),
    schema: "DaemonSet",
    rules: Rules {
        warnings: |new, old| workload_warnings(new, old, "/spec/template"),
        default,
        create,
        update,
        update_status: |new, old| set_template_generation(new, template_generation(old)),
        validate,
        validate_update: |new, old| immutable(&new["spec"]["selector"], &old["spec"]["selector"], "spec.selector").into_iter().collect(),
        validate_status,
        light: |o| Light::Workload(Box::new(workload_light(o))),
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Desired", "integer", 0, "Nodes that should run the pod."),
    column("Current", "integer", 0, "Nodes that have the pod and should."),
    column("Ready", "integer", 0, "Nodes on which the pod is ready."),
    column("Up-to-date", "integer", 0, "Nodes with a pod of the newest template."),
    column("Available", "integer", 0, "Nodes on which the pod has been ready for long enough."),
    column("Node Selector", "string", 0, "Which nodes count."),
    AGE,
    column("Containers", "string", 1, "Names of the containers."),
    column("Images", "string", 1, "Images of the containers."),
    column("Selector", "string", 1, "Which pods count."),
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let count = |field: &str| Value::from(status[field].as_i64().unwrap_or_default());
    vec![
        name(o),
        count("desiredNumberScheduled"),
        count("currentNumberScheduled"),
        count("numberReady"),
        count("updatedNumberScheduled"),
        count("numberAvailable"),
        label_map(&spec["template"]["spec"]["nodeSelector"]),
        age(o, now),
        container_names(&spec["template"]),
        container_images(&spec["template"]),
        LabelSelector::from_object(&spec["selector"]).map(|s| s.to_string()).unwrap_or_default().into(),
    ]
}

fn default(object: &mut Value) {
    let spec = member(members(object), "spec");
    set(spec, "revisionHistoryLimit", 10);
    let strategy = member(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = member(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", 1);
        set(rolling, "maxSurge", 0);
    }
    default_pod_template(spec);
}

fn create(object: &mut Value) {
    object["status"] = json!({ "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0 });
    let generation = template_generation(object).max(1);
    set_template_generation(object, generation);
}

/// The template's generation is the server's to count, whatever the writer says.
fn update(new: &mut Value, old: &Value) {
    let before = template_generation(old);
    let changed = !same(&new["spec"]["template"], &old["spec"]["template"]);
    set_template_generation(new, if changed { before + 1 } else { before });
}

fn template_generation(object: &Value) -> i64 {
    object["metadata"]["annotations"][TEMPLATE_GENERATION].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn set_template_generation(object: &mut Value, generation: i64) {
    let annotations = member(member(members(object), "metadata"), "annotations");
    annotations.insert(TEMPLATE_GENERATION.into(), generation.to_string().into());
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let given = &spec["selector"];
    let mut faults = selector(given, "spec.selector");
    faults.extend(selector_fits(spec, "spec"));
    if given.as_object().is_some_and(|s| !s.is_empty()) && is_empty_selector(given) {
        faults.push(FieldError::invalid("spec.selector", given.clone(), "empty selector is invalid for daemonset"));
    }
    faults.extend(validate_pod_template(&spec["template"], "spec.template"));
    faults.extend(only_always(&spec["template"], "spec.template", "DaemonSet"));
    faults.extend(not_negative(spec, "spec", &["minReadySeconds"]));
    faults.extend(validate_strategy(&spec["updateStrategy"]));
    faults.extend(not_negative(spec, "spec", &["revisionHistoryLimit"]));
    faults
}

fn validate_strategy(strategy: &Value) -> Vec<FieldError> {
    match strategy["type"].as_str().unwrap_or_default() {
        "OnDelete" => return Vec::new(),
        "RollingUpdate" => {}
        _ => return vec![FieldError::not_supported("spec.updateStrategy", strategy.clone(), &["RollingUpdate", "OnDelete"])],
    }
    let rolling = &strategy["rollingUpdate"];
    let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
    let (at_unavailable, at_surge) = ("spec.updateStrategy.rollingUpdate.maxUnavailable", "spec.updateStrategy.rollingUpdate.maxSurge");
    let mut faults: Vec<_> = int_or_percent(unavailable, at_unavailable).into_iter().collect();
    faults.extend(int_or_percent(surge, at_surge));
    faults.extend(at_most_100_percent(unavailable, at_unavailable));
    faults.extend(at_most_100_percent(surge, at_surge));
    match (amount(unavailable) != 0, amount(surge) != 0) {
        (true, true) => faults.push(FieldError::invalid(at_surge, surge.clone(), "may not be set when maxUnavailable is non-zero")),
        (false, false) => faults.push(FieldError::required(at_unavailable, "cannot be 0 when maxSurge is 0")),
        _ => {}
    }
    faults
}

fn validate_status(new: &Value, old: &Value) -> Vec<FieldError> {
    let counts = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    let mut faults = not_negative(&new["status"], "status", &counts);
    faults.extend(collisions_grow(new, old));
    faults
}
