//! `batch/v1 Job`.
use super::{job_spec, job_status, job_update};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, container_images, container_names, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::JOB;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::table::human_duration;
use crate::protocol::time::parse_seconds;
use crate::protocol::validation::defaults::{list, member, members, object, set};
use crate::protocol::validation::{default_pod_template, namesake_warnings, same};
use crate::storage::Entry;
use serde_json::{Value, json};

const RW: &[&str] = &["get", "patch", "update"];
/// Labels that carry the job's uid to its pods, the newest last; the selector uses that one.
pub(super) const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
/// Labels that carry the job's name to its pods.
pub(super) const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "batch",
        version: "v1",
        kind: "Job",
        plural: "jobs",
        singular: "job",
        namespaced: true,
        short_names: &[],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[Subresource { name: "status", group: "batch", version: "v1", kind: "Job", verbs: RW }],
    },
    body: Body::Typed(&JOB),
    schema: "Job",
    rules: Rules {
        default,
        create,
        validate,
        validate_update: job_update::validate,
        validate_status: job_status::validate,
        fields: &["status.successful"],
        field: |entry: &Entry, _: &str| Some(entry.parse()["status"]["succeeded"].as_i64().unwrap_or_default().to_string()),
        generation: true,
        light: |o| Light::Workload(Box::new(workload_light(o))),
        // Clients of old know nothing of propagation: the pods outlive their job unless they are told otherwise.
        orphans_by_default: true,
        warnings,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "string", 0, "How far the job is."),
    column("Completions", "string", 0, "Pods that succeeded, of those wanted."),
    column("Duration", "string", 0, "How long the job took, or has been running."),
    AGE,
    column("Containers", "string", 1, "Names of the containers."),
    column("Images", "string", 1, "Images of the containers."),
    column("Selector", "string", 1, "Which pods count."),
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let succeeded = status["succeeded"].as_i64().unwrap_or_default();
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64().unwrap_or_default()) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let time = |field: &str| status[field].as_str().and_then(parse_seconds);
    let duration = match (time("startTime"), time("completionTime")) {
        (None, _) => String::new(),
        (Some(start), None) => human_duration(now - start),
        (Some(start), Some(end)) => human_duration(end - start),
    };
    vec![
        name(o),
        state(o).into(),
        completions.into(),
        duration.into(),
        age(o, now),
        container_names(&spec["template"]),
        container_images(&spec["template"]),
        LabelSelector::from_object(&spec["selector"]).map(|s| s.to_string()).unwrap_or_default().into(),
    ]
}

fn state(o: &Value) -> &'static str {
    let is = |type_: &str| job_status::has_condition(&o["status"], type_);
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if !o["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn default(job: &mut Value) {
    let job = members(job);
    let spec = member(job, "spec");
    // Neither number given: one pod, once. With one of them given the other keeps its own meaning of being absent.
    if spec.get("completions").is_none_or(Value::is_null) && spec.get("parallelism").is_none_or(Value::is_null) {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    let per_index = spec.get("backoffLimitPerIndex").is_some_and(|v| !v.is_null());
    set(spec, "backoffLimit", if per_index { i32::MAX } else { 6 });
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    let policy = spec.get("podFailurePolicy").is_some_and(Value::is_object);
    set(spec, "podReplacementPolicy", if policy { "Failed" } else { "TerminatingOrFailed" });
    default_failure_policy(spec);
    default_pod_template(spec);
    let labels = spec["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_some_and(|l| !l.is_empty()) {
        let meta = member(job, "metadata");
        if meta.get("labels").and_then(Value::as_object).is_none_or(|l| l.is_empty()) {
            meta.insert("labels".into(), labels);
        }
    }
}

/// Patterns for pod conditions are about those that hold.
pub(super) fn default_failure_policy(spec: &mut serde_json::Map<String, Value>) {
    let Some(policy) = object(spec, "podFailurePolicy") else { return };
    for rule in list(policy, "rules") {
        list(rule, "onPodConditions").for_each(|pattern| set(pattern, "status", "True"));
    }
}

fn create(job: &mut Value) {
    job["status"] = json!({});
    // The job shows its template's labels when it has none of its own, those that follow here among them.
    let inherits = same(&job["metadata"]["labels"], &job["spec"]["template"]["metadata"]["labels"]);
    if job["spec"]["manualSelector"] != true {
        generate_selector(job);
    }
    if inherits {
        let labels = job["spec"]["template"]["metadata"]["labels"].clone();
        if labels.is_object() {
            members(&mut job["metadata"]).insert("labels".into(), labels);
        }
    }
}

/// Labels of the template and a selector that no other job has. What the writer gave stays; validation says when it is in conflict.
fn generate_selector(job: &mut Value) {
    let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
    let spec = member(members(job), "spec");
    let labels = member(member(member(spec, "template"), "metadata"), "labels");
    for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
        for key in keys {
            labels.entry(key).or_insert_with(|| value.clone());
        }
    }
    let [_, newest] = UID_LABELS;
    member(member(spec, "selector"), "matchLabels").entry(newest).or_insert(uid);
}

fn validate(job: &Value) -> Vec<FieldError> {
    let mut faults = job_spec::generated_selector(job);
    faults.extend(job_spec::validate_with_selector(&job["spec"]));
    let spec = &job["spec"];
    let completions = spec["completions"].as_i64().unwrap_or_default();
    if spec["completionMode"] == "Indexed" && completions > 0 {
        let own = job["metadata"]["name"].as_str().unwrap_or_default();
        let longest = format!("{own}-{}", completions - 1);
        if !names::dns1123_label(&longest).is_empty() {
            let why = format!("will not able to create pod with invalid DNS label: {longest}");
            faults.push(FieldError::invalid("metadata.name", own, why));
        }
    }
    faults
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut said = namesake_warnings(new, old, "/spec/template");
    said.extend(job_spec::warnings(&new["spec"]));
    said
}
