//! What of a partial object would replace something as a whole.
use super::super::fieldset::MAX_DEPTH;
use super::super::schema::{ListKind, Schema, TypeId};
use serde_json::Value;

/// The places of lists, maps and structs that an object mentions and that are owned as a whole: `.spec.tolerations`.
pub fn atomics(schema: &Schema, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    field(schema, schema.root(), object, &mut String::new(), &mut found, 0);
    found
}

fn field(schema: &Schema, id: TypeId, value: &Value, path: &mut String, found: &mut Vec<String>, depth: usize) {
    let Some(kind) = schema.get(id).filter(|_| depth < MAX_DEPTH) else { return };
    let length = path.len();
    match (value, &kind.map, &kind.list) {
        (Value::Object(members), Some(map), _) => {
            if map.atomic {
                found.push(path.clone());
            }
            // Keys that are data have no places of their own.
            for (name, member) in members {
                if let (Some(own), true) = (map.field(name).0, map.fields.iter().any(|f| f.name == *name)) {
                    path.push('.');
                    path.push_str(name);
                    field(schema, own, member, path, found, depth + 1);
                    path.truncate(length);
                }
            }
        }
        (Value::Array(items), _, Some(list)) => {
            if list.kind == ListKind::Atomic {
                found.push(path.clone());
            }
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                field(schema, list.items, item, path, found, depth + 1);
                path.truncate(length);
            }
        }
        _ => {}
    }
}
