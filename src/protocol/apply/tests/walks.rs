//! Comparing, merging and cutting.
use crate::apply::fieldset::{Element, Set};
use crate::apply::schema::{Schema, builtin, custom};
use crate::apply::typed::{diff, extract, merge, remove, to_set};
use serde_json::{Value, json};

fn schema(list_type: &str) -> Schema {
    let items = json!({"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "integer"}}});
    let list = json!({"type": "array", "items": items, "x-kubernetes-list-type": list_type, "x-kubernetes-list-map-keys": ["name"]});
    custom(&json!({"type": "object", "properties": {"l": list}}))
}

fn list(names: &[&str]) -> Value {
    json!({"l": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()})
}

#[test]
fn order_of_merged_lists() {
    let schema = schema("map");
    let merged = |base: &[&str], over: &[&str]| {
        let out = merge(&schema, &list(base), &list(over));
        out["l"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect::<String>()
    };
    assert_eq!(merged(&["a", "b", "c"], &["c", "a"]), "bca");
    assert_eq!(merged(&["a", "b", "c"], &["x", "b"]), "axbc");
    assert_eq!(merged(&["a", "b"], &["c"]), "abc");
    assert_eq!(merged(&["a", "b", "c", "d"], &["d", "c", "b", "a"]), "dcba");
    assert_eq!(merged(&[], &["b", "a"]), "ba");
    // Duplicates in the live object stay while nobody applies them.
    assert_eq!(merged(&["a", "a", "b"], &["c"]), "aabc");
    assert_eq!(merged(&["a", "b", "a"], &["a"]), "ab");
}

#[test]
fn duplicates_are_compared_as_one() {
    let schema = schema("map");
    let item = |v: i64| json!({"name": "a", "v": v});
    let of = |items: &[Value]| json!({ "l": items });
    let changed = |from: &[Value], to: &[Value]| {
        let diff = diff(&schema, &of(from), &of(to));
        [diff.added.to_string(), diff.modified.to_string(), diff.removed.to_string()]
    };
    let key = ".l[name=\"a\"]";
    assert_eq!(changed(&[item(1), item(2)], &[item(1), item(3)]), ["", key, ""]);
    assert_eq!(changed(&[item(1), item(2)], &[item(1), item(2)]), ["", "", ""]);
    let below = format!("{key}\n{key}.name\n{key}.v");
    assert_eq!(changed(&[item(1), item(2)], &[item(1)]), [&*below, "", key]);
    assert_eq!(changed(&[item(1)], &[item(1), item(2)]), [key, "", &*below]);
    assert_eq!(to_set(&schema, &of(&[item(1), item(2)])).to_string(), key);
}

#[test]
fn empty_and_null_are_told_apart() {
    let schema = builtin("", "v1", "ConfigMap");
    let changed = |from: Value, to: Value| {
        let diff = diff(&schema, &json!({ "data": from }), &json!({ "data": to }));
        (diff.added.to_string(), diff.modified.to_string(), diff.removed.to_string())
    };
    assert_eq!(changed(json!(null), json!({})).1, ".data");
    assert_eq!(changed(json!({}), json!({"a": "b"})).0, ".data.a");
    assert_eq!(changed(json!({"a": 1}), json!({"a": 1.0})), Default::default());
}

#[test]
fn cutting_out_and_picking() {
    let schema = schema("map");
    let object = json!({"l": [{"name": "a", "v": 1}, {"name": "b", "v": 2}]});
    let b = Element::key([("name", "b".into())]);
    let set = Set::of([[Element::field("l"), b.clone(), Element::field("v")].as_slice()]);
    assert_eq!(remove(&schema, object.clone(), &set), json!({"l": [{"name": "a", "v": 1}, {"name": "b"}]}));
    assert_eq!(extract(&schema, &object, &set), json!({"l": [{"v": 2}]}));
    let whole = Set::of([[Element::field("l"), b].as_slice()]);
    assert_eq!(remove(&schema, object.clone(), &whole), json!({"l": [{"name": "a", "v": 1}]}));
    assert_eq!(extract(&schema, &object, &whole), json!({"l": [{"name": "b", "v": 2}]}));
}
