//! Objects of every kind on their way through the write path, and what must hold wherever they come from.
use crate::actors::kinds::{
    Edit, EditBody, FieldValidation, Kind, Part, Patch, Writer, begin_create, prepare_create, prepare_update, proposed,
};
use crate::protocol::codec::{encode, meta_of};
use crate::protocol::protobuf;
use crate::protocol::status::ApiError;
use crate::protocol::user::User;
use crate::storage::Entry;
use serde_json::Value;

const NOW: &str = "2026-01-01T00:00:00Z";

/// What a finding says, when something doesn't hold.
pub type Outcome<T> = Result<T, String>;

/// The object as stored, if the write path takes the body.
pub fn create(kind: &Kind, stored_as: &Kind, body: &[u8]) -> Outcome<Option<Value>> {
    let Ok(checked) = kind.check(body) else { return Ok(None) };
    let mut object = checked.value;
    if let Some(view) = kind.view {
        (view.to_stored)(&mut object);
    }
    let namespace = if stored_as.resource.namespaced { "ns" } else { "" };
    if let Err(error) = begin_create(stored_as, namespace, &mut object) {
        return said(&error).map(|()| None);
    }
    match prepare_create(stored_as, object, NOW, "uid-1", *b"abcde") {
        Ok(mut object) => {
            (stored_as.rules.requester)(&mut object, &User::new("jane", []));
            object["metadata"]["resourceVersion"] = "7".into();
            Ok(Some(object))
        }
        Err(error) => said(&error).map(|()| None),
    }
}

/// A refusal names the fields that it is about.
pub fn said(error: &ApiError) -> Outcome<()> {
    let causes = error.details.iter().flat_map(|d| &d.causes);
    match causes.into_iter().find(|c| c.field.is_empty() && c.reason.starts_with("FieldValue")) {
        Some(cause) => Err(format!("a finding without a field: {}", cause.message)),
        _ if error.message.is_empty() => Err("a refusal without words".into()),
        // What a configuration of server-side apply can't be is an internal error upstream.
        _ if error.code == 500 && !error.message.starts_with("failed to create typed patch object") => {
            Err(format!("an internal error: {}", error.message))
        }
        _ => Ok(()),
    }
}

/// What must hold after a part was written. The strategies of the whole object have had no say in the other parts yet.
pub fn settles(kind: &Kind, part: Part, object: &Value) -> Outcome<()> {
    if part == Part::Main {
        return holds(kind, object);
    }
    match prepare_update(kind, Part::Main, object, object.clone()) {
        Ok(settled) => holds(kind, &settled),
        // Anything may be said to be stored in some version; the definition is held up by it when it is written next, as upstream.
        Err(error) if kind.resource.kind == "CustomResourceDefinition" && error.message.contains("status.storedVersions") => Ok(()),
        Err(error) => Err(format!("an object is refused as its own update: {}", error.message)),
    }
}

/// Everything that must hold for a stored object of a kind that is stored as itself.
pub fn holds(kind: &Kind, object: &Value) -> Outcome<()> {
    let mut again = object.clone();
    kind.default(&mut again);
    same("defaults are not idempotent", object, &again)?;
    let entry = stored(kind, object);
    same("what is read is not what was stored", object, &entry.parse_whole())?;
    let checked = kind.check(&entry.served()).map_err(|e| format!("a stored object is no body: {e}"))?;
    same("a stored object changes when it is decoded", object, &checked.value)?;
    if !checked.findings().is_empty() {
        return Err(format!("a stored object has unknown fields: {:?}", checked.findings()));
    }
    match prepare_update(kind, Part::Main, object, checked.value) {
        Ok(next) => same("an update of an object with itself changes it", object, &next)?,
        Err(error) => return Err(format!("an object is refused as its own update: {}", error.message)),
    }
    if kind.has_status()
        && let Ok(next) = prepare_update(kind, Part::Status, object, object.clone())
    {
        same("an update of the status with itself changes the object", object, &next)?;
    }
    let row = kind.row(object, 1_767_225_660);
    if row.len() != kind.columns().len() {
        return Err(format!("{} cells for {} columns", row.len(), kind.columns().len()));
    }
    for field in kind.fields() {
        let _ = kind.field(&entry, field);
    }
    let _ = (kind.rules.warnings)(object, None);
    let _ = (kind.rules.warnings)(object, Some(object));
    let _ = (kind.rules.grace)(object);
    let _ = crate::actors::kinds::scale_of(kind, object);
    binary(kind, object)
}

