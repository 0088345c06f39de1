//! What changed from one object to another.
use super::super::fieldset::{Element, MAX_DEPTH, Node, Set, same};
use super::super::schema::{Atom, List, ListKind, Map, Schema, TypeId};
use super::is_untracked;
use super::items::sorted;
use serde_json::{Map as Object, Value};
use std::cmp::Ordering;

/// The fields that differ, each in one of the sets. Fields without a manager are in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    pub added: Set,
    pub modified: Set,
    pub removed: Set,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// What the second object holds and the first doesn't, or otherwise.
    pub fn changed(&self) -> Set {
        match (self.added.is_empty(), self.modified.is_empty()) {
            (_, true) => self.added.clone(),
            (true, _) => self.modified.clone(),
            _ => self.modified.union(&self.added),
        }
    }

    fn put(&mut self, element: Element, own: Own, below: Diff) {
        // One of the three as a rule: the element is moved into the last that takes it.
        let Diff { added, modified, removed } = below;
        let (to_modified, to_removed) = (own.modified || !modified.is_empty(), own.removed || !removed.is_empty());
        if own.added || !added.is_empty() {
            if !to_modified && !to_removed {
                return self.added.put(Node { element, member: own.added, below: added });
            }
            self.added.put(Node { element: element.clone(), member: own.added, below: added });
        }
        if to_modified {
            if !to_removed {
                return self.modified.put(Node { element, member: own.modified, below: modified });
            }
            self.modified.put(Node { element: element.clone(), member: own.modified, below: modified });
        }
        self.removed.put(Node { element, member: own.removed, below: removed });
    }
}

/// What of the field itself changed.
#[derive(Clone, Copy, Default)]
struct Own {
    added: bool,
    modified: bool,
    removed: bool,
}

impl Own {
    fn any(self) -> bool {
        self.added || self.modified || self.removed
    }
}

/// Compares two objects of a kind.
pub fn diff(schema: &Schema, from: &Value, to: &Value) -> Diff {
    let mut out = Diff::default();
    Walk { schema, in_metadata: false }.field(schema.root(), Some(from), Some(to), 0, &mut out);
    out
}

struct Walk<'s> {
    schema: &'s Schema,
    in_metadata: bool,
}

