//! `admissionregistration.k8s.io/v1` ValidatingAdmissionPolicy and MutatingAdmissionPolicy.
use super::expressions::{compiled, is_identifier, required_expression};
use super::matching::{self, FAILURE_POLICIES};
use super::{GROUP, resource, typed};
use crate::actors::kinds::columns::{AGE, NAME, age, column, name};
use crate::actors::kinds::findings::{READ_WRITE, child, conditions, fill, invalid_each, items, list, required, required_one_of, text};
use crate::actors::kinds::findings::{texts, unsupported};
use crate::actors::kinds::{Kind, PLAIN, Rules};
use crate::protocol::cel::{Environment, Type};
use crate::protocol::codec::kinds::{MUTATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY};
use crate::protocol::names::{dns1035_label, dns1123_subdomain, qualified_name};
use crate::protocol::resource::Subresource;
use crate::protocol::status::FieldError;
use serde_json::{Value, json};
use std::collections::HashSet;

const VALIDATING_KIND: &str = "ValidatingAdmissionPolicy";

pub static VALIDATING: Kind = Kind {
    resource: resource(
        VALIDATING_KIND,
        "validatingadmissionpolicies",
        "validatingadmissionpolicy",
        &[Subresource { name: "status", group: GROUP, version: "v1", kind: VALIDATING_KIND, verbs: READ_WRITE }],
    ),
    body: typed(&VALIDATING_ADMISSION_POLICY),
    schema: VALIDATING_KIND,
    rules: Rules {
        default,
        create: |o| o["status"] = json!({}),
        validate: validate_validating,
        validate_status: |new, _| validate_status(new),
        generation: true,
        unconditional: false,
        ..PLAIN
    },
    columns: &[
        NAME,
        column("Validations", "integer", 0, "How many validations there are."),
        column("ParamKind", "string", 0, "The kind that parameters are of."),
        AGE,
    ],
    row: |o, now| row(o, "validations", now),
    view: None,
};

pub static MUTATING: Kind = Kind {
    resource: resource("MutatingAdmissionPolicy", "mutatingadmissionpolicies", "mutatingadmissionpolicy", &[]),
    body: typed(&MUTATING_ADMISSION_POLICY),
    schema: "MutatingAdmissionPolicy",
    rules: Rules { default, validate: validate_mutating, generation: true, unconditional: false, ..PLAIN },
    columns: &[
        NAME,
        column("Mutations", "integer", 0, "How many mutations there are."),
        column("ParamKind", "string", 0, "The kind that parameters are of."),
        AGE,
    ],
    row: |o, now| row(o, "mutations", now),
    view: None,
};

const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge"];
const MAX_ANNOTATIONS: usize = 20;
/// Longest `valueExpression`, bytes.
const MAX_VALUE_EXPRESSION: usize = 5 * 1024;
/// A text of whatever length.
const TEXT: Type = Type::String(0);

fn default(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    fill(spec, "failurePolicy", "Fail");
    if let Some(constraints) = spec.get_mut("matchConstraints") {
        matching::default_match_resources(constraints);
    }
}

/// What both kinds of policy have. Declares the variables in `environment`.
fn validate_common(spec: &Value, environment: &mut Environment) -> Vec<FieldError> {
    let mut errors: Vec<_> = required_one_of(spec, "spec", "failurePolicy", FAILURE_POLICIES).into_iter().collect();
    if !spec["paramKind"].is_null() {
        errors.extend(param_kind(&spec["paramKind"]));
    }
    let constraints = &spec["matchConstraints"];
    if constraints.is_null() {
        errors.push(FieldError::required("spec.matchConstraints", ""));
    } else {
        errors.extend(matching::match_resources(constraints, "spec.matchConstraints"));
        if list(&constraints["resourceRules"]).is_empty() {
            errors.push(FieldError::required("spec.matchConstraints.resourceRules", ""));
        }
    }
    errors.extend(matching::match_conditions(spec, "spec", !spec["paramKind"].is_null()));
    for (path, variable) in items(spec, "spec", "variables") {
        let name = text(variable, "name");
        if name.trim().is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), "name is not specified"));
        } else if !is_identifier(name) {
            errors.push(FieldError::invalid(format!("{path}.name"), name, "name is not a valid CEL identifier"));
        }
        errors.extend(declare(variable, &path, environment));
    }
    errors
}

