//! Printer columns: what `kubectl get` shows, as upstream's printers have it.
use crate::protocol::table::human_duration;
use crate::protocol::time::parse_seconds;
use serde_json::Value;

pub use crate::protocol::table::Column;

/// A column; `priority` 0 shows always, 1 with `-o wide`.
pub const fn column(name: &'static str, type_: &'static str, priority: i32, description: &'static str) -> Column {
    Column::new(name, type_, "", description, priority)
}

pub const NAME: Column = Column::new("Name", "string", "name", "Name must be unique within a namespace.", 0);
pub const AGE: Column = column("Age", "string", 0, "Time since the object was created.");

/// `metadata.name`
pub fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

/// Time since creation, as people read it.
pub fn age(object: &Value, now: i64) -> Value {
    since(&object["metadata"]["creationTimestamp"], now)
}

/// Time since an RFC 3339 value, or `<unknown>`.
pub fn since(time: &Value, now: i64) -> Value {
    match time.as_str().and_then(parse_seconds) {
        Some(then) => human_duration(now - then).into(),
        None => "<unknown>".into(),
    }
}

/// The text, or `<none>`.
pub fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

/// Names of the containers in a pod template, joined by commas.
pub fn container_names(template: &Value) -> Value {
    joined(template, "name")
}

/// Images of the containers in a pod template, joined by commas.
pub fn container_images(template: &Value) -> Value {
    joined(template, "image")
}

fn joined(template: &Value, field: &str) -> Value {
    let containers = template["spec"]["containers"].as_array();
    let parts: Vec<&str> = containers.into_iter().flatten().filter_map(|c| c[field].as_str()).collect();
    parts.join(",").into()
}

/// A map of labels as a selector is printed: `a=b,c=d`, or `<none>`.
pub fn label_map(map: &Value) -> Value {
    let parts: Vec<String> =
        map.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    or_none(&parts.join(","))
}
