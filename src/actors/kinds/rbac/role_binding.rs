//! `rbac.authorization.k8s.io/v1 RoleBinding`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::authority::RBAC;
use crate::protocol::codec::kinds::ROLE_BINDING;
use crate::protocol::names::{name_is_path_segment, name_is_subdomain};
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: RBAC,
        version: "v1",
        kind: "RoleBinding",
        plural: "rolebindings",
        singular: "rolebinding",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&ROLE_BINDING),
    schema: "RoleBinding",
    rules: Rules { name: name_is_path_segment, default, validate: |b| validate(b, true), validate_update, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Role", "string", 0, "The role that is given."),
    AGE,
    column("Users", "string", 1, "Users who have it."),
    column("Groups", "string", 1, "Groups that have it."),
    column("ServiceAccounts", "string", 1, "Service accounts that have it."),
];

/// The cells of either sort of binding.
pub(super) fn row(binding: &Value, now: i64) -> Vec<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let of = |kind: &str| -> Value {
        let subjects = binding["subjects"].as_array().into_iter().flatten().filter(|s| s["kind"] == kind);
        let named = subjects.map(|s| match kind {
            "ServiceAccount" => format!("{}/{}", text(&s["namespace"]), text(&s["name"])),
            _ => text(&s["name"]),
        });
        named.collect::<Vec<_>>().join(", ").into()
    };
    let role = format!("{}/{}", text(&binding["roleRef"]["kind"]), text(&binding["roleRef"]["name"]));
    vec![name(binding), role.into(), age(binding, now), of("User"), of("Group"), of("ServiceAccount")]
}

/// The API groups of the role and of users and groups.
pub(super) fn default(binding: &mut Value) {
    if let Some(role) = binding.get_mut("roleRef").and_then(Value::as_object_mut) {
        let group = role.entry("apiGroup").or_insert(Value::Null);
        if group.as_str().unwrap_or_default().is_empty() {
            *group = RBAC.into();
        }
    }
    for subject in binding.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let unset = subject["apiGroup"].as_str().unwrap_or_default().is_empty();
        if unset && matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            subject["apiGroup"] = RBAC.into();
        } else if unset && let Some(subject) = subject.as_object_mut() {
            // An empty one says nothing.
            subject.remove("apiGroup");
        }
    }
}

/// The rules of either sort of binding.
pub(super) fn validate(binding: &Value, namespaced: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let role = &binding["roleRef"];
    if role["apiGroup"] != RBAC {
        errors.push(FieldError::not_supported("roleRef.apiGroup", text(&role["apiGroup"]), &[RBAC]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    let kind = text(&role["kind"]);
    if !kinds.contains(&kind.as_str()) {
        errors.push(FieldError::not_supported("roleRef.kind", kind, kinds));
    }
    let role_name = text(&role["name"]);
    if role_name.is_empty() {
        errors.push(FieldError::required("roleRef.name", ""));
    } else {
        let wrong = name_is_path_segment(&role_name, false).into_iter();
        errors.extend(wrong.map(|why| FieldError::invalid("roleRef.name", role_name.as_str(), why)));
    }
    for (i, subject) in binding["subjects"].as_array().into_iter().flatten().enumerate() {
        errors.extend(validate_subject(subject, namespaced, &format!("subjects[{i}]")));
    }
    errors
}

fn validate_subject(subject: &Value, namespaced: bool, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let text = |field: &str| subject[field].as_str().unwrap_or_default();
    let (name, group) = (text("name"), text("apiGroup"));
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    match text("kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                let wrong = name_is_subdomain(name, false).into_iter();
                errors.extend(wrong.map(|why| FieldError::invalid(format!("{path}.name"), name, why)));
            }
            if !group.is_empty() {
                errors.push(FieldError::not_supported(format!("{path}.apiGroup"), group, &[""]));
            }
            if !namespaced && text("namespace").is_empty() {
                errors.push(FieldError::required(format!("{path}.namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != RBAC {
                errors.push(FieldError::not_supported(format!("{path}.apiGroup"), group, &[RBAC]));
            }
        }
        other => errors.push(FieldError::not_supported(format!("{path}.kind"), other, &["ServiceAccount", "User", "Group"])),
    }
    errors
}

/// Whoever could turn the role of a binding could get around the check of who may give it.
pub(super) fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    if new["roleRef"] == old["roleRef"] {
        return Vec::new();
    }
    vec![FieldError::invalid("roleRef", new["roleRef"].clone(), "cannot change roleRef")]
}
