//! `coordination.k8s.io/v1 Lease`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN};
use crate::protocol::codec::kinds::LEASE;
use crate::protocol::resource::{ALL_VERBS, Resource};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&LEASE),
    schema: "Lease",
    rules: PLAIN,
    columns: COLUMNS,
    row: |o, now| vec![name(o), o["spec"]["holderIdentity"].as_str().unwrap_or_default().into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Holder", "string", 0, "Who holds the lease."), AGE];
