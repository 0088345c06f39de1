//! How admission says no, and what several plugins have to look for in an object.
use crate::actors::kinds::Attributes;
use crate::protocol::status::ApiError;
use serde_json::Value;

/// `pods "x" is forbidden: <why>`. An object whose name the server will make up is called by its `generateName`.
pub fn forbidden(attributes: &Attributes<'_>, object: Option<&Value>, why: &str) -> ApiError {
    let resource = &attributes.kind.resource;
    ApiError::forbidden(resource.group, resource.plural, name_of(attributes, object), why)
}

/// The name that an object goes by in messages.
pub fn name_of<'a>(attributes: &Attributes<'a>, object: Option<&'a Value>) -> &'a str {
    if !attributes.key.name.is_empty() {
        return &attributes.key.name;
    }
    let meta = |field: &str| object.and_then(|o| o["metadata"][field].as_str()).filter(|n| !n.is_empty());
    meta("name").or_else(|| meta("generateName")).unwrap_or("Unknown")
}

/// Whether this request is for a resource itself, not a subresource.
pub fn is(attributes: &Attributes<'_>, group: &str, plural: &str) -> bool {
    is_part(attributes, group, plural, "")
}

/// Whether this request is for a subresource of a resource.
pub fn is_part(attributes: &Attributes<'_>, group: &str, plural: &str, subresource: &str) -> bool {
    let resource = &attributes.kind.resource;
    resource.plural == plural && resource.group == group && attributes.subresource == subresource
}

/// A list in an object; empty when it is missing.
pub fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A text in an object; empty when it is missing.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Adds members to the list in a field, which is made when it is missing.
pub fn append(object: &mut Value, field: &str, members: impl IntoIterator<Item = Value>) {
    let mut all = list(object, field).to_vec();
    all.extend(members);
    if !all.is_empty()
        && let Some(object) = object.as_object_mut()
    {
        object.insert(field.into(), all.into());
    }
}

/// Sets an annotation.
pub fn annotate(object: &mut Value, key: &str, value: String) {
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = serde_json::json!({});
    }
    object["metadata"]["annotations"][key] = value.into();
}
