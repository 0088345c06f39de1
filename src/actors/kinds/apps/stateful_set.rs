//! `apps/v1 StatefulSet`.
use super::checks::{amount, at_most_100_percent, collisions_grow, int_or_percent, not_negative, replica_status};
use super::checks::{required_selector, selector_fits};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, container_images, container_names, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::STATEFUL_SET;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::{list, member, members, set};
use crate::protocol::validation::{default_pod_template, only_always, same, validate_pod_template, workload_warnings};
use serde_json::{Value, json};

const RW: &[&str] = &["get", "patch", "update"];

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "apps",
        version: "v1",
        kind: "StatefulSet",
        plural: "statefulsets",
        singular: "statefulset",
        namespaced: true,
        short_names: &["sts"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[
            Subresource { name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: RW },
            Subresource { name: "status", group: "apps", version: "v1", kind: "StatefulSet", verbs: RW },
        ],
    },
    body: Body::Typed(&STATEFUL_SET),
    schema: "StatefulSet",
    rules: Rules {
        warnings: |new, old| workload_warnings(new, old, "/spec/template"),
        // Pods are named after their set and carry its name as a host name.
        name: names::name_is_label,
        default,
        create: |o| o["status"] = json!({ "replicas": 0, "availableReplicas": 0 }),
        validate,
        validate_update,
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
    column("Ready", "string", 0, "Ready pods of those wanted."),
    AGE,
    column("Containers", "string", 1, "Names of the containers."),
    column("Images", "string", 1, "Images of the containers."),
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let ready = o["status"]["readyReplicas"].as_i64().unwrap_or_default();
    let template = &o["spec"]["template"];
    let ready = format!("{ready}/{}", o["spec"]["replicas"].as_i64().unwrap_or_default());
    vec![name(o), ready.into(), age(o, now), container_names(template), container_images(template)]
}

fn default(object: &mut Value) {
    let spec = member(members(object), "spec");
    set(spec, "podManagementPolicy", "OrderedReady");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "serviceName", "");
    let retention = member(spec, "persistentVolumeClaimRetentionPolicy");
    set(retention, "whenDeleted", "Retain");
    set(retention, "whenScaled", "Retain");
    let strategy = member(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = member(strategy, "rollingUpdate");
        set(rolling, "partition", 0);
        set(rolling, "maxUnavailable", 1);
    }
    default_pod_template(spec);
    for claim in list(spec, "volumeClaimTemplates") {
        set(claim, "apiVersion", "v1");
        set(claim, "kind", "PersistentVolumeClaim");
        set(member(claim, "spec"), "volumeMode", "Filesystem");
        set(member(claim, "status"), "phase", "Pending");
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut faults = Vec::new();
    match spec["podManagementPolicy"].as_str().unwrap_or_default() {
        "OrderedReady" | "Parallel" => {}
        other => faults.push(FieldError::invalid("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'")),
    }
    faults.extend(validate_strategy(&spec["updateStrategy"]));
    for when in ["whenDeleted", "whenScaled"] {
        let policy = &spec["persistentVolumeClaimRetentionPolicy"][when];
        if !matches!(policy.as_str(), Some("Retain" | "Delete")) {
            let path = format!("spec.persistentVolumeClaimRetentionPolicy.{when}");
            faults.push(FieldError::not_supported(path, policy.clone(), &["Retain", "Delete"]));
        }
    }
    faults.extend(not_negative(spec, "spec", &["replicas", "minReadySeconds", "revisionHistoryLimit"]));
    faults.extend(not_negative(&spec["ordinals"], "spec.ordinals", &["start"]));
    let service = spec["serviceName"].as_str().unwrap_or_default();
    if !service.is_empty() {
        faults.extend(names::dns1123_label(service).into_iter().map(|why| FieldError::invalid("spec.serviceName", service, why)));
    }
    faults.extend(required_selector(spec, "statefulset"));
    faults.extend(selector_fits(spec, "spec"));
    faults.extend(validate_pod_template(&with_claims(spec), "spec.template"));
    faults.extend(only_always(&spec["template"], "spec.template", "StatefulSet"));
    faults
}

/// The template as its pods will be: every claim is a volume, before any of the template's own of that name.
fn with_claims(spec: &Value) -> Value {
    let mut template = spec["template"].clone();
    let claims = spec["volumeClaimTemplates"].as_array().map(Vec::as_slice).unwrap_or_default();
    if claims.is_empty() || !template["spec"].is_object() {
        return template;
    }
    let mut volumes = template["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    for claim in claims {
        let name = &claim["metadata"]["name"];
        let volume = json!({ "name": name, "persistentVolumeClaim": { "claimName": name } });
        match volumes.iter_mut().find(|v| v["name"] == *name) {
            Some(own) => *own = volume,
            None => volumes.push(volume),
        }
    }
    template["spec"]["volumes"] = volumes.into();
    template
}

fn validate_strategy(strategy: &Value) -> Vec<FieldError> {
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "OnDelete" if !rolling.is_null() => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            vec![FieldError::invalid("spec.updateStrategy.rollingUpdate", rolling.clone(), why)]
        }
        "OnDelete" => Vec::new(),
        "RollingUpdate" => {
            let path = "spec.updateStrategy.rollingUpdate.maxUnavailable";
            let unavailable = &rolling["maxUnavailable"];
            let mut faults = not_negative(rolling, "spec.updateStrategy.rollingUpdate", &["partition"]);
            if !unavailable.is_null() {
                faults.extend(int_or_percent(unavailable, path));
                if amount(unavailable) == 0 {
                    faults.push(FieldError::invalid(path, unavailable.clone(), "cannot be 0"));
                }
                faults.extend(at_most_100_percent(unavailable, path));
            }
            faults
        }
        "" => vec![FieldError::required("spec.updateStrategy", "")],
        _ => vec![FieldError::invalid("spec.updateStrategy", strategy.clone(), "must be 'RollingUpdate' or 'OnDelete'")],
    }
}

/// What an update may change.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const FROZEN: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        members(&mut spec).retain(|field, _| !MUTABLE.contains(&field.as_str()));
        spec
    };
    if same(&fixed(new), &fixed(old)) { Vec::new() } else { vec![FieldError::forbidden("spec", FROZEN)] }
}

fn validate_status(new: &Value, old: &Value) -> Vec<FieldError> {
    let counts =
        ["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount"];
    let bounded = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
    let mut faults = replica_status(&new["status"], &counts, &bounded, "status.readyReplicas");
    faults.extend(collisions_grow(new, old));
    faults
}
