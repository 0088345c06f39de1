//! One operation of a path, written in either form.
use super::schema::Form;
use serde_json::{Map, Value, json};

/// A query or path parameter.
pub struct Parameter {
    pub name: &'static str,
    /// `string`, `boolean` or `integer`.
    pub kind: &'static str,
    pub description: &'static str,
}

const fn parameter(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind, description }
}

const DRY_RUN: Parameter = parameter("dryRun", "string", "With `All`, everything happens except that the change is kept.");
const FIELD_MANAGER: Parameter = parameter(
    "fieldManager",
    "string",
    "Who makes this change, as managedFields will say. Up to 128 printable characters; an apply request needs it.",
);
const FIELD_VALIDATION: Parameter = parameter(
    "fieldValidation",
    "string",
    "What to do about unknown and duplicate fields: `Ignore` drops them, `Warn` drops them and says so in a warning, `Strict` refuses the request.",
);
const FORCE: Parameter =
    parameter("force", "boolean", "An apply request takes over the fields that it conflicts about. Not for other patches.");
const GRACE_PERIOD: Parameter =
    parameter("gracePeriodSeconds", "integer", "Seconds until the object is removed; 0 removes it at once. The kind has a default.");
const ORPHAN: Parameter = parameter("orphanDependents", "boolean", "Deprecated; propagationPolicy says the same.");
const PROPAGATION: Parameter = parameter(
    "propagationPolicy",
    "string",
    "What becomes of dependents: `Orphan` keeps them, `Background` deletes them afterwards, `Foreground` deletes them first.",
);
const LABEL_SELECTOR: Parameter = parameter("labelSelector", "string", "Only objects whose labels match.");
const FIELD_SELECTOR: Parameter = parameter("fieldSelector", "string", "Only objects whose fields match.");
const LIMIT: Parameter = parameter("limit", "integer", "The most objects to return; metadata.continue then leads to the rest.");
const CONTINUE: Parameter = parameter("continue", "string", "The metadata.continue of the page before.");
const RESOURCE_VERSION: Parameter =
    parameter("resourceVersion", "string", "Answer from this revision, as resourceVersionMatch says, or watch from it.");
const RESOURCE_VERSION_MATCH: Parameter =
    parameter("resourceVersionMatch", "string", "`Exact` or `NotOlderThan`: how resourceVersion is meant.");
const TIMEOUT: Parameter = parameter("timeoutSeconds", "integer", "The request ends after this many seconds, whatever it is doing.");
const WATCH: Parameter = parameter("watch", "boolean", "Stream changes in place of a list.");
const BOOKMARKS: Parameter = parameter("allowWatchBookmarks", "boolean", "The watcher understands BOOKMARK events.");
const INITIAL_EVENTS: Parameter =
    parameter("sendInitialEvents", "boolean", "The watch begins with the objects as they are, followed by a bookmark.");

pub static PRETTY: Parameter = parameter("pretty", "string", "With `true` the answer is indented.");
pub static NAME: Parameter = parameter("name", "string", "The object's name.");
pub static NAMESPACE: Parameter = parameter("namespace", "string", "The object's namespace.");
pub static PATH: Parameter = parameter("path", "string", "The rest of the path, passed on.");

pub static ON_READ: &[Parameter] = &[];
pub static ON_CREATE: &[Parameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
pub static ON_PATCH: &[Parameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
pub static ON_DELETE: &[Parameter] = &[DRY_RUN, GRACE_PERIOD, ORPHAN, PROPAGATION];
pub static ON_LIST: &[Parameter] =
    &[LABEL_SELECTOR, FIELD_SELECTOR, LIMIT, CONTINUE, RESOURCE_VERSION, RESOURCE_VERSION_MATCH, TIMEOUT, WATCH, BOOKMARKS, INITIAL_EVENTS];
pub static ON_DELETE_COLLECTION: &[Parameter] = &[
    DRY_RUN,
    GRACE_PERIOD,
    ORPHAN,
    PROPAGATION,
    LABEL_SELECTOR,
    FIELD_SELECTOR,
    LIMIT,
    CONTINUE,
    RESOURCE_VERSION,
    RESOURCE_VERSION_MATCH,
    TIMEOUT,
];

impl Parameter {
    /// The parameter object; `place` is `query` or `path`.
    pub fn write(&self, place: &str, form: Form) -> Value {
        let mut out = json!({"name": self.name, "in": place, "description": self.description});
        match form {
            Form::V2 => {
                out["type"] = self.kind.into();
                out["uniqueItems"] = true.into();
            }
            Form::V3 => out["schema"] = json!({"type": self.kind, "uniqueItems": true}),
        }
        if place == "path" {
            out["required"] = true.into();
        }
        out
    }
}

/// What a request's body is.
pub struct Body {
    pub model: String,
    pub media_types: &'static [&'static str],
    pub required: bool,
}

/// What an operation answers.
pub enum Answer {
    /// An object of this model.
    Model(String),
    /// A stream or text, of no model.
    Text,
}

/// An operation, before it is written.
pub struct Operation<'a> {
    pub id: String,
    pub tag: String,
    pub description: String,
    /// Upstream's `x-kubernetes-action`; empty for operations on kinds without one.
    pub action: &'a str,
    pub gvk: (&'a str, &'a str, &'a str),
    pub parameters: &'a [Parameter],
    pub body: Option<Body>,
    pub answer: Answer,
    pub codes: &'a [(&'a str, &'a str)],
}

const ENCODINGS: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

impl Operation<'_> {
    /// The operation object.
    pub fn write(self, form: Form) -> Value {
        let (group, version, kind) = self.gvk;
        let mut parameters: Vec<Value> = self.parameters.iter().map(|p| p.write("query", form)).collect();
        let mut out = json!({
            "description": self.description,
            "operationId": self.id,
            "tags": [self.tag],
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        if form == Form::V2 {
            out["consumes"] = self.body.as_ref().map_or(json!(["*/*"]), |body| json!(body.media_types));
            out["produces"] = if matches!(self.answer, Answer::Text) { json!(["*/*"]) } else { json!(ENCODINGS) };
            out["schemes"] = json!(["https"]);
        }
        if let Some(body) = &self.body {
            match form {
                Form::V2 => {
                    let mut parameter = json!({"name": "body", "in": "body", "schema": form.reference(&body.model)});
                    if body.required {
                        parameter["required"] = true.into();
                    }
                    parameters.push(parameter);
                }
                Form::V3 => {
                    out["requestBody"] = json!({"content": content(body.media_types, &form.reference(&body.model))});
                    if body.required {
                        out["requestBody"]["required"] = true.into();
                    }
                }
            }
        }
        if !parameters.is_empty() {
            out["parameters"] = parameters.into();
        }
        out["responses"] = responses(&self.answer, self.codes, form);
        out
    }
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    media_types.iter().map(|media| (media.to_string(), json!({ "schema": schema }))).collect::<Map<_, _>>().into()
}

fn responses(answer: &Answer, codes: &[(&str, &str)], form: Form) -> Value {
    let mut out = Map::new();
    for (code, description) in codes {
        let mut response = json!({ "description": description });
        let (schema, media_types) = match answer {
            Answer::Model(model) => (form.reference(model), ENCODINGS),
            Answer::Text => (json!({"type": "string"}), &["*/*"] as &[&str]),
        };
        match form {
            Form::V2 => response["schema"] = schema,
            Form::V3 => response["content"] = content(media_types, &schema),
        }
        out.insert(code.to_string(), response);
    }
    out.into()
}
