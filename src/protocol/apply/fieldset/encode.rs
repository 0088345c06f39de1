//! Sets as `FieldsV1`.
use super::{Element, Set};
use serde_json::{Map, Value};
use std::fmt::Write;

/// The set as a JSON value. Where objects of values are sorted by key, so are the elements, by their text.
pub fn to_value(set: &Set) -> Value {
    Value::Object(to_map(set, false))
}

fn to_map(set: &Set, itself: bool) -> Map<String, Value> {
    let mut out = Map::new();
    if itself && !set.is_empty() {
        out.insert(".".into(), Value::Object(Map::new()));
    }
    for node in &set.nodes {
        let mut key = String::new();
        write_element(&node.element, &mut key);
        out.insert(key, Value::Object(to_map(&node.below, node.member)));
    }
    out
}

/// The set as upstream writes it, byte for byte.
pub fn to_json(set: &Set) -> String {
    let mut out = String::from("{");
    write_set(set, false, &mut out);
    out.push('}');
    out
}

fn write_set(set: &Set, itself: bool, out: &mut String) {
    let mut first = true;
    if itself && !set.is_empty() {
        out.push_str("\".\":{}");
        first = false;
    }
    let mut key = String::new();
    for node in &set.nodes {
        if !first {
            out.push(',');
        }
        first = false;
        key.clear();
        write_element(&node.element, &mut key);
        _ = write!(out, "{}", Value::String(std::mem::take(&mut key)));
        out.push_str(":{");
        write_set(&node.below, node.member, out);
        out.push('}');
    }
}

/// The text of an element: `f:name`, `k:{"name":"a"}`, `v:"a"`, `i:3`.
pub(in crate::apply) fn write_element(element: &Element, out: &mut String) {
    match element {
        Element::Field(name) => {
            out.reserve_exact(name.len() + 2);
            out.push_str("f:");
            out.push_str(name);
        }
        Element::Key(keys) => {
            out.push_str("k:{");
            for (i, (name, value)) in keys.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                quote(name, out);
                out.push(':');
                write_plain(value, out);
            }
            out.push('}');
        }
        Element::Value(value) => {
            out.push_str("v:");
            write_plain(value, out);
        }
        Element::Index(index) => _ = write!(out, "i:{index}"),
    }
}

/// A string in quotes. Most need no escaping.
fn quote(text: &str, out: &mut String) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\' && b < 0x80) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        _ = write!(out, "{}", serde_json::json!(text));
    }
}

/// A value with the characters escaped that are special in HTML, as Go does it.
fn write_plain(value: &Value, out: &mut String) {
    let start = out.len();
    match value {
        Value::String(text) => quote(text, out),
        other => _ = write!(out, "{other}"),
    }
    let special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    let Some(written) = out.get(start..).filter(|w| w.contains(special)).map(str::to_string) else { return };
    out.truncate(start);
    for c in written.chars() {
        match c {
            c if special(c) => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
}
