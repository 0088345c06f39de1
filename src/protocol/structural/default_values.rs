//! The defaults themselves: they must be what their schema allows, without unknown fields.
use super::{Additional, Structural, apply_defaults, child, keyed, prune, validate};
use crate::status::FieldError;

/// Findings about the defaults in a schema at `path`.
pub fn check_defaults(schema: &Structural, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    node(schema, path, true, false, &mut errors);
    errors
}

fn node(s: &Structural, path: &str, root: bool, in_metadata: bool, errors: &mut Vec<FieldError>) {
    if let Some(default) = &s.default {
        let at = child(path, "default");
        if root {
            errors.push(FieldError::forbidden(at, "must not be set"));
        } else if in_metadata {
            errors.push(FieldError::forbidden(at, "must not be set in top-level metadata"));
        } else {
            value(s, default, &at, errors);
        }
    }
    if let Some(items) = &s.items {
        node(items, &child(path, "items"), false, in_metadata, errors);
    }
    for (name, property) in &s.properties {
        let inner = in_metadata || (root && name == "metadata");
        node(property, &keyed(&child(path, "properties"), name), false, inner, errors);
    }
    if let Additional::Schema(schema) = &s.additional {
        node(schema, &child(path, "additionalProperties"), false, in_metadata, errors);
    }
}

fn value(s: &Structural, default: &serde_json::Value, at: &str, errors: &mut Vec<FieldError>) {
    let mut pruned = default.clone();
    let mut unknown = Vec::new();
    prune(&mut pruned, s, s.embedded, &mut unknown, 1);
    if !unknown.is_empty() {
        errors.push(FieldError::invalid(at, default.clone(), "must not have unknown fields"));
        return;
    }
    // What the default leaves out is filled in by the defaults below it.
    apply_defaults(&mut pruned, s);
    errors.extend(validate(&pruned, s, at));
    errors.extend(super::check_lists(&pruned, s, at));
}
