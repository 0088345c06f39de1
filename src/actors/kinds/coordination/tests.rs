//! The rules of leases, by table.
use crate::actors::kinds::scene::Scene;
use serde_json::json;

#[test]
fn leases() {
    let leases = Scene::of("coordination.k8s.io", "Lease");
    let lease = |spec: serde_json::Value| json!({ "metadata": { "name": "x" }, "spec": spec });
    let stored = leases.stored(lease(json!({ "holderIdentity": "me", "strategy": "OldestEmulationVersion" })));
    assert_eq!((&stored["spec"], stored["metadata"].get("generation")), (&json!({ "holderIdentity": "me" }), None));
    assert_eq!(leases.row(&stored)[1], "me");
    assert!(leases.kind().rules.create_on_update);
    assert_eq!(
        leases.refusals(lease(json!({ "leaseDurationSeconds": 0, "leaseTransitions": -1 }))),
        [
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ]
    );
}
