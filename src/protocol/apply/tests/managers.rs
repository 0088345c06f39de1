//! The list of managers: edits, bounds, other versions, the scale.
use super::Story;
use crate::apply::managed::{Converted, Reset, Rules, Writer, check, from_scale, name, to_scale, track};
use crate::apply::{builtin, schema::custom};
use serde_json::{Value, json};

#[test]
fn requests_may_edit_the_managers() {
    let mut story = Story::deployment();
    story.create("one", json!({"spec": {"replicas": 1, "paused": true}}));
    story.update("two", |o| o["metadata"]["managedFields"][0]["manager"] = "renamed".into());
    assert_eq!(story.names(), ["renamed/Update"]);
    // A list that nobody can read counts for nothing, nor does one through a subresource.
    let before = story.live().clone();
    story.update("two", |o| o["metadata"]["managedFields"][0]["operation"] = "Nope".into());
    assert_eq!(*story.live(), before);
    story.subresource = "status";
    story.update("two", |o| o["metadata"]["managedFields"] = json!([]));
    assert_eq!(*story.live(), before);
    story.subresource = "";
    story.update("two", |o| o["metadata"]["managedFields"] = json!([]));
    assert_eq!(story.live()["metadata"].get("managedFields"), None);
}

#[test]
fn entries_that_are_not_well_formed() {
    let with = |name: &str, value: Value| {
        let mut entry = json!({"manager": "a", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}});
        entry[name] = value;
        check(&json!([entry])).map_err(|e| e.to_string())
    };
    assert_eq!(with("manager", "b".into()), Ok(()));
    assert_eq!(with("operation", "Nope".into()).unwrap_err(), "operation must be `Apply` or `Update`");
    assert_eq!(with("apiVersion", "".into()).unwrap_err(), "apiVersion must not be empty");
    assert_eq!(with("fieldsType", "".into()).unwrap_err(), "missing fieldsType in managed fields entry 0");
    assert_eq!(with("fieldsType", "V2".into()).unwrap_err(), "invalid fieldsType \"V2\" in managed fields entry 0");
    assert!(with("fieldsV1", json!({"q": {}})).unwrap_err().contains("error decoding set: key must be 2 characters long:"));
}

#[test]
fn updaters_are_few() {
    let mut story = Story::of(builtin("", "v1", "ConfigMap"), "v1", "ConfigMap");
    story.create("w0", json!({"data": {"k0": "0"}}));
    for i in 1..15 {
        story.update(&format!("w{i}"), |o| o["data"][format!("k{i}")] = "1".into());
    }
    let names = story.names();
    assert_eq!(names.len(), 10, "{names:?}");
    assert_eq!(names[0], "ancient-changes/Update");
    let ancient = story.fields("ancient-changes");
    assert_eq!(ancient["f:data"].as_object().unwrap().len(), 1 + 6);
    assert_eq!(story.entries()[0]["time"], "2026-01-01T00:00:06Z");
}

#[test]
fn managers_of_another_version() {
    let schema = custom(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"new": {"type": "string"}}}}}));
    let old_schema =
        custom(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"old": {"type": "string"}}}}}));
    let convert = move |object: &Value, version: &str| match version {
        "example.com/v1" => {
            let mut other = object.clone();
            other["apiVersion"] = version.into();
            let value = other["spec"].as_object_mut().and_then(|s| s.remove("new"));
            other["spec"]["old"] = value.unwrap_or_default();
            Converted::Other(other, old_schema.clone())
        }
        "example.com/v2" => Converted::Same,
        _ => Converted::Missing,
    };
    let entry = |version: &str, fields: Value| json!({"manager": "m", "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields});
    let managed = json!([
        entry("example.com/v0", json!({"f:spec": {"f:x": {}}})),
        entry("example.com/v1", json!({"f:spec": {"f:old": {}}, "f:metadata": {"f:labels": {}}})),
    ]);
    let live =
        json!({"apiVersion": "example.com/v2", "kind": "T", "metadata": {"name": "a", "managedFields": managed}, "spec": {"new": "1"}});
    let mut new = live.clone();
    new["spec"]["new"] = "2".into();
    let writer = Writer { manager: "w", api_version: "example.com/v2", subresource: "", time: "2026-01-01T00:00:00Z" };
    track(&Rules { schema: &schema, reset: &Reset::Nothing, convert: Some(&convert) }, Some(&live), &mut new, &writer);
    let entries = new["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["fieldsV1"], json!({"f:metadata": {"f:labels": {}}}));
    assert_eq!(entries[1]["fieldsV1"], json!({"f:spec": {"f:new": {}}}));
}

#[test]
fn the_scale_and_back() {
    let paths: &[(&str, &[&str])] = &[("apps/v1", &["spec", "replicas"])];
    let entry = |manager: &str, operation: &str, version: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields});
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let both = json!({"f:spec": {"f:replicas": {}, "f:selector": {}}});
    let parent = json!([entry("one", "Apply", "apps/v1", both), entry("two", "Update", "apps/v9", replicas.clone())]);
    let scale = to_scale(Some(&parent), paths).unwrap().unwrap();
    assert_eq!(scale, json!([entry("one", "Apply", "autoscaling/v1", replicas.clone())]));
    // Somebody else scales: the replicas are the other's.
    let mut by_hpa = entry("hpa", "Update", "autoscaling/v1", replicas.clone());
    by_hpa["subresource"] = "scale".into();
    let merged = from_scale(Some(&parent), Some(&json!([by_hpa])), "apps/v1", paths).unwrap().unwrap();
    let mut expected = entry("hpa", "Update", "apps/v1", replicas);
    expected["subresource"] = "scale".into();
    assert_eq!(merged, json!([entry("one", "Apply", "apps/v1", json!({"f:spec": {"f:selector": {}}})), expected]));
    // Nobody did: as it was, but for the version that isn't one.
    let same = from_scale(Some(&parent), Some(&scale), "apps/v1", paths).unwrap().unwrap();
    assert_eq!(same, json!([parent[0]]));
}

#[test]
fn names_of_managers() {
    assert_eq!(name("me", "kubectl/v1.36"), "me");
    assert_eq!(name("", "kubectl/v1.36.0 (linux/amd64)"), "kubectl");
    assert_eq!(name("", &"é".repeat(100)), "é".repeat(64));
}
