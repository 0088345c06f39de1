//! `spec.versions`.
use super::{columns, schema, selectable};
use crate::protocol::jsonpath::JsonPath;
use crate::protocol::names::dns1035_label;
use crate::protocol::status::FieldError;
use crate::protocol::structural::Structural;
use serde_json::Value;
use std::collections::HashSet;

/// Versions of one definition; upstream's are bounded by the size of the object only.
const MOST: usize = 64;

pub(super) fn validate(spec: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut seen = HashSet::new();
    for (at, version) in versions.iter().enumerate() {
        let name = version["name"].as_str().unwrap_or_default();
        let faults = dns1035_label(name);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(format!("spec.versions[{at}].name"), name, faults.join(",")));
        }
        seen.insert(name);
    }
    let shown = || Value::from(versions.iter().map(|v| v["name"].clone()).collect::<Vec<_>>());
    if versions.len() > MOST {
        errors.push(FieldError::invalid("spec.versions", shown(), format!("must have at most {MOST} versions")));
        return errors;
    }
    if seen.len() != versions.len() {
        errors.push(FieldError::invalid("spec.versions", shown(), "must contain unique version names"));
    }
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        errors.push(FieldError::invalid("spec.versions", shown(), "must have exactly one version marked as storage version"));
    }
    for (at, version) in versions.iter().enumerate() {
        one(version, &format!("spec.versions[{at}]"), &mut errors);
    }
    errors
}

fn one(version: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let given = &version["schema"]["openAPIV3Schema"];
    let at = format!("{path}.schema.openAPIV3Schema");
    let mut parsed = None;
    if given.is_null() {
        errors.push(FieldError::required(at, "schemas are required"));
    } else {
        match Structural::parse(given) {
            Ok(schema) => {
                let with_status = !version["subresources"]["status"].is_null();
                errors.extend(schema::validate(given, &schema, with_status, &at));
                parsed = Some(schema);
            }
            Err(why) => errors.push(FieldError::invalid(at, "", why.to_string())),
        }
    }
    let status = &version["subresources"]["status"];
    if !status.is_null() && !status.is_object() {
        errors.push(FieldError::invalid(format!("{path}.subresources.status"), status.clone(), "must be an object"));
    }
    scale(&version["subresources"]["scale"], &format!("{path}.subresources.scale"), errors);
    errors.extend(columns::validate(&version["additionalPrinterColumns"], &format!("{path}.additionalPrinterColumns")));
    errors.extend(selectable::validate(&version["selectableFields"], parsed.as_ref(), &format!("{path}.selectableFields")));
}

/// Where Scale finds its numbers: simple paths below `spec` and `status`.
fn scale(scale: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if scale.is_null() {
        return;
    }
    let mut check = |field: &str, below: &str, required: bool| {
        let given = scale[field].as_str().unwrap_or_default();
        let at = format!("{path}.{field}");
        if given.is_empty() {
            if required {
                errors.push(FieldError::required(at, ""));
            }
            return;
        }
        let simple = JsonPath::parse(given).ok().is_some_and(|p| p.fields().is_some());
        if !given.starts_with('.') || !simple {
            errors.push(FieldError::invalid(at, given, "must be a simple json path starting with ."));
        } else if !given.starts_with(below) {
            let below = below.trim_end_matches('.');
            errors.push(FieldError::invalid(at, given, format!("should be a json path under {below}")));
        }
    };
    check("specReplicasPath", ".spec.", true);
    check("statusReplicasPath", ".status.", true);
    let selector = scale["labelSelectorPath"].as_str().unwrap_or_default();
    if !selector.is_empty() && !selector.starts_with(".spec.") && !selector.starts_with(".status.") {
        let why = "should be a json path under either .spec or .status";
        errors.push(FieldError::invalid(format!("{path}.labelSelectorPath"), selector, why));
    }
}