impl Walk<'_> {
    /// Compares one field; what changed below it goes to `below`.
    fn field(&mut self, id: TypeId, from: Option<&Value>, to: Option<&Value>, depth: usize, below: &mut Diff) -> Own {
        let mut own = Own { added: from.is_none(), modified: false, removed: to.is_none() };
        let (left, right) = (self.schema.atom(id, from), self.schema.atom(id, to));
        let last = if to.is_none() { left } else { right };
        if from.is_some() && to.is_some() && !left.is_like(&right) {
            self.atom(left, from, to, depth, below, &mut own);
        }
        self.atom(last, from, to, depth, below, &mut own);
        own
    }

    fn atom(&mut self, atom: Atom<'_>, from: Option<&Value>, to: Option<&Value>, depth: usize, below: &mut Diff, own: &mut Own) {
        match atom {
            Atom::Map(map) if !map.atomic && depth < MAX_DEPTH => {
                let (a, b) = (from.and_then(Value::as_object), to.and_then(Value::as_object));
                // Two empty ones are leaves: that tells an empty map from null.
                if a.is_some_and(|m| !m.is_empty()) || b.is_some_and(|m| !m.is_empty()) {
                    return self.members(map, a, b, depth, below);
                }
            }
            Atom::List(list) if list.kind != ListKind::Atomic && depth < MAX_DEPTH => {
                let (a, b) = (from.and_then(Value::as_array), to.and_then(Value::as_array));
                let (a, b) = (a.map_or(&[] as &[Value], |v| v), b.map_or(&[] as &[Value], |v| v));
                if !a.is_empty() || !b.is_empty() {
                    return self.items(list, a, b, depth, below);
                }
            }
            _ => {}
        }
        if let (Some(from), Some(to)) = (from, to) {
            own.modified |= !same(from, to);
        }
    }

    fn members(
        &mut self,
        map: &Map,
        from: Option<&Object<String, Value>>,
        to: Option<&Object<String, Value>>,
        depth: usize,
        below: &mut Diff,
    ) {
        for (name, value) in from.into_iter().flatten() {
            self.member(map, name, Some(value), to.and_then(|m| m.get(name)), depth, below);
        }
        for (name, value) in to.into_iter().flatten() {
            if from.is_none_or(|m| !m.contains_key(name)) {
                self.member(map, name, None, Some(value), depth, below);
            }
        }
    }

    fn member(&mut self, map: &Map, name: &str, from: Option<&Value>, to: Option<&Value>, depth: usize, below: &mut Diff) {
        if depth < 2 && is_untracked(depth, self.in_metadata, name) {
            return;
        }
        let kind = map.field(name).0.unwrap_or(super::super::schema::UNTYPED);
        let is_metadata = depth == 0 && name == "metadata";
        self.in_metadata |= is_metadata;
        let mut inner = Diff::default();
        let mut own = self.field(kind, from, to, depth + 1, &mut inner);
        if is_metadata {
            self.in_metadata = false;
            own = Own::default();
        }
        if own.any() || !inner.is_empty() {
            below.put(Element::field(name), own, inner);
        }
    }

    fn items(&mut self, list: &List, from: &[Value], to: &[Value], depth: usize, below: &mut Diff) {
        if from == to {
            return;
        }
        let (left, right) = (sorted(list, from), sorted(list, to));
        let (mut left, mut right) = (left.as_slice(), right.as_slice());
        loop {
            let element = match (left.first(), right.first()) {
                (None, None) => break,
                (Some((a, _)), None) => a,
                (None, Some((b, _))) => b,
                (Some((a, _)), Some((b, _))) => match a.cmp(b) {
                    Ordering::Greater => b,
                    _ => a,
                },
            };
            let (a, b) = (take_equal(&mut left, element), take_equal(&mut right, element));
            self.item(list, element, a, b, depth, below);
        }
    }

    /// Compares the items of one element. More than one on a side are duplicates, which are taken as a whole.
    fn item(
        &mut self,
        list: &List,
        element: &Element,
        from: &[(Element, &Value)],
        to: &[(Element, &Value)],
        depth: usize,
        below: &mut Diff,
    ) {
        let mut inner = Diff::default();
        let own = match (from, to) {
            ([] | [_], [] | [_]) => {
                let (a, b) = (from.first().map(|i| i.1), to.first().map(|i| i.1));
                self.field(list.items, a, b, depth + 1, &mut inner)
            }
            ([_, _, ..], [_, _, ..]) => {
                let equal = from.len() == to.len() && from.iter().zip(to).all(|(a, b)| same(a.1, b.1));
                Own { modified: !equal, ..Own::default() }
            }
            ([_, _, ..], to) => {
                let added = to.first().map(|(_, item)| self.field(list.items, None, Some(item), depth + 1, &mut inner));
                Own { removed: true, ..added.unwrap_or_default() }
            }
            (from, _) => {
                let removed = from.first().map(|(_, item)| self.field(list.items, Some(item), None, depth + 1, &mut inner));
                Own { added: true, ..removed.unwrap_or_default() }
            }
        };
        if own.any() || !inner.is_empty() {
            below.put(element.clone(), own, inner);
        }
    }
}

/// Cuts off the items at the front that have this element.
fn take_equal<'a, 'v>(items: &mut &'a [(Element, &'v Value)], element: &Element) -> &'a [(Element, &'v Value)] {
    let count = items.iter().take_while(|(other, _)| other == element).count();
    let (front, rest) = items.split_at(count);
    *items = rest;
    front
}
