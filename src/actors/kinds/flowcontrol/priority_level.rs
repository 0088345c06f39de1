//! `flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration`.
use super::bootstrap::mandatory_priority_levels;
use super::{GROUP, validate_conditions};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::findings::{READ_WRITE, fill, text};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::PRIORITY_LEVEL_CONFIGURATION;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: GROUP,
        version: "v1",
        kind: "PriorityLevelConfiguration",
        plural: "prioritylevelconfigurations",
        singular: "prioritylevelconfiguration",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource { name: "status", group: GROUP, version: "v1", kind: "PriorityLevelConfiguration", verbs: READ_WRITE }],
    },
    body: Body::Typed(&PRIORITY_LEVEL_CONFIGURATION),
    schema: "PriorityLevelConfiguration",
    rules: Rules {
        default,
        create: |o| o["status"] = json!({}),
        validate,
        validate_status: |new, _| validate_conditions(new),
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "string", 0, "Limited, or exempt from limits."),
    column("NominalConcurrencyShares", "string", 0, "This level's part of the server's concurrency."),
    column("Queues", "string", 0, "The number of queues for this priority level."),
    column("HandSize", "string", 0, "How many queues a flow may use."),
    column("QueueLengthLimit", "string", 0, "How many requests may wait in a queue."),
    AGE,
];

const DEFAULT_SHARES: i64 = 30;
const MAX_QUEUES: i64 = 10_000_000;
/// Bits of the hash that deals hands of queues.
const MAX_HASH_BITS: u32 = 60;

fn default(object: &mut Value) {
    if let Some(exempt) = object.pointer_mut("/spec/exempt") {
        fill(exempt, "nominalConcurrencyShares", 0);
        fill(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = object.pointer_mut("/spec/limited") {
        fill(limited, "nominalConcurrencyShares", DEFAULT_SHARES);
        fill(limited, "lendablePercent", 0);
    }
    if let Some(queuing) = object.pointer_mut("/spec/limited/limitResponse/queuing").filter(|q| q.is_object()) {
        for (field, value) in [("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)] {
            if queuing[field].as_i64().unwrap_or(0) == 0 {
                queuing[field] = value.into();
            }
        }
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let (name, kind) = (text(&object["metadata"], "name"), text(spec, "type"));
    let mut errors = Vec::new();
    if (name == "exempt") != (kind == "Exempt") {
        errors.push(FieldError::invalid("spec.type", kind, "type must be 'Exempt' if and only if name is 'exempt'"));
    }
    match kind {
        "Exempt" => {
            if !spec["limited"].is_null() {
                errors.push(FieldError::forbidden("spec.limited", "must be nil if the type is not Limited"));
            }
            if !spec["exempt"].is_null() {
                errors.extend(shares(&spec["exempt"], "spec.exempt"));
            }
        }
        "Limited" => {
            if !spec["exempt"].is_null() {
                errors.push(FieldError::forbidden("spec.exempt", "must be nil if the type is Limited"));
            }
            if spec["limited"].is_null() {
                errors.push(FieldError::required("spec.limited", "must not be empty when type is Limited"));
            } else {
                errors.extend(validate_limited(&spec["limited"]));
            }
        }
        _ => errors.push(FieldError::not_supported("spec.type", kind, &["Exempt", "Limited"])),
    }
    errors.extend(fixed(name, spec));
    errors
}

/// The mandatory levels are as they are; of `exempt` its shares may be changed.
fn fixed(name: &str, spec: &Value) -> Option<FieldError> {
    let mandatory = mandatory_priority_levels().into_iter().find(|m| m["metadata"]["name"] == name)?;
    let (mut wanted, mut given) = (mandatory["spec"].clone(), spec.clone());
    if name == "exempt" {
        for side in [&mut wanted, &mut given] {
            side.as_object_mut().map(|m| m.remove("exempt"));
        }
        let why = "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value";
        return (wanted != given).then(|| FieldError::invalid("spec", spec.clone(), why));
    }
    (wanted != given).then(|| FieldError::invalid("spec", spec.clone(), format!("spec of '{name}' must equal the fixed value")))
}

fn shares(level: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(shares) = level["nominalConcurrencyShares"].as_i64().filter(|n| *n < 0) {
        errors.push(FieldError::invalid(format!("{path}.nominalConcurrencyShares"), shares, "must be a non-negative integer"));
    }
    if let Some(percent) = level["lendablePercent"].as_i64().filter(|n| !(0..=100).contains(n)) {
        errors.push(FieldError::invalid(format!("{path}.lendablePercent"), percent, "must be between 0 and 100, inclusive"));
    }
    errors
}

fn validate_limited(limited: &Value) -> Vec<FieldError> {
    let mut errors = shares(limited, "spec.limited");
    if let Some(limit) = limited["borrowingLimitPercent"].as_i64().filter(|n| *n < 0) {
        let why = "if specified, must be a non-negative integer";
        errors.push(FieldError::invalid("spec.limited.borrowingLimitPercent", limit, why));
    }
    let response = &limited["limitResponse"];
    let path = "spec.limited.limitResponse";
    match (text(response, "type"), response["queuing"].is_null()) {
        ("Reject", true) => {}
        ("Reject", false) => {
            let why = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(FieldError::forbidden(format!("{path}.queuing"), why));
        }
        ("Queue", true) => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(FieldError::required(format!("{path}.queuing"), why));
        }
        ("Queue", false) => errors.extend(validate_queuing(&response["queuing"], &format!("{path}.queuing"))),
        (other, _) => errors.push(FieldError::not_supported(format!("{path}.type"), other, &["Queue", "Reject"])),
    }
    errors
}

fn validate_queuing(queuing: &Value, path: &str) -> Vec<FieldError> {
    let number = |field: &str| queuing[field].as_i64().unwrap_or(0);
    let (queues, hand) = (number("queues"), number("handSize"));
    let mut errors = Vec::new();
    let mut bad = |field: &str, why: String| errors.push(FieldError::invalid(format!("{path}.{field}"), number(field), why));
    if number("queueLengthLimit") <= 0 {
        bad("queueLengthLimit", "must be positive".into());
    }
    if queues <= 0 {
        bad("queues", "must be positive".into());
    } else if queues > MAX_QUEUES {
        bad("queues", format!("must not be greater than {MAX_QUEUES}"));
    }
    if hand <= 0 {
        bad("handSize", "must be positive".into());
    } else if hand > queues {
        bad("handSize", format!("should not be greater than queues ({queues})"));
    } else if entropy_bits(queues, hand) > MAX_HASH_BITS {
        let why = format!("required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}");
        bad("handSize", why);
    }
    errors
}

/// Bits of a hash that it takes to deal a hand: the product of what is left of the deck, card by card.
fn entropy_bits(deck: i64, hand: i64) -> u32 {
    let bits: f64 = (0..hand.min(i64::from(MAX_HASH_BITS) + 1)).map(|dealt| ((deck - dealt).max(1) as f64).log2()).sum();
    bits.ceil() as u32
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let limited = &o["spec"]["limited"];
    let queuing = &limited["limitResponse"]["queuing"];
    let or_none = |value: &Value| if value.is_null() { "<none>".into() } else { value.clone() };
    vec![
        name(o),
        o["spec"]["type"].clone(),
        or_none(&limited["nominalConcurrencyShares"]),
        or_none(&queuing["queues"]),
        or_none(&queuing["handSize"]),
        or_none(&queuing["queueLengthLimit"]),
        age(o, now),
    ]
}
