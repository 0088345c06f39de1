//! Laying a partial object over another.
use super::super::fieldset::{Element, MAX_DEPTH};
use super::super::schema::{Atom, List, ListKind, Map, Schema, TypeId, UNTYPED};
use super::items::element_of;
use serde_json::{Map as Object, Value};
use std::collections::{BTreeMap, BTreeSet};

/// `base` with what `over` says. Nothing goes away; of a leaf that both have, `over`'s value stays; what both have in lists
/// comes in the order of `over`, and the rest where it was.
pub fn merge(schema: &Schema, base: &Value, over: &Value) -> Value {
    Walk { schema }.field(schema.root(), Some(base), Some(over), 0).unwrap_or_else(|| Value::Object(Object::new()))
}

struct Walk<'s> {
    schema: &'s Schema,
}

impl Walk<'_> {
    fn field(&self, id: TypeId, base: Option<&Value>, over: Option<&Value>, depth: usize) -> Option<Value> {
        let atom = match over {
            Some(_) => self.schema.atom(id, over),
            None => self.schema.atom(id, base),
        };
        match atom {
            Atom::Map(map) if !map.atomic && depth < MAX_DEPTH => {
                let (a, b) = (base.and_then(Value::as_object), over.and_then(Value::as_object));
                if a.is_some_and(|m| !m.is_empty()) || b.is_some_and(|m| !m.is_empty()) {
                    return self.members(map, a, b, depth);
                }
            }
            Atom::List(list) if list.kind != ListKind::Atomic && depth < MAX_DEPTH => {
                let (a, b) = (base.and_then(Value::as_array), over.and_then(Value::as_array));
                let (a, b) = (a.map_or(&[] as &[Value], |v| v), b.map_or(&[] as &[Value], |v| v));
                if !a.is_empty() || !b.is_empty() {
                    return self.items(list, a, b, depth);
                }
            }
            _ => {}
        }
        over.or(base).cloned()
    }

    fn members(
        &self,
        map: &Map,
        base: Option<&Object<String, Value>>,
        over: Option<&Object<String, Value>>,
        depth: usize,
    ) -> Option<Value> {
        let mut out = Object::new();
        let mut put = |name: &String, a: Option<&Value>, b: Option<&Value>| {
            // What only one has stays as it is.
            let merged = match (a, b) {
                (Some(only), None) | (None, Some(only)) => Some(only.clone()),
                _ => self.field(map.field(name).0.unwrap_or(UNTYPED), a, b, depth + 1),
            };
            out.extend(merged.map(|value| (name.clone(), value)));
        };
        for (name, value) in base.into_iter().flatten() {
            put(name, Some(value), over.and_then(|m| m.get(name)));
        }
        for (name, value) in over.into_iter().flatten() {
            if base.is_none_or(|m| !m.contains_key(name)) {
                put(name, None, Some(value));
            }
        }
        (!out.is_empty()).then_some(Value::Object(out))
    }

    fn items(&self, list: &List, base: &[Value], over: &[Value], depth: usize) -> Option<Value> {
        let (left, right) = (elements(list, base), elements(list, over));
        let mut in_base: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
        for (element, item) in &left {
            // Of duplicates none is merged with.
            in_base.entry(element).and_modify(|old| *old = None).or_insert(Some(item));
        }
        let in_over: BTreeSet<&Element> = right.iter().map(|(e, _)| e).collect();
        let mut shared = right.iter().map(|(e, _)| e).filter(|e| in_base.contains_key(e));
        let mut next = shared.next();
        let mut out = Vec::with_capacity(left.len().max(right.len()));
        let (mut l, mut r) = (left.iter().peekable(), right.iter().peekable());
        let mut done: BTreeSet<&Element> = BTreeSet::new();
        loop {
            match (l.peek(), r.peek()) {
                (None, None) => break,
                (Some((a, _)), Some((b, item))) if a == b => {
                    let merged = self.field(list.items, in_base.get(a).copied().flatten(), Some(item), depth + 1);
                    out.extend(merged);
                    done.insert(b);
                    _ = (l.next(), r.next());
                    next = shared.next();
                    continue;
                }
                // Both have it, but another one's turn comes first.
                (Some((a, _)), Some(_)) if in_over.contains(a) && next.is_some_and(|n| n != a) => {
                    l.next();
                    continue;
                }
                _ => {}
            }
            if let Some((a, item)) = l.peek() {
                if !in_over.contains(a) {
                    out.push((*item).clone());
                    l.next();
                    continue;
                }
                if done.contains(a) {
                    l.next();
                }
            }
            if let Some((b, item)) = r.next() {
                let merged = self.field(list.items, in_base.get(b).copied().flatten(), Some(item), depth + 1);
                out.extend(merged);
                done.insert(b);
                if next == Some(b) {
                    next = shared.next();
                }
            } else if r.peek().is_none() && l.peek().is_some_and(|(a, _)| in_over.contains(a) && !done.contains(a)) {
                l.next();
            }
        }
        (!out.is_empty()).then_some(Value::Array(out))
    }
}

fn elements<'v>(list: &List, items: &'v [Value]) -> Vec<(Element, &'v Value)> {
    items.iter().filter_map(|item| Some((element_of(list, item).ok()?, item))).collect()
}
