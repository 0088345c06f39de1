//! Policies and bindings, parsed and compiled.
use crate::actors::admission::expressions::{Compiled, compile};
use crate::actors::admission::matching::{Match, conditions};
use crate::actors::admission::refusal::{list, text};
use crate::protocol::cel::Definition;
use crate::protocol::selector::LabelSelector;
use crate::storage::Snapshot;
use serde_json::Value;

/// What both sorts of policies have.
pub struct Policy<T> {
    pub name: String,
    /// Whether a request fails when the policy cannot be evaluated.
    pub fail: bool,
    pub matching: Match,
    pub conditions: Vec<Compiled>,
    pub variables: Vec<Definition>,
    pub parameters: Option<ParameterKind>,
    pub body: T,
}

/// `spec.paramKind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterKind {
    pub api_version: String,
    pub kind: String,
}

/// What a ValidatingAdmissionPolicy demands.
pub struct Validating {
    pub validations: Vec<Validation>,
    /// Keys and values of audit annotations.
    pub annotations: Vec<(String, Compiled)>,
}

/// One demand.
pub struct Validation {
    pub source: String,
    pub expression: Compiled,
    pub message: String,
    pub message_expression: Option<Compiled>,
    pub reason: String,
}

/// What a MutatingAdmissionPolicy changes.
pub struct Mutating {
    pub mutations: Vec<Mutation>,
    /// Run once more when something was changed after it.
    pub reinvoke: bool,
}

/// One change.
pub enum Mutation {
    Apply(Compiled),
    JsonPatch(Compiled),
}

/// What a binding does about a demand that is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Deny,
    Warn,
    Audit,
}

/// A binding of either sort.
pub struct Binding {
    pub name: String,
    pub policy: String,
    pub matching: Option<Match>,
    pub parameters: Option<ParameterRef>,
    pub actions: Vec<Action>,
}

/// `spec.paramRef`.
pub struct ParameterRef {
    pub name: String,
    pub namespace: String,
    pub selector: Option<LabelSelector>,
    /// Whether requests are refused when nothing is found.
    pub required: bool,
}

fn policy<T>(object: &Value, body: T) -> Policy<T> {
    let spec = &object["spec"];
    let kind = &spec["paramKind"];
    let variable = |v: &Value| (text(v, "name").to_string(), compiled(v, "expression"));
    Policy {
        name: text(&object["metadata"], "name").into(),
        fail: text(spec, "failurePolicy") != "Ignore",
        matching: Match::parse(&spec["matchConstraints"], "resourceRules"),
        conditions: conditions(spec),
        variables: list(spec, "variables").iter().map(variable).collect(),
        parameters: kind
            .is_object()
            .then(|| ParameterKind { api_version: text(kind, "apiVersion").into(), kind: text(kind, "kind").into() }),
        body,
    }
}

fn compiled(object: &Value, field: &str) -> Compiled {
    compile(text(object, field))
}

/// The ValidatingAdmissionPolicies of a shelf.
pub fn validating(snapshot: &Snapshot) -> Vec<Policy<Validating>> {
    let validation = |v: &Value| Validation {
        source: text(v, "expression").trim().into(),
        expression: compiled(v, "expression"),
        message: text(v, "message").trim().into(),
        message_expression: v["messageExpression"].as_str().filter(|e| !e.is_empty()).map(compile),
        reason: Some(text(v, "reason")).filter(|r| !r.is_empty()).unwrap_or("Invalid").into(),
    };
    let annotation = |v: &Value| (text(v, "key").to_string(), compiled(v, "valueExpression"));
    let parse = |object: Value| {
        let spec = &object["spec"];
        let body = Validating {
            validations: list(spec, "validations").iter().map(validation).collect(),
            annotations: list(spec, "auditAnnotations").iter().map(annotation).collect(),
        };
        policy(&object, body)
    };
    snapshot.iter().map(|entry| parse(entry.parse())).collect()
}

/// The MutatingAdmissionPolicies of a shelf.
pub fn mutating(snapshot: &Snapshot) -> Vec<Policy<Mutating>> {
    let mutation = |m: &Value| match text(m, "patchType") {
        "JSONPatch" => Mutation::JsonPatch(compiled(&m["jsonPatch"], "expression")),
        _ => Mutation::Apply(compiled(&m["applyConfiguration"], "expression")),
    };
    let parse = |object: Value| {
        let spec = &object["spec"];
        let body = Mutating {
            mutations: list(spec, "mutations").iter().map(mutation).collect(),
            reinvoke: text(spec, "reinvocationPolicy") == "IfNeeded",
        };
        policy(&object, body)
    };
    snapshot.iter().map(|entry| parse(entry.parse())).collect()
}

/// The bindings of a shelf.
pub fn bindings(snapshot: &Snapshot) -> Vec<Binding> {
    snapshot.iter().map(|entry| binding(&entry.parse())).collect()
}

fn binding(object: &Value) -> Binding {
    let spec = &object["spec"];
    let action = |a: &Value| match a.as_str() {
        Some("Deny") => Some(Action::Deny),
        Some("Warn") => Some(Action::Warn),
        Some("Audit") => Some(Action::Audit),
        _ => None,
    };
    let reference = &spec["paramRef"];
    Binding {
        name: text(&object["metadata"], "name").into(),
        policy: text(spec, "policyName").into(),
        matching: spec["matchResources"].is_object().then(|| Match::parse(&spec["matchResources"], "resourceRules")),
        parameters: reference.is_object().then(|| ParameterRef {
            name: text(reference, "name").into(),
            namespace: text(reference, "namespace").into(),
            selector: reference["selector"]
                .is_object()
                .then(|| LabelSelector::from_object(&reference["selector"]).unwrap_or_else(|_| LabelSelector::nothing())),
            required: text(reference, "parameterNotFoundAction") != "Allow",
        }),
        actions: list(spec, "validationActions").iter().filter_map(action).collect(),
    }
}
