//! `FieldsV1`, both ways.
use crate::apply::fieldset::{Element, FieldsError, Set, from_value, to_json, to_value};
use serde_json::{Value, json};

fn set(paths: &[&[Element]]) -> Set {
    Set::of(paths.iter().copied())
}

fn f(name: &str) -> Element {
    Element::field(name)
}

#[test]
fn in_upstreams_order_and_spelling() {
    let port = |n: i64| Element::key([("protocol", "TCP".into()), ("containerPort", n.into())]);
    let set = set(&[
        &[f("b"), port(8080), f("name")],
        &[f("b"), port(8080)],
        &[f("b"), port(443)],
        &[f("b"), Element::Value("x<y".into())],
        &[f("b"), Element::Value(10.into())],
        &[f("b"), Element::Value(9.into())],
        &[f("b"), Element::Index(2)],
        &[f("a\"q")],
    ]);
    let expected = concat!(
        r#"{"f:a\"q":{},"f:b":{"k:{\"containerPort\":443,\"protocol\":\"TCP\"}":{},"#,
        r#""k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:name":{}},"#,
        r#""v:9":{},"v:10":{},"v:\"x\\u003cy\"":{},"i:2":{}}}"#
    );
    assert_eq!(to_json(&set), expected);
    let parsed: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(to_value(&set), parsed);
    assert_eq!(from_value(&parsed).unwrap(), set);
}

#[test]
fn foreign_spellings() {
    let odd = json!({"f:a": {"k:{\"b\":1,\"a\":2}": null}, "x:future": {"f:b": {}}, "f:c": {".": {}}});
    let read = from_value(&odd).unwrap();
    assert_eq!(to_json(&read), r#"{"f:a":{"k:{\"a\":2,\"b\":1}":{}},"f:c":{}}"#);
}

#[test]
fn bad_input_is_refused() {
    assert_eq!(from_value(&json!({"f": {}})), Err(FieldsError::Short));
    assert_eq!(from_value(&json!({"fx:": {}})), Err(FieldsError::Colon("fx:".into())));
    for bad in [json!({"k:{\"a\":": {}}), json!({"k:[1]": {}}), json!({"v:": {}}), json!({"i:x": {}}), json!({"v:1 2": {}})] {
        assert!(matches!(from_value(&bad), Err(FieldsError::Element { .. })), "{bad}");
    }
    assert!(matches!(from_value(&json!({"f:a": 1})), Err(FieldsError::NotAnObject(_))));
    let deep = (0..300).fold(json!({}), |inner, _| json!({ "f:a": inner }));
    assert_eq!(from_value(&deep), Err(FieldsError::TooDeep));
}

#[test]
fn algebra() {
    let a = set(&[&[f("a")], &[f("a"), f("b")], &[f("c"), f("d")]]);
    let b = set(&[&[f("a")], &[f("c"), f("e")]]);
    assert_eq!(a.union(&b), set(&[&[f("a")], &[f("a"), f("b")], &[f("c"), f("d")], &[f("c"), f("e")]]));
    assert_eq!(a.intersection(&b), set(&[&[f("a")]]));
    assert_eq!(a.difference(&b), set(&[&[f("a"), f("b")], &[f("c"), f("d")]]));
    assert_eq!(a.recursive_difference(&b), set(&[&[f("c"), f("d")]]));
    assert_eq!(a.leaves(), set(&[&[f("a"), f("b")], &[f("c"), f("d")]]));
    assert!(a.has(&[f("a"), f("b")]) && !a.has(&[f("c")]) && !a.has(&[]));
}
