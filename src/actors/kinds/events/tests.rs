//! The view, there and back, and its stricter rules.
use crate::actors::kinds::scene::{NOW, Scene, findings};
use serde_json::{Value, json};

fn scene() -> Scene {
    Scene::of("events.k8s.io", "Event")
}

fn event() -> Value {
    json!({
        "metadata": { "name": "e" }, "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "a.example/c",
        "reportingInstance": "i", "action": "Do", "reason": "Because", "type": "Normal", "note": "words",
        "regarding": { "kind": "Pod", "name": "p", "namespace": "ns" },
    })
}

#[test]
fn there_and_back() {
    let view = scene().kind().view.expect("a view");
    let object = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e" }, "note": "n", "regarding": { "kind": "Pod" },
        "related": { "kind": "Node" }, "reportingController": "c", "reportingInstance": "i", "deprecatedSource": { "component": "k" },
        "deprecatedFirstTimestamp": NOW, "deprecatedLastTimestamp": NOW, "deprecatedCount": 3, "series": { "count": 2 }, "action": "a",
        "reason": "r", "type": "Normal",
    });
    let mut stored = object.clone();
    (view.to_stored)(&mut stored);
    assert_eq!(
        stored,
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" }, "message": "n", "involvedObject": { "kind": "Pod" },
            "related": { "kind": "Node" }, "reportingComponent": "c", "reportingInstance": "i", "source": { "component": "k" },
            "firstTimestamp": NOW, "lastTimestamp": NOW, "count": 3, "series": { "count": 2 }, "action": "a", "reason": "r", "type": "Normal",
        })
    );
    (view.from_stored)(&mut stored);
    assert_eq!(stored, object);
}

#[test]
fn the_newer_group_is_stricter() {
    let events = scene();
    let object = events.stored(event());
    assert_eq!(events.row(&object)[2..7], ["Because", "pod/p", "", "a.example/c, i", "words"].map(Value::from));
    let mut bad = event();
    for (field, value) in [
        ("deprecatedCount", json!(2)),
        ("deprecatedFirstTimestamp", json!(NOW)),
        ("type", json!("X")),
        ("series", json!({ "count": 1, "lastObservedTime": "2026-01-01T00:00:00.000000Z" })),
    ] {
        bad[field] = value;
    }
    assert_eq!(
        events.refusals(bad),
        [
            "series.count: Invalid value: \"\": should be at least 2",
            "type: Invalid value: \"\": has invalid value: X",
            "firstTimestamp: Invalid value: \"\": needs to be unset",
            "count: Invalid value: \"\": needs to be unset",
        ]
    );
    assert!(events.update(&object, |o| o["series"] = json!({ "count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z" })).is_ok());
    let changed = events.update(&object, |o| o["note"] = "others".into());
    assert_eq!(findings(changed), ["message: Invalid value: \"others\": field is immutable"]);
    // What came through the older group can still be touched.
    let mut old = object;
    old["deprecatedCount"] = 4.into();
    assert!(events.update(&old, |o| o["metadata"]["labels"] = json!({ "a": "b" })).is_ok());
}
