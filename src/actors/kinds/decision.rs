//! `impresario.dev/v1 Decision`: the causal log as a resource. Its objects lie in the log's own file; nobody writes them from outside.
use super::columns::{AGE, Column, age, column};
use super::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::DECISION;
use crate::protocol::decision::{Action, Cause, Decision};
use crate::protocol::resource::Resource;
use crate::storage::decisions::{self, Subject};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

pub use crate::protocol::decision::GROUP;

/// How it is listed and shown.
pub static KIND: Kind = Kind {
    resource: Resource {
        group: GROUP,
        version: "v1",
        kind: "Decision",
        plural: "decisions",
        singular: "decision",
        namespaced: true,
        short_names: &["why"],
        categories: &[],
        verbs: &["get", "list"],
        subresources: &[],
    },
    body: Body::Typed(&DECISION),
    schema: "Decision",
    rules: Rules { fields: FIELDS, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![age(o, now), o["controller"].clone(), reference(&o["about"]), o["why"].clone(), cause(o), done(o)],
    view: None,
};

/// `involves`: every decision that an object had part in, as `pods/name` or `deployments.apps/name`.
const FIELDS: &[&str] = &["involves", "controller"];

const COLUMNS: &[Column] = &[
    AGE,
    column("Controller", "string", 0, "Who decided."),
    column("About", "string", 0, "The object that it decided about."),
    column("Why", "string", 0, "The reason."),
    column("Cause", "string", 1, "The change that moved it."),
    column("Done", "string", 1, "What was done."),
];

fn reference(object: &Value) -> Value {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    format!("{}/{}", text("kind").to_lowercase(), text("name")).into()
}

fn cause(o: &Value) -> Value {
    match o["cause"]["change"].as_str() {
        Some(change) => format!("{} {}", reference(&o["cause"]["object"]).as_str().unwrap_or_default(), change.to_lowercase()).into(),
        None => "<none>".into(),
    }
}

/// At most a few deeds by name: a plan may make hundreds of pods.
fn done(o: &Value) -> Value {
    const SHOWN: usize = 3;
    if let Some(failure) = o["failure"].as_str() {
        return failure.into();
    }
    let actions = o["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = actions.iter().take(SHOWN);
    let mut parts: Vec<String> = shown
        .map(|a| format!("{} {}", a["verb"].as_str().unwrap_or_default(), reference(&a["object"]).as_str().unwrap_or_default()))
        .collect();
    if actions.len() > SHOWN {
        parts.push(format!("{} more", actions.len() - SHOWN));
    }
    parts.join(", ").into()
}

/// A number of the log as an object's name, so that names sort as decisions came.
pub fn name_of(number: u64) -> String {
    format!("{number:016x}")
}

/// The number in a name.
pub fn number_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name, 16).ok().filter(|number| name_of(*number) == name)
}

/// The resource that `involves` names: `pods/name` or `deployments.apps/name`.
pub fn subject_of(text: &str, namespace: &str) -> Option<Subject> {
    let (shelf, name) = text.split_once('/')?;
    Some(Subject { shelf: shelf.into(), namespace: namespace.into(), name: name.into() })
}

/// A line of the log as an object; `kind_of` tells apiVersion and kind of a shelf. Decisions about cluster-scoped objects are in the
/// namespace `default`, as events about them are.
pub fn object(number: u64, decision: &decisions::Decision, kind_of: impl Fn(&str) -> (String, String)) -> Decision {
    let reference = |subject: &Subject| {
        let (api_version, kind) = kind_of(&subject.shelf);
        let given = |text: &str| (!text.is_empty()).then(|| text.to_string());
        ObjectReference {
            api_version: given(&api_version),
            kind: given(&kind),
            namespace: given(&subject.namespace),
            name: given(&subject.name),
            ..Default::default()
        }
    };
    let mut out = Decision {
        controller: decision.by.to_string(),
        about: reference(&decision.about),
        why: decision.why.clone(),
        failure: decision.failure.clone(),
        ..Default::default()
    };
    out.metadata.name = Some(name_of(number));
    out.metadata.namespace = Some(namespace_of(decision).to_string());
    out.metadata.creation_timestamp = Timestamp::from_millisecond(decision.at).ok().map(Time);
    out.cause = decision.cause.as_ref().map(|cause| {
        let mut object = reference(&cause.object);
        object.resource_version = Some(cause.revision.to_string());
        Cause { object, change: if cause.deleted { "Deleted" } else { "Written" }.into() }
    });
    out.actions = decision.deeds.iter().map(|d| Action { verb: d.verb.word().into(), object: reference(&d.object) }).collect();
    out
}

/// The namespace that a decision is shown in.
pub fn namespace_of(decision: &decisions::Decision) -> &str {
    if decision.about.namespace.is_empty() { "default" } else { &decision.about.namespace }
}
