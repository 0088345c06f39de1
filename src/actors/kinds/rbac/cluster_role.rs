//! `rbac.authorization.k8s.io/v1 ClusterRole`.
use super::role::validate_rules;
use super::{ROLE_COLUMNS, created_at};
use crate::actors::kinds::columns::name;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::authority::RBAC;
use crate::protocol::codec::kinds::CLUSTER_ROLE;
use crate::protocol::names::name_is_path_segment;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: RBAC,
        version: "v1",
        kind: "ClusterRole",
        plural: "clusterroles",
        singular: "clusterrole",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&CLUSTER_ROLE),
    schema: "ClusterRole",
    rules: Rules { name: name_is_path_segment, validate, ..PLAIN },
    columns: ROLE_COLUMNS,
    row: |o, _| vec![name(o), created_at(o)],
    view: None,
};

fn validate(role: &Value) -> Vec<FieldError> {
    let mut errors = validate_rules(role, false);
    let Some(aggregation) = role.get("aggregationRule") else { return errors };
    let path = "aggregationRule.clusterRoleSelectors";
    let selectors = aggregation["clusterRoleSelectors"].as_array().map(Vec::as_slice).unwrap_or_default();
    if selectors.is_empty() {
        errors.push(FieldError::required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"));
    }
    for (i, selector) in selectors.iter().enumerate() {
        if let Err(error) = LabelSelector::from_object(selector) {
            errors.push(FieldError::invalid(format!("{path}[{i}]"), selector.clone(), error.to_string()));
        }
    }
    errors
}
