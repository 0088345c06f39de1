//! Moving members of JSON objects about. Nothing here fails: what has an unexpected shape stays where it is, and the typed check
//! that follows says what is wrong with it.
use serde_json::{Map, Value, json};

/// The object at `field`, made when it is absent; `None` when something else is there.
pub(super) fn object<'a>(parent: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let slot = parent.as_object_mut()?.entry(field).or_insert(Value::Null);
    if slot.is_null() {
        *slot = json!({});
    }
    slot.is_object().then_some(slot)
}

/// Sets a member that is absent or null.
pub(super) fn default(parent: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(members) = parent.as_object_mut() {
        let slot = members.entry(field).or_insert(Value::Null);
        if slot.is_null() {
            *slot = value.into();
        }
    }
}

/// Sets a member that is absent, null, or an empty text.
pub(super) fn default_text(parent: &mut Value, field: &str, value: &str) {
    if parent[field].as_str() == Some("") {
        parent[field] = Value::Null;
    }
    default(parent, field, value);
}

/// Takes a member out; nulls count as absent.
pub(super) fn take(parent: &mut Value, field: &str) -> Option<Value> {
    parent.as_object_mut()?.remove(field).filter(|v| !v.is_null())
}

/// Puts a member in, unless there is none to put.
pub(super) fn put(parent: &mut Value, field: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (parent.as_object_mut(), value) {
        members.insert(field.into(), value);
    }
}

/// Gives a member another name. What already has that name wins.
pub(super) fn rename(parent: &mut Value, from: &str, to: &str) {
    if let Some(value) = take(parent, from)
        && parent.get(to).is_none_or(Value::is_null)
    {
        put(parent, to, Some(value));
    }
}

/// The items of a list member; none when it is absent.
pub(super) fn each<'a>(parent: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A member of `metadata.annotations`, taken out; an empty map goes with it.
pub(super) fn take_annotation(object: &mut Value, key: &str) -> Option<String> {
    let meta = object.get_mut("metadata")?;
    let annotations = meta.get_mut("annotations")?.as_object_mut()?;
    let found = annotations.remove(key)?;
    if annotations.is_empty() {
        take(meta, "annotations");
    }
    found.as_str().map(str::to_string)
}

pub(super) fn annotate(target: &mut Value, key: &str, value: String) {
    if let Some(meta) = object(target, "metadata")
        && let Some(annotations) = object(meta, "annotations").and_then(Value::as_object_mut)
    {
        annotations.insert(key.into(), value.into());
    }
}

/// An object of those members that are there.
pub(super) fn gathered<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members.into_iter().filter_map(|(k, v)| Some((k.to_string(), v?))).collect::<Map<_, _>>().into()
}
