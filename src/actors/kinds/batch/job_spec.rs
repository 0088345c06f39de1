//! The specification of a job, in jobs and in the templates of cron jobs.
use super::job::{NAME_LABELS, UID_LABELS};
use super::policies;
use crate::actors::kinds::apps::checks::not_negative;
use crate::protocol::names;
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::validation::{selector, validate_pod_template};
use serde_json::{Value, json};

/// Most pods at a time of an indexed job.
const MAX_PARALLELISM: i64 = 100_000;
const MAX_FAILED_INDEXES: i64 = 100_000;
/// Above so many completions a job with a back-off limit per index is held to tighter limits.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_LIMIT: i64 = 10_000;
const MAX_MANAGED_BY: usize = 63;

/// Checks the specification of a `Job`: what [`validate`] does, and that the selector finds the template's pods.
pub(super) fn validate_with_selector(spec: &Value) -> Vec<FieldError> {
    let mut faults = validate(spec, "spec");
    let given = &spec["selector"];
    if given.is_null() {
        faults.push(FieldError::required("spec.selector", ""));
    } else {
        faults.extend(selector(given, "spec.selector"));
    }
    if let Ok(parsed) = LabelSelector::from_object(given) {
        let labels = &spec["template"]["metadata"]["labels"];
        if !parsed.matches_value(labels) {
            let why = "`selector` does not match template `labels`";
            faults.push(FieldError::invalid("spec.template.metadata.labels", labels.clone(), why));
        }
    }
    faults
}

/// Unless the writer wanted a selector of their own, it and the template's labels are as the server makes them.
pub(super) fn generated_selector(job: &Value) -> Vec<FieldError> {
    let spec = &job["spec"];
    if spec["manualSelector"] == true || spec["selector"].is_null() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let (uid, name) = (&job["metadata"]["uid"], &job["metadata"]["name"]);
    if uid.as_str().is_none_or(str::is_empty) {
        faults.push(FieldError::required("metadata.uid", ""));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let [old_uid, new_uid] = UID_LABELS;
    let [old_name, new_name] = NAME_LABELS;
    let mut expected = serde_json::Map::new();
    for (key, wanted) in [(old_uid, uid), (old_name, name), (new_uid, uid), (new_name, name)] {
        let field = format!("spec.template.metadata.labels[{key}]");
        let why = format!("must be '{}'", wanted.as_str().unwrap_or_default());
        match labels.get(key) {
            None => faults.push(FieldError::required(field, why)),
            Some(found) if found != wanted => faults.push(FieldError::invalid(field, labels.clone(), why)),
            Some(_) => {}
        }
        expected.insert(key.into(), wanted.clone());
    }
    if LabelSelector::from_object(&spec["selector"]).is_ok_and(|s| !s.matches_value(&Value::Object(expected))) {
        faults.push(FieldError::invalid("spec.selector", spec["selector"].clone(), "`selector` not auto-generated"));
    }
    faults
}

/// Checks a job's specification at `path`, all but the selector.
pub(super) fn validate(spec: &Value, path: &str) -> Vec<FieldError> {
    let numbers = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    let mut faults = not_negative(spec, path, &numbers);
    let at = |field: &str| format!("{path}.{field}");
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        faults.push(FieldError::required(at("backoffLimitPerIndex"), "when maxFailedIndexes is specified"));
    }
    if let Some(manager) = spec["managedBy"].as_str() {
        faults.extend(domain_prefixed_path(manager, &at("managedBy")));
        if manager.len() > MAX_MANAGED_BY {
            faults.push(FieldError::too_long(at("managedBy"), MAX_MANAGED_BY));
        }
    }
    match spec["completionMode"].as_str() {
        Some("Indexed") => indexed(spec, path, &mut faults),
        None | Some("NonIndexed") => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(number) = spec[field].as_i64() {
                    faults.push(FieldError::invalid(at(field), number, "requires indexed completion mode"));
                }
            }
        }
        Some(other) => faults.push(FieldError::not_supported(at("completionMode"), other, &["NonIndexed", "Indexed"])),
    }
    policies::validate(spec, path, &mut faults);
    faults.extend(validate_pod_template(&spec["template"], &at("template")));
    restart_policy(spec, at("template.spec.restartPolicy"), &mut faults);
    faults
}

fn indexed(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let number = |field: &str| spec[field].as_i64();
    let mut above = |field: &str, limit: i64, why: String| {
        if let Some(found) = number(field).filter(|n| *n > limit) {
            faults.push(FieldError::invalid(format!("{path}.{field}"), found, why));
        }
    };
    above("parallelism", MAX_PARALLELISM, format!("must be less than or equal to {MAX_PARALLELISM} when completion mode is Indexed"));
    if let Some(completions) = number("completions") {
        above("maxFailedIndexes", completions, "must be less than or equal to completions".into());
    }
    above("maxFailedIndexes", MAX_FAILED_INDEXES, format!("must be less than or equal to {MAX_FAILED_INDEXES}"));
    let many = number("completions").is_some_and(|n| n > MANY_COMPLETIONS) && !spec["backoffLimitPerIndex"].is_null();
    if many {
        let why = format!(
            "must be less than or equal to {MANY_LIMIT} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
        );
        above("parallelism", MANY_LIMIT, why.clone());
        above("maxFailedIndexes", MANY_LIMIT, why);
        if number("maxFailedIndexes").is_none() {
            let why = format!("must be specified when completions is above {MANY_COMPLETIONS}");
            faults.push(FieldError::required(format!("{path}.maxFailedIndexes"), why));
        }
    }
    if number("completions").is_none() {
        faults.push(FieldError::required(format!("{path}.completions"), "when completion mode is Indexed"));
    }
}

/// Pods of a job must end. `Always` is what the default has made of an absent policy.
fn restart_policy(spec: &Value, path: String, faults: &mut Vec<FieldError>) {
    match spec["template"]["spec"]["restartPolicy"].as_str().unwrap_or_default() {
        "" | "Always" => faults.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\"")),
        "Never" => {}
        "OnFailure" if spec["podFailurePolicy"].is_object() => {
            faults.push(FieldError::invalid(path, "OnFailure", "only \"Never\" is supported when podFailurePolicy is specified"));
        }
        "OnFailure" => {}
        other => faults.push(FieldError::not_supported(path, other, &["OnFailure", "Never"])),
    }
}

fn domain_prefixed_path(value: &str, path: &str) -> Vec<FieldError> {
    if value.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let Some((host, rest)) = value.split_once('/').filter(|(host, rest)| !host.is_empty() && !rest.is_empty()) else {
        return vec![FieldError::invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")")];
    };
    let mut faults: Vec<_> = names::dns1123_subdomain(host).into_iter().map(|why| FieldError::invalid(path, host, why)).collect();
    if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        let why = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
        faults.push(FieldError::invalid(path, rest, why));
    }
    faults
}

/// Large indexed jobs whose failures could take up much room are advised against.
pub(super) fn warnings(spec: &Value) -> Vec<String> {
    let (completions, parallelism) = (spec["completions"].as_i64().unwrap_or_default(), spec["parallelism"].as_i64().unwrap_or_default());
    let mut said = Vec::new();
    if spec["completionMode"] == json!("Indexed") && completions > MANY_COMPLETIONS && parallelism > MANY_LIMIT {
        said.push(
            "spec.parallelism: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
                .into(),
        );
    }
    said
}
