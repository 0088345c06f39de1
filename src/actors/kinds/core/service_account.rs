//! `v1 ServiceAccount`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN};
use crate::protocol::codec::kinds::SERVICE_ACCOUNT;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        namespaced: true,
        short_names: &["sa"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "token",
            group: "authentication.k8s.io",
            version: "v1",
            kind: "TokenRequest",
            verbs: &["create"],
        }],
    },
    body: Body::Typed(&SERVICE_ACCOUNT),
    schema: "ServiceAccount",
    rules: PLAIN,
    columns: COLUMNS,
    row: |o, now| vec![name(o), o["secrets"].as_array().map_or(0, Vec::len).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Secrets", "string", 0, "Number of secrets that may be used."), AGE];
