//! The rules of priority classes, by table.
use crate::actors::kinds::scene::{Scene, findings};
use serde_json::json;

#[test]
fn priority_classes() {
    let classes = Scene::of("scheduling.k8s.io", "PriorityClass");
    let class = |name: &str, value: i64| json!({ "metadata": { "name": name }, "value": value });
    let stored = classes.stored(class("high", 1000));
    assert_eq!((&stored["preemptionPolicy"], &stored["metadata"]["generation"]), (&json!("PreemptLowerPriority"), &json!(1)));
    assert_eq!(classes.row(&stored), [json!("high"), json!(1000), json!(false), json!("60s"), json!("PreemptLowerPriority")]);
    assert!(classes.create(class("system-node-critical", 2_000_001_000)).is_ok());
    let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error:";
    for (body, words) in [
        (class("a", 1_000_000_001), "value: Forbidden: maximum allowed value of a user defined priority is 1000000000".to_string()),
        (class("system-mine", 1), format!("{reserved} system-mine is not a known system priority class")),
        (class("system-node-critical", 1), format!("{reserved} value of system-node-critical PriorityClass must be 2000001000")),
    ] {
        assert_eq!(classes.refusals(body), [words]);
    }
    assert_eq!(findings(classes.update(&stored, |o| o["value"] = 1.into())), ["value: Forbidden: may not be changed in an update."]);
    assert!(classes.update(&stored, |o| o["description"] = "words".into()).is_ok());
}
