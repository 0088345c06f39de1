//! `admissionregistration.k8s.io/v1` ValidatingAdmissionPolicyBinding and MutatingAdmissionPolicyBinding.
use super::{matching, resource, typed};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::findings::{child, invalid_each, required_one_of, text, texts};
use crate::actors::kinds::{Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::{MUTATING_ADMISSION_POLICY_BINDING, VALIDATING_ADMISSION_POLICY_BINDING};
use crate::protocol::names::{dns1123_subdomain, name_is_path_segment};
use crate::protocol::status::FieldError;
use crate::protocol::validation;
use serde_json::Value;
use std::collections::HashSet;

pub static VALIDATING: Kind = Kind {
    resource: resource("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", &[]),
    body: typed(&VALIDATING_ADMISSION_POLICY_BINDING),
    schema: "ValidatingAdmissionPolicyBinding",
    rules: Rules { default, validate: validate_validating, generation: true, unconditional: false, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

pub static MUTATING: Kind = Kind {
    resource: resource("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding", &[]),
    body: typed(&MUTATING_ADMISSION_POLICY_BINDING),
    schema: "MutatingAdmissionPolicyBinding",
    rules: Rules { default, validate: validate_binding, generation: true, unconditional: false, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("PolicyName", "string", 0, "The policy that is bound."),
    column("ParamRef", "string", 0, "Where the policy's parameters are."),
    AGE,
];

const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];

fn default(object: &mut Value) {
    if let Some(resources) = object.pointer_mut("/spec/matchResources") {
        matching::default_match_resources(resources);
    }
}

fn validate_validating(object: &Value) -> Vec<FieldError> {
    let mut errors = validate_binding(object);
    errors.extend(actions(&object["spec"]));
    errors
}

fn validate_binding(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    let policy = text(spec, "policyName");
    if policy.is_empty() {
        errors.push(FieldError::required("spec.policyName", ""));
    } else {
        errors.extend(invalid_each("spec.policyName", policy, dns1123_subdomain(policy)));
    }
    if !spec["paramRef"].is_null() {
        errors.extend(param_ref(&spec["paramRef"], "spec.paramRef"));
    }
    if !spec["matchResources"].is_null() {
        // Upstream spells the path like this.
        errors.extend(matching::match_resources(&spec["matchResources"], "spec.matchResouces"));
    }
    errors
}

fn param_ref(reference: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (name, selector) = (text(reference, "name"), &reference["selector"]);
    let both = !name.is_empty() && !selector.is_null();
    let why = "name and selector are mutually exclusive";
    errors.extend(invalid_each(&child(path, "name"), name, name_is_path_segment(name, false)));
    if both {
        errors.push(FieldError::forbidden(child(path, "name"), why));
    }
    if !selector.is_null() {
        errors.extend(validation::selector(selector, &child(path, "selector")));
    }
    if both {
        errors.push(FieldError::forbidden(child(path, "selector"), why));
    }
    if name.is_empty() && selector.is_null() {
        errors.push(FieldError::required(path, "one of name or selector must be specified"));
    }
    errors.extend(required_one_of(reference, path, "parameterNotFoundAction", &["Deny", "Allow"]));
    errors
}

fn actions(spec: &Value) -> Vec<FieldError> {
    let path = "spec.validationActions";
    let actions = texts(&spec["validationActions"]);
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, action) in actions.iter().enumerate() {
        if !ACTIONS.contains(action) {
            errors.push(FieldError::not_supported(format!("{path}[{index}]"), *action, ACTIONS));
        }
        if !seen.insert(*action) {
            errors.push(FieldError::duplicate(format!("{path}[{index}]"), *action));
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.push(FieldError::invalid(path, spec["validationActions"].clone(), why));
    }
    if actions.is_empty() {
        errors.push(FieldError::required(path, "at least one validation action is required"));
    }
    errors
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let reference = &spec["paramRef"];
    let parameters = match (reference.is_null(), text(reference, "namespace"), text(reference, "name")) {
        (true, ..) => "<unset>".to_string(),
        (false, "", name) => name.to_string(),
        (false, namespace, name) => format!("{namespace}/{name}"),
    };
    vec![name(o), text(spec, "policyName").into(), parameters.into(), age(o, now)]
}
