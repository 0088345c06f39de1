//! What holds for any object.
use crate::apply::fieldset::{Set, from_value, to_value};
use crate::apply::managed::{Config, Reset, Rules, Writer, apply, track};
use crate::apply::schema::{Schema, builtin, custom};
use crate::apply::typed::{diff, merge, to_set, validate};
use proptest::prelude::*;
use serde_json::{Value, json};

fn schemas() -> [Schema; 4] {
    let item = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"x-kubernetes-preserve-unknown-fields": true}}});
    let properties = json!({
        "a": {"type": "array", "items": {"x-kubernetes-int-or-string": true}, "x-kubernetes-list-type": "set"},
        "b": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]},
        "c": {"type": "object", "additionalProperties": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    });
    let structural = custom(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}));
    [builtin("", "v1", "Pod"), builtin("", "v1", "Service"), structural, Schema::untyped()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0i64..3).prop_map(Value::from),
        Just(json!(1.5)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[abc]".boxed(),
        prop::sample::select(vec!["containers", "name", "ports", "containerPort", "protocol", "volumes", "labels", "finalizers"])
            .prop_map(str::to_string)
            .boxed(),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let map = prop::collection::btree_map(name.clone(), inner, 0..4).prop_map(|m| m.into_iter().collect::<Value>());
        prop_oneof![list, map.clone(), map]
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect(),
        Value::Array(items) => items.iter().filter(|v| !v.is_null()).map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn object() -> impl Strategy<Value = Value> {
    (value(), value(), value()).prop_map(|(spec, labels, other)| {
        json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a", "labels": labels}, "spec": spec, "status": other})
    })
}

fn rules(schema: &Schema) -> Rules<'_> {
    Rules { schema, reset: &Reset::Nothing, convert: None }
}

fn writer(manager: &str, second: u32) -> (String, String) {
    (manager.to_string(), format!("2026-01-01T00:00:{second:02}Z"))
}

fn put(schema: &Schema, live: Option<&Value>, config: &Value, who: &(String, String), force: bool) -> Option<Value> {
    let writer = Writer { manager: &who.0, api_version: "v1", subresource: "", time: &who.1 };
    let applied = apply(&rules(schema), live, Config { object: config, kind: "K", force }, &writer).ok()?;
    let mut object = applied.object;
    applied.record.finish(live, &mut object);
    Some(object)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn applying_twice_is_applying_once(a in object(), b in object(), which in 0usize..4) {
        let schema = &schemas()[which];
        // Null takes no map away, here as upstream.
        let b = without_nulls(&b);
        let Some(live) = put(schema, None, &a, &writer("one", 1), false) else { return Ok(()) };
        let Some(live) = put(schema, Some(&live), &b, &writer("two", 2), true) else { return Ok(()) };
        let again = put(schema, Some(&live), &b, &writer("two", 3), false).unwrap();
        prop_assert_eq!(&again, &live);
        // All of the configuration is there.
        let changed = diff(schema, &b, &again);
        prop_assert!(changed.modified.is_empty() && changed.removed.is_empty(), "{changed:?} in {again}");
    }

    #[test]
    fn what_is_tracked_and_merged_is_never_a_surprise(a in object(), b in object(), which in 0usize..4) {
        let schema = &schemas()[which];
        let same = diff(schema, &a, &a);
        prop_assert!(same.is_empty());
        validate(schema, &a);
        merge(schema, &a, &b);
        for set in [to_set(schema, &a), diff(schema, &a, &b).changed()] {
            prop_assert_eq!(from_value(&to_value(&set)).unwrap(), set);
        }
        let rules = rules(schema);
        let mut live = a.clone();
        track(&rules, None, &mut live, &Writer { manager: "one", api_version: "v1", subresource: "", time: "2026-01-01T00:00:01Z" });
        let mut new = b.clone();
        let two = Writer { manager: "two", api_version: "v1", subresource: "", time: "2026-01-01T00:00:02Z" };
        track(&rules, Some(&live), &mut new, &two);
        let mut idle = new.clone();
        track(&rules, Some(&new), &mut idle, &Writer { manager: "three", ..two });
        prop_assert_eq!(idle, new);
    }

    #[test]
    fn any_json_is_read_or_refused(fields in value(), entry in value()) {
        _ = from_value(&fields);
        _ = crate::apply::managed::check(&json!([entry]));
        _ = custom(&fields);
    }

    #[test]
    fn algebra_of_sets(a in object(), b in object()) {
        let schema = Schema::untyped();
        let (a, b): (Set, Set) = (to_set(&schema, &a), to_set(&schema, &b));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert_eq!(a.union(&b).difference(&b), a.difference(&b));
        prop_assert_eq!(a.intersects(&b), !a.intersection(&b).is_empty());
    }
}

#[test]
fn nesting_is_bounded() {
    let schema = Schema::untyped();
    let deep = (0..1000).fold(json!(1), |inner, _| json!({ "a": inner }));
    let object = json!({"apiVersion": "v1", "kind": "K", "spec": deep});
    let set = to_set(&schema, &object);
    assert_eq!(from_value(&to_value(&set)).unwrap(), set);
    assert!(!validate(&schema, &object).is_empty());
    assert!(diff(&schema, &json!({}), &object).added.to_string().len() < 100_000);
}
