//! Custom kinds: structural schemas, none, and changing ones.
use super::{Story, conflicts};
use crate::apply::schema::{Schema, custom};
use serde_json::{Value, json};

fn structural() -> Schema {
    let string = json!({"type": "string"});
    let item =
        json!({"type": "object", "properties": {"name": string, "zone": {"type": "string", "default": "x"}, "size": {"type": "integer"}}});
    custom(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "plain": {"type": "array", "items": string},
        "set": {"type": "array", "items": string, "x-kubernetes-list-type": "set"},
        "items": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "zone"]},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": string},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": string, "b": string}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "port": {"x-kubernetes-int-or-string": true},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        "count": {"type": "integer"},
    }}}}))
}

fn story() -> Story {
    Story::of(structural(), "example.com/v1", "Thing")
}

fn spec(spec: Value) -> Value {
    json!({ "spec": spec })
}

#[test]
fn sets_merge_and_keep_what_others_own() {
    let mut story = story();
    story.apply("one", spec(json!({"set": ["a", "c"]}))).unwrap();
    story.apply("two", spec(json!({"set": ["b", "c"]}))).unwrap();
    assert_eq!(story.live()["spec"]["set"], json!(["a", "b", "c"]));
    story.apply("one", spec(json!({"set": ["a", "d"]}))).unwrap();
    assert_eq!(story.live()["spec"]["set"], json!(["a", "b", "c", "d"]));
    story.apply("two", spec(json!({"set": ["b"]}))).unwrap();
    assert_eq!(story.live()["spec"]["set"], json!(["a", "b", "d"]));
    assert_eq!(story.fields("one"), json!({"f:spec": {"f:set": {"v:\"a\"": {}, "v:\"d\"": {}}}}));
}

#[test]
fn atomic_values_are_owned_as_a_whole() {
    let mut story = story();
    story.apply("one", spec(json!({"plain": ["a"], "whole": {"a": "1"}}))).unwrap();
    let mut found = conflicts(story.apply("two", spec(json!({"plain": ["b"], "whole": {"b": "1"}}))));
    found.sort();
    assert_eq!(found, [".spec.plain", ".spec.whole"]);
    story.force("two", spec(json!({"plain": ["b"], "whole": {"b": "1"}})));
    assert_eq!(story.live()["spec"], json!({"plain": ["b"], "whole": {"b": "1"}}));
    assert_eq!(story.names(), ["two/Apply"]);
}

#[test]
fn maps_of_structs() {
    let mut story = story();
    story.apply("one", spec(json!({"map": {"x": {"a": "1"}}}))).unwrap();
    assert_eq!(story.fields("one"), json!({"f:spec": {"f:map": {"f:x": {".": {}, "f:a": {}}}}}));
    story.apply("two", spec(json!({"map": {"x": {"b": "2"}, "y": {}}}))).unwrap();
    assert_eq!(story.live()["spec"]["map"], json!({"x": {"a": "1", "b": "2"}, "y": {}}));
    story.apply("one", spec(json!({"count": 1}))).unwrap();
    assert_eq!(story.live()["spec"], json!({"map": {"x": {"b": "2"}, "y": {}}, "count": 1}));
    story.apply("two", spec(json!({}))).unwrap();
    assert_eq!(story.live()["spec"], json!({"count": 1}));
}

#[test]
fn items_with_a_defaulted_key() {
    let mut story = story();
    story.apply("one", spec(json!({"items": [{"name": "a", "size": 1}, {"name": "a", "zone": "y"}]}))).unwrap();
    let fields = story.fields("one");
    let items = fields["f:spec"]["f:items"].as_object().unwrap();
    assert_eq!(items.keys().collect::<Vec<_>>(), ["k:{\"name\":\"a\",\"zone\":\"x\"}", "k:{\"name\":\"a\",\"zone\":\"y\"}"]);
    assert_eq!(
        conflicts(story.apply("two", spec(json!({"items": [{"name": "a", "zone": "x", "size": 2}]})))),
        [".spec.items[name=\"a\",zone=\"x\"].size"]
    );
    let error = story.apply("one", spec(json!({"items": [{"name": "a", "zone": "x"}, {"name": "a"}]}))).unwrap_err();
    assert!(error.to_string().ends_with(".spec.items: duplicate entries for key [name=\"a\",zone=\"x\"]"), "{error}");
}

#[test]
fn undeclared_and_mistyped_fields_are_refused() {
    let mut story = story();
    let prefix = "failed to create typed patch object (/a; example.com/v1, Kind=Thing): ";
    let error = story.apply("one", spec(json!({"nope": 1}))).unwrap_err();
    assert_eq!(error.to_string(), format!("{prefix}.spec.nope: field not declared in schema"));
    assert_eq!(error.to_api_error().code, 500);
    let error = story.apply("one", spec(json!({"pod": {"metadata": {"name": "a", "nope": 1}}}))).unwrap_err();
    assert_eq!(error.to_string(), format!("{prefix}.spec.pod.metadata.nope: field not declared in schema"));
    let error = story.apply("one", spec(json!({"count": "x", "port": []}))).unwrap_err();
    let lines: Vec<String> = error.to_string().lines().map(str::to_string).collect();
    assert_eq!(lines[0], format!("{prefix}errors:"));
    assert_eq!(lines[1], "  .spec.count: expected numeric (int or float), got string");
    story
        .apply("one", spec(json!({"port": "http", "free": {"x": {"y": [1]}}, "pod": {"kind": "Pod", "metadata": {"labels": {"a": "b"}}}})))
        .unwrap();
    story.apply("two", spec(json!({"port": "http", "free": {"x": {"z": 1}}}))).unwrap();
    assert_eq!(story.live()["spec"]["free"], json!({"x": {"y": [1], "z": 1}}));
}

#[test]
fn without_a_schema_maps_merge_and_lists_do_not() {
    let mut story = Story::of(Schema::untyped(), "example.com/v1", "Thing");
    story.apply("one", spec(json!({"m": {"a": 1}, "l": [{"name": "a"}]}))).unwrap();
    story.apply("two", spec(json!({"m": {"b": 2}}))).unwrap();
    assert_eq!(story.live()["spec"], json!({"m": {"a": 1, "b": 2}, "l": [{"name": "a"}]}));
    assert_eq!(conflicts(story.apply("two", spec(json!({"l": [{"name": "b"}]})))), [".spec.l"]);
    // From a map to a number.
    assert_eq!(conflicts(story.apply("two", spec(json!({"m": 1})))), [".spec.m"]);
}

#[test]
fn a_list_that_becomes_atomic() {
    let mut story = story();
    story.apply("one", spec(json!({"set": ["a"]}))).unwrap();
    let set = json!({"type": "array", "items": {"type": "string"}});
    story.schema = custom(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"set": set}}}}));
    story.update("edit", |o| o["metadata"]["labels"] = json!({"a": "b"}));
    assert_eq!(story.fields("one"), json!({"f:spec": {"f:set": {}}}));
}

#[test]
fn a_create_owns_the_spec_itself() {
    let mut story = story();
    story.create("kubectl-create", spec(json!({"count": 1, "items": [{"name": "a"}]})));
    let item = json!({".": {}, "f:name": {}});
    let items = json!({".": {}, "k:{\"name\":\"a\",\"zone\":\"x\"}": item});
    assert_eq!(story.fields("kubectl-create"), json!({"f:spec": {".": {}, "f:count": {}, "f:items": items}}));
}
