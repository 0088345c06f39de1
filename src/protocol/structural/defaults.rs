//! Defaults: fields that are absent get the schema's value; a null where none is allowed counts as absent.
use super::{Additional, Structural};
use serde_json::Value;

/// Fills in defaults everywhere below `value`. Nulls that a schema neither allows nor has a default for are dropped only where a default
/// replaces them, as upstream has it. Applying it twice changes nothing more.
pub fn apply_defaults(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(members) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                let absent = match members.get(name) {
                    None => true,
                    Some(Value::Null) => !property.nullable,
                    Some(_) => false,
                };
                if absent {
                    members.insert(name.clone(), default.clone());
                }
            }
            for (name, member) in members.iter_mut() {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => apply_defaults(member, property),
                    (None, Additional::Schema(additional)) => {
                        if member.is_null()
                            && !additional.nullable
                            && let Some(default) = &additional.default
                        {
                            *member = default.clone();
                        }
                        apply_defaults(member, additional);
                    }
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return };
            for item in items {
                if item.is_null()
                    && !schema.nullable
                    && let Some(default) = &schema.default
                {
                    *item = default.clone();
                }
                apply_defaults(item, schema);
            }
        }
        _ => {}
    }
}
