//! Disruption budgets, by table.
use crate::actors::kinds::Part;
use crate::actors::kinds::tests::{create, findings, kind, settled, stored, update};
use serde_json::{Value, json};

fn budget(spec: Value) -> Value {
    json!({ "metadata": { "name": "b" }, "spec": spec })
}

#[test]
fn budgets() {
    let made =
        create("PodDisruptionBudget", budget(json!({ "minAvailable": "50%", "selector": { "matchLabels": { "a": "b" } } }))).expect("good");
    assert_eq!(made["status"], json!({ "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0 }));
    assert_eq!(made["metadata"]["generation"], 1);
    settled("PodDisruptionBudget", &made);
    assert_eq!((kind("PodDisruptionBudget").row)(&made, 0)[1..4], [json!("50%"), json!("N/A"), json!(0)]);
    let cases = [
        (
            json!({ "minAvailable": 1, "maxUnavailable": 1 }),
            "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1}: minAvailable and maxUnavailable cannot be both set",
        ),
        (json!({ "minAvailable": -1 }), "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"),
        (json!({ "maxUnavailable": "150%" }), "spec.maxUnavailable: Invalid value: \"150%\": must not be greater than 100%"),
        (
            json!({ "unhealthyPodEvictionPolicy": "Never" }),
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
        ),
    ];
    for (spec, said) in cases {
        assert_eq!(findings(create("PodDisruptionBudget", budget(spec.clone()))), [said], "{spec}");
    }
    let old = stored("PodDisruptionBudget", budget(json!({ "minAvailable": 1 })));
    assert_eq!(
        update("PodDisruptionBudget", Part::Main, &old, |o| o["spec"]["minAvailable"] = 2.into()).expect("good")["metadata"]["generation"],
        2
    );
    let said = findings(update("PodDisruptionBudget", Part::Status, &old, |o| o["status"]["expectedPods"] = (-1).into()));
    assert_eq!(said, ["status.expectedPods: Invalid value: -1: must be greater than or equal to 0"]);
    let warned = (kind("PodDisruptionBudget").rules.warnings)(&budget(json!({ "selector": {} })), None);
    assert_eq!(warned.len(), 1);
}
