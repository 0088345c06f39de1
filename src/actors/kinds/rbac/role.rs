//! `rbac.authorization.k8s.io/v1 Role`.
use super::{ROLE_COLUMNS, created_at};
use crate::actors::kinds::columns::name;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::authority::{PolicyRule, RBAC};
use crate::protocol::codec::kinds::ROLE;
use crate::protocol::names::name_is_path_segment;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: RBAC,
        version: "v1",
        kind: "Role",
        plural: "roles",
        singular: "role",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&ROLE),
    schema: "Role",
    rules: Rules { name: name_is_path_segment, validate: |role| validate_rules(role, true), ..PLAIN },
    columns: ROLE_COLUMNS,
    row: |o, _| vec![name(o), created_at(o)],
    view: None,
};

/// The rules of a role, or of a cluster role.
pub(super) fn validate_rules(role: &Value, namespaced: bool) -> Vec<FieldError> {
    PolicyRule::of_role(role).iter().enumerate().flat_map(|(i, rule)| validate_rule(rule, namespaced, &format!("rules[{i}]"))).collect()
}

fn validate_rule(rule: &PolicyRule, namespaced: bool, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if rule.verbs.is_empty() {
        errors.push(FieldError::required(format!("{path}.verbs"), "verbs must contain at least one value"));
    }
    if !rule.urls.is_empty() {
        let mut wrong = |why: &str| errors.push(FieldError::invalid(format!("{path}.nonResourceURLs"), rule.urls.clone(), why));
        if namespaced {
            wrong("namespaced rules cannot apply to non-resource URLs");
        }
        if !(rule.api_groups.is_empty() && rule.resources.is_empty() && rule.resource_names.is_empty()) {
            wrong("rules cannot apply to both regular resources and non-resource URLs");
        }
        return errors;
    }
    if rule.api_groups.is_empty() {
        errors.push(FieldError::required(format!("{path}.apiGroups"), "resource rules must supply at least one api group"));
    }
    if rule.resources.is_empty() {
        errors.push(FieldError::required(format!("{path}.resources"), "resource rules must supply at least one resource"));
    }
    errors
}
