//! `kubectl apply` without and with `--server-side`: what the annotation of the former says is kubectl's own.
use super::super::fieldset::Set;
use super::super::schema::Schema;
use super::super::typed::{diff, to_set};
use serde_json::{Map, Value};

/// Where client-side apply keeps what it applied last.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The most that all annotations of an object may amount to, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.get("annotations")?.as_object()
}

fn text(object: &Value) -> Option<&str> {
    annotations(object)?.get(ANNOTATION)?.as_str().filter(|text| !text.is_empty())
}

/// The object was applied client-side.
pub(super) fn is_there(object: &Value) -> bool {
    text(object).is_some()
}

/// The fields that the last client-side apply set and that are still as it set them.
pub(super) fn owned(schema: &Schema, live: &Value, api_version: &str) -> Option<Set> {
    let last: Value = serde_json::from_str(text(live)?).ok()?;
    if last.get("apiVersion").and_then(Value::as_str) != Some(api_version) {
        return None;
    }
    let changed = diff(schema, &last, live);
    Some(to_set(schema, &last).difference(&changed.modified).difference(&changed.added).difference(&changed.removed))
}

/// Brings the annotation up to what is applied now, so that client-side apply finds its way back. An annotation that would be
/// too long is taken out.
pub(super) fn set(object: &mut Value, config: &Value) {
    let mut config = config.clone();
    if let Some(Value::Object(annotations)) = config.get_mut("metadata").and_then(|m| m.get_mut("annotations")) {
        annotations.remove(ANNOTATION);
    }
    let Some(Value::Object(annotations)) = object.get_mut("metadata").and_then(|m| m.get_mut("annotations")) else { return };
    // As Go writes JSON.
    let text = config.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    annotations.insert(ANNOTATION.into(), format!("{text}\n").into());
    let size: usize = annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    if size > MAX_ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}
