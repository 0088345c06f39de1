//! `networking.k8s.io/v1 ServiceCIDR`: a range that services get their addresses from.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{IMMUTABLE, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::SERVICE_CIDR;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::network;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "networking.k8s.io",
        version: "v1",
        kind: "ServiceCIDR",
        plural: "servicecidrs",
        singular: "servicecidr",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "networking.k8s.io",
            version: "v1",
            kind: "ServiceCIDR",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&SERVICE_CIDR),
    schema: "ServiceCIDR",
    rules: Rules { create: |o| o["status"] = json!({}), validate, validate_update, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), texts(&o["spec"]["cidrs"]).join(",").into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("CIDRs", "string", 0, "The networks of the range."), AGE];
const PATH: &str = "spec.cidrs";

fn validate(object: &Value) -> Vec<FieldError> {
    let list = texts(&object["spec"]["cidrs"]);
    if list.is_empty() {
        return vec![FieldError::required(PATH, "at least one CIDR required")];
    }
    if list.len() > 2 {
        return vec![FieldError::invalid(PATH, object["spec"].clone(), "may only hold up to 2 values")];
    }
    let mut errors: Vec<_> = list.iter().enumerate().flat_map(|(i, n)| network::strict_network(&format!("{PATH}[{i}]"), n)).collect();
    let family = |text: &&str| network::Network::parse(text).map(|n| n.address.is_ipv4());
    if let [first, second] = list.as_slice()
        && family(first).is_some()
        && family(first) == family(second)
    {
        let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(FieldError::invalid(PATH, object["spec"]["cidrs"].clone(), why));
    }
    errors
}

/// A range of one family may get one of the other; nothing else changes.
fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let (given, held) = (texts(&new["spec"]["cidrs"]), texts(&old["spec"]["cidrs"]));
    let grows = (held.len(), given.len()) == (1, 2);
    if !grows && held.len() != given.len() {
        return vec![FieldError::invalid(PATH, new["spec"]["cidrs"].clone(), IMMUTABLE)];
    }
    let changed = held.iter().zip(&given).enumerate().filter(|(_, (held, given))| held != given);
    changed.map(|(i, (_, given))| FieldError::invalid(format!("{PATH}[{i}]"), *given, IMMUTABLE)).collect()
}
