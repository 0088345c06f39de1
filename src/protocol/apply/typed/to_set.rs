//! The fields that an object mentions.
use super::super::fieldset::{Element, MAX_DEPTH, Node, Set};
use super::super::schema::{Atom, List, ListKind, Map, Schema, TypeId, UNTYPED};
use super::is_untracked;
use super::items::sorted;
use serde_json::{Map as Object, Value};

/// Every leaf and every item that the object mentions, but for the fields that have no manager.
pub fn to_set(schema: &Schema, object: &Value) -> Set {
    let mut out = Set::default();
    Walk { schema, all: false, in_metadata: false }.field(schema.root(), object, 0, &mut out);
    out
}

/// As `to_set`, with the fields that have no manager.
pub(in crate::apply) fn to_whole_set(schema: &Schema, object: &Value) -> Set {
    let mut out = Set::default();
    Walk { schema, all: true, in_metadata: false }.field(schema.root(), object, 0, &mut out);
    out
}

struct Walk<'s> {
    schema: &'s Schema,
    all: bool,
    in_metadata: bool,
}

impl Walk<'_> {
    /// Whether the field itself is in the set; what is below goes to `below`.
    fn field(&mut self, id: TypeId, value: &Value, depth: usize, below: &mut Set) -> bool {
        match self.schema.atom(id, Some(value)) {
            Atom::Map(map) if !map.atomic && depth < MAX_DEPTH => {
                if let Value::Object(members) = value {
                    self.members(map, members, depth, below);
                }
                false
            }
            Atom::List(list) if list.kind != ListKind::Atomic && depth < MAX_DEPTH => {
                if let Value::Array(items) = value {
                    self.items(list, items, depth, below);
                }
                false
            }
            _ => true,
        }
    }

    fn members(&mut self, map: &Map, members: &Object<String, Value>, depth: usize, below: &mut Set) {
        for (name, value) in members {
            if !self.all && depth < 2 && is_untracked(depth, self.in_metadata, name) {
                continue;
            }
            let (kind, declared) = map.field(name);
            let is_metadata = depth == 0 && name == "metadata";
            self.in_metadata |= is_metadata;
            let mut inner = Set::default();
            let leaf = self.field(kind.unwrap_or(UNTYPED), value, depth + 1, &mut inner);
            if is_metadata {
                self.in_metadata = false;
            }
            let empty = value.is_null() || value.as_object().is_some_and(Object::is_empty);
            let member = (leaf || empty || !declared) && (self.all || !is_metadata);
            below.put(Node { element: Element::field(name), member, below: inner });
        }
    }

    fn items(&mut self, list: &List, items: &[Value], depth: usize, below: &mut Set) {
        for same in sorted(list, items).chunk_by(|a, b| a.0 == b.0) {
            let Some((element, item)) = same.first() else { continue };
            let mut inner = Set::default();
            // Duplicates are owned as a whole.
            if same.len() == 1 {
                self.field(list.items, item, depth + 1, &mut inner);
            }
            below.put(Node { element: element.clone(), member: true, below: inner });
        }
    }
}
