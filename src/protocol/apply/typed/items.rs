//! The items of lists and how they are told apart.
use super::super::fieldset::Element;
use super::super::schema::{List, ListKind};
use serde_json::Value;

/// The element of a list's item, or why it has none, in upstream's words.
pub fn element_of(list: &List, item: &Value) -> Result<Element, String> {
    match list.kind {
        ListKind::Atomic => Err("invalid indexing of non-associative list".into()),
        ListKind::Set => match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            plain => Ok(Element::Value(plain.clone())),
        },
        ListKind::Map => keyed(list, item),
    }
}

fn keyed(list: &List, item: &Value) -> Result<Element, String> {
    let map = match item {
        Value::Object(map) => map,
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        _ => return Err("associative list with keys may not have non-map elements".into()),
    };
    let mut found = Vec::with_capacity(list.keys.len());
    for key in &list.keys {
        // A key without a value and without a default tells apart as well.
        if let Some(value) = map.get(&*key.name).or(key.default.as_ref()) {
            found.push((&*key.name, value.clone()));
        }
    }
    if found.is_empty() {
        let names: Vec<String> = list.keys.iter().map(|k| format!("{:?}", k.name)).collect();
        let names = names.join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{names}] (and doesn't have default values for any key fields)"
        ));
    }
    Ok(Element::key(found))
}

/// The items by element, equal elements next to each other in the order of the list. Items without an element are left out.
pub fn sorted<'v>(list: &List, items: &'v [Value]) -> Vec<(Element, &'v Value)> {
    let mut out: Vec<(Element, &Value)> = Vec::with_capacity(items.len());
    out.extend(items.iter().filter_map(|item| Some((element_of(list, item).ok()?, item))));
    if !out.is_sorted_by(|a, b| a.0 <= b.0) {
        out.sort_by(|a, b| a.0.cmp(&b.0));
    }
    out
}
