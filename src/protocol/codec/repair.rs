//! Go's JSON decoder is more lenient than serde in a few places that clients do use. When a body fails the typed parse, it is
//! looked at once more with these leniencies applied; bodies that pass never pay for it.
use serde_json::Value;

/// Maps of strings where Go reads `null` as an empty string.
const STRING_MAPS: &[&str] = &["labels", "annotations", "matchLabels", "nodeSelector", "selector", "data", "stringData", "parameters"];

/// The body with Go's leniencies applied, or `None` when there was nothing of the kind in it.
pub(super) fn repaired(body: &[u8], kind: &str) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let mut changed = false;
    if let Some(top) = value.as_object_mut() {
        for key in ["kind", "apiVersion"] {
            if top.get(key).is_some_and(|v| v.is_null() || v.as_str() == Some("")) {
                top.remove(key);
                changed = true;
            }
        }
        if kind == "Secret" {
            changed |= unwrap_base64(top.get_mut("data"));
        }
    }
    fill_nulls(&mut value, &mut changed);
    if changed { serde_json::to_vec(&value).ok() } else { None }
}

/// Go's base64 decoder skips line breaks.
fn unwrap_base64(data: Option<&mut Value>) -> bool {
    let mut changed = false;
    for member in data.and_then(Value::as_object_mut).into_iter().flat_map(|m| m.values_mut()) {
        if let Some(text) = member.as_str().filter(|t| t.contains(['\n', '\r'])) {
            *member = text.replace(['\n', '\r'], "").into();
            changed = true;
        }
    }
    changed
}

fn fill_nulls(value: &mut Value, changed: &mut bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|v| fill_nulls(v, changed)),
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                if STRING_MAPS.contains(&key.as_str()) {
                    for null in member.as_object_mut().into_iter().flat_map(|m| m.values_mut()).filter(|v| v.is_null()) {
                        *null = "".into();
                        *changed = true;
                    }
                }
                fill_nulls(member, changed);
            }
        }
        _ => {}
    }
}