const EXPRESSION: (&str, &str) = ("expression", "expression is not specified");

/// Checks a variable's expression; those after it see it whatever came of that.
fn declare(variable: &Value, path: &str, environment: &mut Environment) -> Option<FieldError> {
    let expression = text(variable, EXPRESSION.0);
    let outcome = match expression.trim() {
        "" => Err(FieldError::required(child(path, EXPRESSION.0), EXPRESSION.1)),
        _ => compiled(expression, &child(path, EXPRESSION.0), environment, &[]),
    };
    let (of, error) = match outcome {
        Ok(of) => (of, None),
        Err(error) => (Type::Dyn, Some(error)),
    };
    environment.define(text(variable, "name"), of);
    error
}

fn validate_validating(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut environment = Environment::policy(!spec["paramKind"].is_null(), false);
    let mut errors = validate_common(spec, &mut environment);
    if list(&spec["validations"]).is_empty() && list(&spec["auditAnnotations"]).is_empty() {
        for field in ["validations", "auditAnnotations"] {
            let why = "validations or auditAnnotations must contain at least one item";
            errors.push(FieldError::required(format!("spec.{field}"), why));
        }
        return errors;
    }
    for (path, validation) in items(spec, "spec", "validations") {
        errors.extend(validate_validation(validation, &path, &environment));
    }
    errors.extend(audit_annotations(text(&object["metadata"], "name"), spec, &environment));
    errors
}

fn validate_validation(validation: &Value, path: &str, environment: &Environment) -> Vec<FieldError> {
    let mut errors: Vec<_> = required_expression(validation, path, EXPRESSION, environment, &[Type::Bool]).into_iter().collect();
    let (message, expression) = (text(validation, "message"), text(validation, "messageExpression"));
    let expression_path = child(path, "messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        errors.push(FieldError::invalid(expression_path, expression, "must be non-empty if specified"));
    } else if !expression.is_empty() {
        errors.extend(compiled(expression, &expression_path, environment, &[TEXT]).err());
    }
    if !message.is_empty() && message.trim().is_empty() {
        errors.push(FieldError::invalid(child(path, "message"), message, "message must be non-empty if specified"));
    } else if message.trim().contains(['\n', '\r']) {
        errors.push(FieldError::invalid(child(path, "message"), message, "message must not contain line breaks"));
    }
    errors.extend(unsupported(validation, path, "reason", REASONS));
    errors
}

fn audit_annotations(policy: &str, spec: &Value, environment: &Environment) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if list(&spec["auditAnnotations"]).len() > MAX_ANNOTATIONS {
        let why = format!("must not have more than {MAX_ANNOTATIONS} auditAnnotations");
        errors.push(FieldError::invalid("spec.auditAnnotations", spec["auditAnnotations"].clone(), why));
    }
    let mut seen = HashSet::new();
    for (path, annotation) in items(spec, "spec", "auditAnnotations") {
        let key = text(annotation, "key");
        let whole = format!("{policy}/{key}");
        errors.extend(invalid_each(&child(&path, "key"), &whole, qualified_name(&whole)));
        if text(annotation, "valueExpression").trim().len() > MAX_VALUE_EXPRESSION {
            let why = format!("must not exceed {MAX_VALUE_EXPRESSION} bytes in length");
            errors.push(FieldError::required(child(&path, "valueExpression"), why));
        } else {
            let field = ("valueExpression", "valueExpression is not specified");
            errors.extend(required_expression(annotation, &path, field, environment, &[TEXT, Type::Null]));
        }
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(child(&path, "key"), key));
        }
    }
    errors
}

