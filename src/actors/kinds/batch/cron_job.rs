//! `batch/v1 CronJob`.
use super::{job, job_spec, schedule};
use crate::actors::kinds::apps::checks::not_negative;
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, container_images, container_names, name, since};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CRON_JOB;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::validation::default_pod_template;
use crate::protocol::validation::defaults::{member, members, set};
use crate::protocol::validation::namesake_warnings;
use serde_json::{Value, json};

const RW: &[&str] = &["get", "patch", "update"];
/// The controller adds eleven characters to make a job's name, which has at most 63.
const NAME_MAX: usize = 52;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "batch",
        version: "v1",
        kind: "CronJob",
        plural: "cronjobs",
        singular: "cronjob",
        namespaced: true,
        short_names: &["cj"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[Subresource { name: "status", group: "batch", version: "v1", kind: "CronJob", verbs: RW }],
    },
    body: Body::Typed(&CRON_JOB),
    schema: "CronJob",
    rules: Rules {
        default,
        create: |o| o["status"] = json!({}),
        validate,
        validate_create,
        validate_update,
        generation: true,
        warnings,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Schedule", "string", 0, "When jobs are made, in cron's form."),
    column("Timezone", "string", 0, "The time zone of the schedule; the server's when there is none."),
    column("Suspend", "boolean", 0, "No further jobs are made."),
    column("Active", "integer", 0, "Jobs that are running."),
    column("Last Schedule", "string", 0, "When a job was last made."),
    AGE,
    column("Containers", "string", 1, "Names of the containers."),
    column("Images", "string", 1, "Images of the containers."),
    column("Selector", "string", 1, "Which pods count."),
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let job = &spec["jobTemplate"]["spec"];
    let last = &status["lastScheduleTime"];
    let selector = &job["selector"];
    let selector = LabelSelector::from_object(selector).ok().filter(|_| !selector.is_null()).map(|s| s.to_string());
    vec![
        name(o),
        spec["schedule"].clone(),
        spec["timeZone"].as_str().unwrap_or("<none>").into(),
        if spec["suspend"] == true { "True" } else { "False" }.into(),
        status["active"].as_array().map_or(0, Vec::len).into(),
        if last.is_null() { "<none>".into() } else { since(last, now) },
        age(o, now),
        container_names(&job["template"]),
        container_images(&job["template"]),
        selector.unwrap_or_else(|| "<none>".into()).into(),
    ]
}

fn default(object: &mut Value) {
    let spec = member(members(object), "spec");
    set(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
    let job = member(member(spec, "jobTemplate"), "spec");
    job::default_failure_policy(job);
    default_pod_template(job);
}

/// Rules for every state; those about the schedule depend on what was before.
fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut faults = Vec::new();
    let text = spec["schedule"].as_str().unwrap_or_default();
    if text.is_empty() {
        faults.push(FieldError::required("spec.schedule", ""));
    } else if let Err(why) = schedule::check(text) {
        faults.push(FieldError::invalid("spec.schedule", text, why));
    }
    faults.extend(not_negative(spec, "spec", &["startingDeadlineSeconds"]));
    match spec["concurrencyPolicy"].as_str().unwrap_or_default() {
        "Allow" | "Forbid" | "Replace" => {}
        other => faults.push(FieldError::not_supported("spec.concurrencyPolicy", other, &["Allow", "Forbid", "Replace"])),
    }
    let job = &spec["jobTemplate"]["spec"];
    faults.extend(job_spec::validate(job, "spec.jobTemplate.spec"));
    if !job["selector"].is_null() {
        let why = "`selector` will be auto-generated";
        faults.push(FieldError::invalid("spec.jobTemplate.spec.selector", job["selector"].clone(), why));
    }
    if job["manualSelector"] == true {
        faults.push(FieldError::not_supported("spec.jobTemplate.spec.manualSelector", true, &["nil", "false"]));
    }
    faults.extend(not_negative(spec, "spec", &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"]));
    faults
}

fn validate_create(object: &Value) -> Vec<FieldError> {
    let mut faults: Vec<_> = zone_in_schedule(object, None).into_iter().collect();
    faults.extend(time_zone(object));
    let own = object["metadata"]["name"].as_str().unwrap_or_default();
    if own.len() > NAME_MAX {
        faults.push(FieldError::invalid("metadata.name", own, "must be no more than 52 characters"));
    }
    faults
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut faults: Vec<_> = zone_in_schedule(new, Some(old)).into_iter().collect();
    if new["spec"]["timeZone"] != old["spec"]["timeZone"] {
        faults.extend(time_zone(new));
    }
    faults
}

/// The time zone has a field of its own; only a cron job that has always had one in its schedule may keep it there.
fn zone_in_schedule(object: &Value, old: Option<&Value>) -> Option<FieldError> {
    let text = |o: &Value| o["spec"]["schedule"].as_str().unwrap_or_default().to_string();
    let given = text(object);
    if !given.contains("TZ") {
        return None;
    }
    let why = match old.is_some_and(|o| text(o).contains("TZ")) {
        true if object["spec"]["timeZone"].is_null() => return None,
        true => "cannot use both timeZone field and TZ or CRON_TZ in schedule",
        false => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    };
    Some(FieldError::invalid("spec.schedule", given, why))
}

fn time_zone(object: &Value) -> Option<FieldError> {
    let zone = object["spec"]["timeZone"].as_str()?;
    schedule::time_zone_fault(zone).map(|why| FieldError::invalid("spec.timeZone", zone, why))
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut said = namesake_warnings(new, old, "/spec/jobTemplate/spec/template");
    if new["spec"]["schedule"].as_str().is_some_and(|s| s.contains("TZ")) {
        said.push("spec.schedule: \"TZ\" or \"CRON_TZ\" in schedule is not supported, use timeZone field instead".into());
    }
    said
}