/// The object is the same after a journey in protobuf.
fn binary(kind: &Kind, object: &Value) -> Outcome<()> {
    // The first second of all is no time on the wire: what must have a time has none afterwards.
    if object.to_string().contains("\"1970-01-01T00:00:00") {
        return Ok(());
    }
    let Ok(bytes) = protobuf::from_json(object) else { return Ok(()) };
    let back = protobuf::to_json(&bytes).map_err(|e| format!("what was written in protobuf can't be read: {e}"))?;
    let mut back = kind.check_value(&back).map_err(|e| format!("an object is no body after protobuf: {e}"))?.value;
    kind.default(&mut back);
    // The wire doesn't tell what is empty from what isn't there.
    same("protobuf changes an object", &full(object), &full(&back))
}

/// The value without members that say nothing.
fn full(value: &Value) -> Value {
    let empty = |v: &Value| match v {
        Value::Null | Value::Bool(false) => true,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) => false,
    };
    match value {
        Value::Object(members) => {
            let inner = members.iter().map(|(k, v)| (k.clone(), full(v))).filter(|(_, v)| !empty(v));
            Value::Object(inner.collect())
        }
        Value::Array(items) => items.iter().map(full).collect(),
        other => other.clone(),
    }
}

/// A view of a stored object can be sent back.
pub fn viewed(view: &Kind, object: &Value) -> Outcome<()> {
    let mut shown = object.clone();
    view.show(&mut shown);
    let row = view.row(&shown, 1_767_225_660);
    if row.len() != view.columns().len() {
        return Err(format!("{} cells for {} columns", row.len(), view.columns().len()));
    }
    let mut back = view.check_value(&shown).map_err(|e| format!("a shown object is no body of its view: {e}"))?.value;
    if let Some(through) = view.view {
        (through.to_stored)(&mut back);
    }
    same("a view doesn't give back what it was given", &full(object), &full(&back))
}

/// The object after a patch or an update of one of its parts, if it is granted.
pub fn edit(kind: &Kind, part: Part, old: &Value, patch: Patch) -> Outcome<Option<Value>> {
    match attempt(kind, part, old, patch) {
        Ok(next) => Ok(Some(next)),
        Err(error) => said(&error).map(|()| None),
    }
}

pub fn attempt(kind: &Kind, part: Part, old: &Value, patch: Patch) -> Result<Value, ApiError> {
    let (key, _) = meta_of(old);
    let edit = Edit { key, part, body: EditBody::Patch { patch, validation: FieldValidation::Warn } };
    let (body, _) = proposed(kind, &edit, old, &Writer::internal("fuzz"))?;
    let mut next = prepare_update(kind, part, old, body)?;
    // The managers of other parts are recorded afterwards, and a patch of such a part has no say in them.
    if !matches!(part, Part::Main | Part::Status)
        && let Some(meta) = next.get_mut("metadata").and_then(Value::as_object_mut)
    {
        match old["metadata"].get("managedFields") {
            Some(managers) => meta.insert("managedFields".into(), managers.clone()),
            None => meta.remove("managedFields"),
        };
    }
    Ok(next)
}

pub fn update(kind: &Kind, part: Part, old: &Value, body: Value) -> Outcome<Option<Value>> {
    match prepare_update(kind, part, old, body) {
        Ok(next) => Ok(Some(next)),
        Err(error) => said(&error).map(|()| None),
    }
}

fn stored(kind: &Kind, object: &Value) -> Entry {
    let (body, splice) = encode(object);
    let (key, meta) = meta_of(object);
    Entry { key, body, splice, revision: 7, token: 1, meta, light: (kind.rules.light)(object) }
}

/// Says where two values differ first.
pub fn same(what: &str, one: &Value, other: &Value) -> Outcome<()> {
    match difference(one, other, String::new()) {
        None => Ok(()),
        Some((path, one, other)) => Err(format!("{what}: {path}: {one} became {other}")),
    }
}

/// The beginning of a value's text.
pub fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

fn difference(one: &Value, other: &Value, path: String) -> Option<(String, String, String)> {
    let text = |value: Option<&Value>| value.map_or("nothing".to_string(), short);
    match (one, other) {
        _ if one == other => None,
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys()).find_map(|key| match (a.get(key), b.get(key)) {
            (Some(x), Some(y)) => difference(x, y, format!("{path}.{key}")),
            (x, y) => Some((format!("{path}.{key}"), text(x), text(y))),
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(at, (x, y))| difference(x, y, format!("{path}[{at}]")))
        }
        _ => Some((path, short(one), short(other))),
    }
}