fn validate_mutating(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut environment = Environment::policy(!spec["paramKind"].is_null(), true);
    let mut errors = validate_common(spec, &mut environment);
    for (path, rule) in items(&spec["matchConstraints"], "spec.matchConstraints", "resourceRules") {
        for (index, operation) in texts(&rule["operations"]).into_iter().enumerate() {
            if matches!(operation, "DELETE" | "CONNECT" | "*") {
                let path = format!("{path}.operations[{index}]");
                errors.push(FieldError::not_supported(path, operation, &["CREATE", "UPDATE"]));
            }
        }
    }
    if list(&spec["mutations"]).is_empty() {
        errors.push(FieldError::required("spec.mutations", "mutations must contain at least one item"));
    }
    for (path, mutation) in items(spec, "spec", "mutations") {
        errors.extend(validate_mutation(mutation, &path, &environment));
    }
    errors.extend(required_one_of(spec, "spec", "reinvocationPolicy", &["Never", "IfNeeded"]));
    errors
}

/// The patch's type, and the one part that goes with it.
fn validate_mutation(mutation: &Value, path: &str, environment: &Environment) -> Vec<FieldError> {
    const PARTS: [(&str, &str); 2] = [("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")];
    let kind = text(mutation, "patchType");
    let mut errors: Vec<_> = required_one_of(mutation, path, "patchType", &["ApplyConfiguration", "JSONPatch"]).into_iter().collect();
    for (part_of, field) in PARTS {
        let part = &mutation[field];
        let path = child(path, field);
        if part_of != kind {
            if !part.is_null() && !kind.is_empty() {
                errors.push(FieldError::invalid(path, "{object}", format!("must not be specified when patchType is {kind}")));
            }
        } else if part.is_null() {
            errors.push(FieldError::required(path, format!("must be specified when patchType is {kind}")));
        } else {
            let result = match kind {
                "JSONPatch" => Type::List(Type::Named("JSONPatch").into(), 0),
                _ => Type::Named("Object"),
            };
            errors.extend(required_expression(part, &path, EXPRESSION, environment, &[result]));
        }
    }
    errors
}

fn param_kind(kind: &Value) -> Vec<FieldError> {
    let path = "spec.paramKind";
    let version_path = "spec.paramKind.apiVersion";
    let mut errors: Vec<_> = required(kind, path, "apiVersion").into_iter().collect();
    let given = text(kind, "apiVersion");
    let (group, version) = given.split_once('/').unwrap_or(("", given));
    if given.matches('/').count() > 1 {
        errors.push(FieldError::invalid(version_path, given, format!("unexpected GroupVersion string: {given}")));
    } else if !given.is_empty() {
        let mut joined = |value: &str, faults: Vec<String>| {
            if !faults.is_empty() {
                errors.push(FieldError::invalid(version_path, value, faults.join(",")));
            }
        };
        if !group.is_empty() {
            joined(group, dns1123_subdomain(group));
        }
        if version.is_empty() {
            joined(given, vec!["version must be specified".into()]);
        } else {
            joined(version, dns1035_label(version));
        }
    }
    let name = text(kind, "kind");
    errors.extend(required(kind, path, "kind"));
    let faults = dns1035_label(&name.to_lowercase());
    if !name.is_empty() && !faults.is_empty() {
        let why = format!("may have mixed case, but should otherwise match: {}", faults.join(","));
        errors.push(FieldError::invalid("spec.paramKind.kind", name, why));
    }
    errors
}

fn validate_status(new: &Value) -> Vec<FieldError> {
    let status = &new["status"];
    let mut errors = Vec::new();
    for (path, warning) in items(&status["typeChecking"], "status.typeChecking", "expressionWarnings") {
        errors.extend(required(warning, &path, "warning"));
        if text(warning, "fieldRef").trim().is_empty() {
            errors.push(FieldError::required(child(&path, "fieldRef"), ""));
        }
    }
    errors.extend(conditions(status, "status", "conditions"));
    errors
}

fn row(o: &Value, counted: &str, now: i64) -> Vec<Value> {
    let kind = &o["spec"]["paramKind"];
    let kind = if kind.is_null() { "<unset>".to_string() } else { format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")) };
    vec![name(o), list(&o["spec"][counted]).len().into(), kind.into(), age(o, now)]
}
