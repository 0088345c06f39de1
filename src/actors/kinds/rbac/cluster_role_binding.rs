//! `rbac.authorization.k8s.io/v1 ClusterRoleBinding`.
use super::role_binding::{COLUMNS, default, row, validate, validate_update};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::authority::RBAC;
use crate::protocol::codec::kinds::CLUSTER_ROLE_BINDING;
use crate::protocol::names::name_is_path_segment;
use crate::protocol::resource::{ALL_VERBS, Resource};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: RBAC,
        version: "v1",
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&CLUSTER_ROLE_BINDING),
    schema: "ClusterRoleBinding",
    rules: Rules { name: name_is_path_segment, default, validate: |b| validate(b, false), validate_update, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};
