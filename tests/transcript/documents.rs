//! What kubectl learns from the server's own description of its API: explain, validation, discovery.
use super::with_each_kubectl;
use crate::kubectl::Kubectl;

#[test]
fn the_api_describes_itself() {
    with_each_kubectl("documents", |kubectl| {
        explained(kubectl);
        validated(kubectl);
        discovered(kubectl);
    });
}

fn explained(kubectl: &Kubectl) {
    let text = kubectl.ok("explain pod.spec.containers");
    for word in ["containers", "image", "livenessProbe", "KIND"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert!(kubectl.ok("explain rc.spec --recursive").contains("replicas"));
    assert!(kubectl.ok("explain replicasets").contains("apps"));
    assert!(!kubectl.run("explain pod.spec.nonsense").refused().is_empty());
}

fn validated(kubectl: &Kubectl) {
    let unknown = "{apiVersion: v1, kind: ConfigMap, metadata: {name: strict}, dada: {a: b}}";
    let said = kubectl.feed("create --validate=strict", unknown).refused();
    assert!(said.contains("unknown field \"dada\""), "{said}");
    let warned = kubectl.feed("create --validate=warn", unknown);
    assert!(warned.code == Some(0) && warned.stderr.contains("unknown field \"dada\""), "{warned}");
    let ignored = kubectl.feed("apply --validate=ignore", unknown);
    assert!(ignored.code == Some(0) && !ignored.stderr.contains("unknown field"), "{ignored}");
    let nested = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, image: b, imagge: c}]}}";
    let said = kubectl.feed("create --validate=strict", nested).refused();
    assert!(said.contains("unknown field \"spec.containers[0].imagge\""), "{said}");
    let wrong = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: {name: a}}}";
    assert!(!kubectl.feed("create", wrong).refused().is_empty());
    let missing = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, image: ''}]}}";
    let said = kubectl.feed("create", missing).refused();
    assert!(said.contains("spec.containers[0].image: Required value"), "{said}");
}

fn discovered(kubectl: &Kubectl) {
    let resources = kubectl.ok("api-resources --no-headers");
    let kinds = ["pods", "nodes", "namespaces", "services", "configmaps", "secrets", "events", "serviceaccounts", "replicasets", "leases"];
    for name in kinds.iter().chain(&["replicationcontrollers"]) {
        assert!(resources.lines().any(|l| l.starts_with(&format!("{name} "))), "no {name} in\n{resources}");
    }
    let versions = kubectl.ok("api-versions");
    assert!(["v1", "apps/v1", "coordination.k8s.io/v1"].iter().all(|v| versions.lines().any(|l| l == *v)), "{versions}");
    let version = kubectl.json("version");
    assert!(version["serverVersion"]["gitVersion"].as_str().is_some_and(|v| v.starts_with("v1.36")), "{version}");
    assert!(kubectl.ok("cluster-info").contains("is running at"));
    assert_eq!(kubectl.ok("get --raw /livez"), "ok");
    assert!(kubectl.ok("get --raw /metrics").contains("# TYPE"));
}
