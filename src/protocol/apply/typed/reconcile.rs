//! Sets that were written under an older schema of a custom kind.
use super::super::fieldset::{Element, Node, Set};
use super::super::schema::{ListKind, Schema, TypeId};

/// The set as the schema now has it: who managed fields inside what is owned as a whole today manages the whole. The other
/// way round nothing changes. `None` when there is nothing to do.
pub fn reconcile(schema: &Schema, set: &Set) -> Option<Set> {
    let out = walk(schema, schema.root(), set);
    (out != *set).then_some(out)
}

fn walk(schema: &Schema, id: TypeId, set: &Set) -> Set {
    let mut out = Set::default();
    for node in &set.nodes {
        let kind = kind_of(schema, id, &node.element);
        let whole = kind.is_some_and(|kind| is_atomic(schema, kind));
        let node = match kind {
            Some(_) if whole && !node.below.is_empty() => Node { element: node.element.clone(), member: true, below: Set::default() },
            Some(kind) if !whole => Node { element: node.element.clone(), member: node.member, below: walk(schema, kind, &node.below) },
            _ => node.clone(),
        };
        out.put(node);
    }
    out
}

fn kind_of(schema: &Schema, id: TypeId, element: &Element) -> Option<TypeId> {
    let found = schema.get(id)?;
    match element {
        Element::Field(name) => found.map.as_ref()?.field(name).0,
        _ => found.list.as_ref().map(|l| l.items),
    }
}

/// Maps and lists that are owned as a whole. Types that admit anything are not meant: their shape is that of the value.
fn is_atomic(schema: &Schema, id: TypeId) -> bool {
    match schema.get(id) {
        Some(kind) if kind.scalar.is_some() => false,
        Some(kind) => kind.map.as_ref().map_or_else(|| kind.list.as_ref().is_some_and(|l| l.kind == ListKind::Atomic), |m| m.atomic),
        None => false,
    }
}
