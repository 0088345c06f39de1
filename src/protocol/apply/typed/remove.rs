//! Cutting fields out of objects.
use super::super::fieldset::{Element, Set};
use super::super::schema::{Atom, List, ListKind, Map, Schema, TypeId, UNTYPED};
use super::items::element_of;
use serde_json::{Map as Object, Value};

/// The object without the fields of the set. What becomes empty by that goes too; nothing is cut out of what is owned as a
/// whole.
pub fn remove(schema: &Schema, object: Value, set: &Set) -> Value {
    cut(schema, schema.root(), object, set).unwrap_or_else(|| Value::Object(Object::new()))
}

fn cut(schema: &Schema, id: TypeId, value: Value, set: &Set) -> Option<Value> {
    match (schema.atom(id, Some(&value)), value) {
        (Atom::Map(map), Value::Object(members)) => {
            let keep = |(name, value): (String, Value)| match set.get_field(&name) {
                Some(node) if node.member => None,
                Some(node) => cut(schema, map.field(&name).0.unwrap_or(UNTYPED), value, &node.below).map(|v| (name, v)),
                None => Some((name, value)),
            };
            let left: Object<String, Value> = if map.atomic { Object::new() } else { members.into_iter().filter_map(keep).collect() };
            (!left.is_empty()).then_some(Value::Object(left))
        }
        (Atom::List(list), Value::Array(items)) => {
            let keep = |item: Value| match element_of(list, &item).ok().and_then(|e| set.get(&e)) {
                Some(node) if node.member => None,
                Some(node) => cut(schema, list.items, item, &node.below),
                None => Some(item),
            };
            let left: Vec<Value> = if list.kind == ListKind::Atomic { Vec::new() } else { items.into_iter().filter_map(keep).collect() };
            (!left.is_empty()).then_some(Value::Array(left))
        }
        (Atom::Scalar(_), value) => Some(value),
        _ => None,
    }
}

/// Only the fields of the set. What is owned as a whole comes as a whole.
pub fn extract(schema: &Schema, object: &Value, set: &Set) -> Value {
    pick(schema, schema.root(), object, set).unwrap_or_else(|| Value::Object(Object::new()))
}

fn pick(schema: &Schema, id: TypeId, value: &Value, set: &Set) -> Option<Value> {
    match (schema.atom(id, Some(value)), value) {
        (Atom::Map(map), Value::Object(members)) => pick_members(schema, map, members, set),
        (Atom::List(list), Value::Array(items)) => pick_items(schema, list, items, set),
        _ => Some(value.clone()),
    }
}

fn pick_members(schema: &Schema, map: &Map, members: &Object<String, Value>, set: &Set) -> Option<Value> {
    if map.atomic || members.is_empty() {
        return Some(members.clone().into());
    }
    let chosen = |(name, value): (&String, &Value)| {
        let node = set.get_field(name)?;
        let kind = map.field(name).0.unwrap_or(UNTYPED);
        let inner = pick(schema, kind, value, &node.below);
        match (inner, node.member) {
            (Some(inner), _) => Some((name.clone(), inner)),
            (None, true) => Some((name.clone(), Value::Null)),
            (None, false) => None,
        }
    };
    let picked: Object<String, Value> = members.iter().filter_map(chosen).collect();
    (!picked.is_empty()).then_some(Value::Object(picked))
}

fn pick_items(schema: &Schema, list: &List, items: &[Value], set: &Set) -> Option<Value> {
    if list.kind == ListKind::Atomic || items.is_empty() {
        return Some(Value::from(items));
    }
    let chosen = |item: &Value| {
        let element: Element = element_of(list, item).ok()?;
        let node = set.get(&element)?;
        if node.below.is_empty() { Some(item.clone()) } else { pick(schema, list.items, item, &node.below) }
    };
    let picked: Vec<Value> = items.iter().filter_map(chosen).collect();
    (!picked.is_empty()).then_some(Value::Array(picked))
}
