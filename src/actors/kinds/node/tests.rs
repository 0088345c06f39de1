//! The rules of runtime classes, by table.
use crate::actors::kinds::scene::{Scene, findings};
use serde_json::{Value, json};

#[test]
fn runtime_classes() {
    let classes = Scene::of("node.k8s.io", "RuntimeClass");
    let class = |more: Value| {
        let mut body = json!({ "metadata": { "name": "x" }, "handler": "runc" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let stored = classes.stored(class(json!({ "overhead": { "podFixed": { "cpu": "100m" } } })));
    assert_eq!(classes.row(&stored), ["x", "runc", "60s"].map(Value::from));
    assert_eq!(
        findings(classes.update(&stored, |o| o["handler"] = "kata".into())),
        ["handler: Invalid value: \"kata\": field is immutable"]
    );
    assert!(classes.refusals(class(json!({ "handler": "" })))[0].starts_with("handler: Invalid value: \"\": a lowercase RFC 1123 label"));
    let toleration = json!({ "key": "a", "operator": "Exists" });
    let twice = classes.refusals(class(json!({ "scheduling": { "tolerations": [toleration, toleration] } })));
    assert!(twice.len() == 1 && twice[0].starts_with("scheduling.tolerations[1]: Duplicate value"), "{twice:?}");
    let bad = classes.refusals(class(json!({ "scheduling": { "tolerations": [{ "key": "a", "operator": "X" }] } })));
    assert_eq!(bad, ["scheduling.tolerations[0].operator: Unsupported value: \"X\": supported values: \"Equal\", \"Exists\""]);
}
