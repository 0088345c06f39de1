//! Sets with the structs that lead to their members.
use super::super::fieldset::{Element, Node, Set};
use super::super::schema::{Schema, TypeId};

/// The set, and with every field in it the declared fields that lead to it: owning `.spec.replicas` is owning `.spec`.
/// Keys of maps and items of lists are not added.
pub fn with_named_fields(schema: &Schema, set: &Set) -> Set {
    walk(schema, Some(schema.root()), set)
}

fn walk(schema: &Schema, id: Option<TypeId>, set: &Set) -> Set {
    let found = id.and_then(|id| schema.get(id));
    let map = found.and_then(|t| t.map.as_ref());
    let list = found.and_then(|t| t.list.as_ref());
    let mut out = Set::default();
    for node in &set.nodes {
        let (kind, declared) = match (&node.element, map, list) {
            (Element::Field(name), Some(map), _) => map.field(name),
            (Element::Key(_), _, Some(list)) => (Some(list.items), false),
            _ => (None, false),
        };
        let member = node.member || (declared && !node.below.is_empty());
        out.put(Node { element: node.element.clone(), member, below: walk(schema, kind, &node.below) });
    }
    out
}
