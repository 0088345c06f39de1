//! When a job has failed, succeeded, or needs a new pod.
use super::indexes::parse_indexes;
use crate::actors::kinds::apps::checks::NEGATIVE;
use crate::protocol::names;
use crate::protocol::status::FieldError;
use crate::protocol::validation::{too_many, unfit};
use serde_json::Value;
use std::collections::HashSet;

const MAX_FAILURE_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;
const MAX_PATTERNS: usize = 20;
const MAX_SUCCESS_RULES: usize = 20;
const MAX_INDEXES_TEXT: usize = 64 * 1024;

/// Checks `podFailurePolicy`, `successPolicy` and `podReplacementPolicy` of the job specification at `path`.
pub(super) fn validate(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let failure = &spec["podFailurePolicy"];
    if failure.is_object() {
        failure_policy(spec, &format!("{path}.podFailurePolicy.rules"), faults);
    }
    let success = &spec["successPolicy"];
    if success.is_object() {
        let path = format!("{path}.successPolicy");
        if spec["completionMode"] == "Indexed" {
            success_policy(spec, &format!("{path}.rules"), faults);
        } else {
            faults.push(FieldError::invalid(path, success.clone(), "requires indexed completion mode"));
        }
    }
    if let Some(policy) = spec["podReplacementPolicy"].as_str() {
        let valid: &[&str] = if failure.is_object() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        if !valid.contains(&policy) {
            faults.push(FieldError::not_supported(format!("{path}.podReplacementPolicy"), policy, valid));
        }
    }
}

fn items<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Absent is `Required value` with what is valid, anything else `Unsupported value`.
fn choice(value: &Value, path: String, valid: &[&str], faults: &mut Vec<FieldError>) {
    match value.as_str().unwrap_or_default() {
        "" => {
            let list = valid.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" ");
            faults.push(FieldError::required(path, format!("valid values: [{list}]")));
        }
        found if valid.contains(&found) => {}
        found => faults.push(FieldError::not_supported(path, found, valid)),
    }
}

fn failure_policy(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let rules = items(&spec["podFailurePolicy"], "rules");
    if rules.len() > MAX_FAILURE_RULES {
        faults.push(too_many(path, rules.len(), MAX_FAILURE_RULES));
    }
    let pod = &spec["template"]["spec"];
    let containers: HashSet<&str> =
        ["containers", "initContainers"].into_iter().flat_map(|l| items(pod, l)).filter_map(|c| c["name"].as_str()).collect();
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if rule["action"] == "FailIndex" {
            if spec["backoffLimitPerIndex"].is_null() {
                let why = "requires the backoffLimitPerIndex to be set";
                faults.push(FieldError::invalid(format!("{path}.action"), "FailIndex", why));
            }
        } else {
            choice(&rule["action"], format!("{path}.action"), &["Count", "FailIndex", "FailJob", "Ignore"], faults);
        }
        let codes = &rule["onExitCodes"];
        let patterns = items(rule, "onPodConditions");
        if codes.is_object() {
            exit_codes(codes, &format!("{path}.onExitCodes"), &containers, faults);
        }
        pod_conditions(patterns, &format!("{path}.onPodConditions"), faults);
        match (codes.is_object(), patterns.is_empty()) {
            (true, false) => faults.push(unfit(path, "specifying both OnExitCodes and OnPodConditions is not supported")),
            (false, true) => faults.push(unfit(path, "specifying one of OnExitCodes and OnPodConditions is required")),
            _ => {}
        }
    }
}

fn pod_conditions(patterns: &[Value], path: &str, faults: &mut Vec<FieldError>) {
    if patterns.len() > MAX_PATTERNS {
        faults.push(too_many(path, patterns.len(), MAX_PATTERNS));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let type_ = pattern["type"].as_str().unwrap_or_default();
        let field = format!("{path}[{index}].type");
        faults.extend(names::qualified_name(type_).into_iter().map(|why| FieldError::invalid(&*field, type_, why)));
        choice(&pattern["status"], format!("{path}[{index}].status"), &["False", "True", "Unknown"], faults);
    }
}

fn exit_codes(codes: &Value, path: &str, containers: &HashSet<&str>, faults: &mut Vec<FieldError>) {
    choice(&codes["operator"], format!("{path}.operator"), &["In", "NotIn"], faults);
    if let Some(container) = codes["containerName"].as_str().filter(|c| !containers.contains(c)) {
        let why = "must be one of the container or initContainer names in the pod template";
        faults.push(FieldError::invalid(format!("{path}.containerName"), container, why));
    }
    let at = format!("{path}.values");
    let values = items(codes, "values");
    if values.is_empty() {
        faults.push(FieldError::invalid(&*at, codes["values"].clone(), "at least one value is required"));
    } else if values.len() > MAX_EXIT_CODES {
        faults.push(too_many(&*at, values.len(), MAX_EXIT_CODES));
    }
    let mut seen = HashSet::new();
    let mut previous = i64::MIN;
    let mut ordered = true;
    for (index, value) in values.iter().filter_map(Value::as_i64).enumerate() {
        if codes["operator"] == "In" && value == 0 {
            faults.push(FieldError::invalid(format!("{at}[{index}]"), value, "must not be 0 for the In operator"));
        }
        if !seen.insert(value) {
            faults.push(FieldError::duplicate(format!("{at}[{index}]"), value));
        }
        ordered &= previous <= value;
        previous = value;
    }
    if !ordered {
        faults.push(FieldError::invalid(at, codes["values"].clone(), "must be ordered"));
    }
}

fn success_policy(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let rules = items(&spec["successPolicy"], "rules");
    if rules.is_empty() {
        faults.push(FieldError::required(path, "at least one rules must be specified when the successPolicy is specified"));
    }
    if rules.len() > MAX_SUCCESS_RULES {
        faults.push(too_many(path, rules.len(), MAX_SUCCESS_RULES));
    }
    let completions = spec["completions"].as_i64().unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        success_rule(rule, completions, &format!("{path}[{index}]"), faults);
    }
}

fn success_rule(rule: &Value, completions: i64, path: &str, faults: &mut Vec<FieldError>) {
    let (indexes, count) = (rule["succeededIndexes"].as_str(), rule["succeededCount"].as_i64());
    if indexes.is_none() && count.is_none() {
        faults.push(FieldError::required(path, "at least one of succeededCount or succeededIndexes must be specified"));
    }
    let mut total = 0;
    if let Some(text) = indexes {
        let path = format!("{path}.succeededIndexes");
        if text.len() > MAX_INDEXES_TEXT {
            faults.push(FieldError::too_long(&*path, MAX_INDEXES_TEXT));
        }
        match parse_indexes(text, completions) {
            Ok(intervals) => total = intervals.iter().map(|(from, to)| to - from + 1).sum(),
            Err(why) => faults.push(FieldError::invalid(path, text, format!("error parsing succeededIndexes: {why}"))),
        }
    }
    let Some(count) = count else { return };
    let path = format!("{path}.succeededCount");
    if count < 0 {
        faults.push(FieldError::invalid(&*path, count, NEGATIVE));
    }
    if count > completions {
        let why = format!("must be less than or equal to {completions} (the number of specified completions)");
        faults.push(FieldError::invalid(&*path, count, why));
    }
    if indexes.is_some() && count > total {
        let why = format!("must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)");
        faults.push(FieldError::invalid(path, count, why));
    }
}
