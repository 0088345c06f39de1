//! Whether an object fits its schema, in upstream's words.
use super::super::fieldset::{Element, MAX_DEPTH};
use super::super::schema::{Atom, List, ListKind, Map, Scalar, Schema, TypeId};
use super::items::element_of;
use serde_json::{Map as Object, Value};
use std::fmt;

/// A place where an object doesn't fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `.spec.replicas`
    pub path: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Everything in which the object doesn't fit the schema: undeclared fields, values of another type, duplicate items.
pub fn validate(schema: &Schema, object: &Value) -> Vec<Problem> {
    let mut walk = Walk { schema, path: String::new(), found: Vec::new() };
    walk.field(schema.root(), object, 0);
    walk.found
}

struct Walk<'s> {
    schema: &'s Schema,
    path: String,
    found: Vec<Problem>,
}

impl Walk<'_> {
    fn say(&mut self, message: String) {
        self.found.push(Problem { path: self.path.clone(), message });
    }

    fn below(&mut self, element: &Element, visit: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(&element.to_string());
        visit(self);
        self.path.truncate(length);
    }

    fn field(&mut self, id: TypeId, value: &Value, depth: usize) {
        if depth > MAX_DEPTH {
            return self.say(format!("exceeds the maximum depth of {MAX_DEPTH}"));
        }
        match (self.schema.atom(id, Some(value)), value) {
            (_, Value::Null) => {}
            (Atom::Map(map), Value::Object(members)) => self.members(map, members, depth),
            (Atom::Map(_), other) => self.say(format!("expected map, got {}", wrapped(other))),
            (Atom::List(list), Value::Array(items)) => self.items(list, items, depth),
            (Atom::List(_), other) => self.say(format!("expected list, got {}", wrapped(other))),
            (Atom::Scalar(scalar), value) => self.scalar(scalar, value),
        }
    }

    fn members(&mut self, map: &Map, members: &Object<String, Value>, depth: usize) {
        for (name, value) in members {
            self.below(&Element::field(name), |walk| match map.field(name).0 {
                Some(kind) => walk.field(kind, value, depth + 1),
                None => walk.say("field not declared in schema".into()),
            });
        }
    }

    fn items(&mut self, list: &List, items: &[Value], depth: usize) {
        let mut seen: Vec<Element> = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let element = if list.kind == ListKind::Atomic { Ok(Element::Index(i as i64)) } else { element_of(list, item) };
            let element = match element {
                Ok(element) => element,
                Err(why) => return self.say(format!("element {i}: {why}")),
            };
            self.below(&element, |walk| walk.field(list.items, item, depth + 1));
            if list.kind != ListKind::Atomic {
                seen.push(element);
            }
        }
        seen.sort();
        for same in seen.chunk_by(|a, b| a == b) {
            if let [element, _, ..] = same {
                self.say(format!("duplicate entries for key {element}"));
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) {
        match (scalar, value) {
            (Scalar::Any, Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
            (Scalar::Number, Value::Number(_)) | (Scalar::String, Value::String(_)) | (Scalar::Boolean, Value::Bool(_)) => {}
            (Scalar::Any, other) => self.say(format!("expected any scalar, got {}", wrapped(other))),
            (Scalar::Number, other) => self.say(format!("expected numeric (int or float), got {}", go_type(other))),
            (Scalar::String, other) => self.say(format!("expected string, got {}", wrapped(other))),
            (Scalar::Boolean, other) => self.say(format!("expected boolean, got {}", wrapped(other))),
        }
    }
}

/// A value as Go prints what it is wrapped in.
fn wrapped(value: &Value) -> String {
    format!("&value.valueUnstructured{{Value:{value}}}")
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::Null => "<nil>",
    }
}
