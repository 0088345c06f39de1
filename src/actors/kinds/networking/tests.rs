//! The rules of networking's kinds, by table.
use crate::actors::kinds::scene::{Scene, findings};
use serde_json::{Value, json};

fn scene(kind: &str) -> Scene {
    Scene::of("networking.k8s.io", kind)
}

fn object(spec: Value) -> Value {
    json!({ "metadata": { "name": "x" }, "spec": spec })
}

fn backend() -> Value {
    json!({ "service": { "name": "web", "port": { "number": 80 } } })
}

fn path(type_: &str, path: &str) -> Value {
    json!({ "rules": [{ "host": "a.example", "http": { "paths": [{ "pathType": type_, "path": path, "backend": backend() }] } }] })
}

#[test]
fn ingresses() {
    let ingresses = scene("Ingress");
    let stored = ingresses.stored(object(path("Prefix", "/")));
    assert_eq!((&stored["status"], &stored["metadata"]["generation"]), (&json!({ "loadBalancer": {} }), &json!(1)));
    assert_eq!(ingresses.row(&stored), ["x", "<none>", "a.example", "", "80", "60s"].map(Value::from));
    let at = "spec.rules[0].http.paths[0]";
    for (spec, words) in [
        (json!({}), "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified".to_string()),
        (json!({ "defaultBackend": {} }), "spec.defaultBackend: Invalid value: \"\": resource or service backend is required".into()),
        (
            json!({ "defaultBackend": { "service": { "name": "web" } } }),
            "spec.defaultBackend: Required value: port name or number is required".into(),
        ),
        (path("Prefix", "x"), format!("{at}.path: Invalid value: \"x\": must be an absolute path")),
        (path("Prefix", "/a//b"), format!("{at}.path: Invalid value: \"/a//b\": must not contain '//'")),
        (path("Exact", "/a/.."), format!("{at}.path: Invalid value: \"/a/..\": cannot end with '/..'")),
        (
            path("X", "/"),
            format!("{at}.pathType: Unsupported value: \"X\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""),
        ),
        (path("", "/"), format!("{at}.pathType: Required value: pathType must be specified")),
        (
            json!({ "rules": [{ "host": "1.2.3.4" }] }),
            "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address".into(),
        ),
        (json!({ "rules": [{ "http": { "paths": [] } }] }), "spec.rules[0].http.paths: Required value".into()),
    ] {
        assert_eq!(ingresses.refusals(object(spec.clone())), [words], "{spec}");
    }
    let mut noted = object(json!({ "ingressClassName": "a", "defaultBackend": backend() }));
    noted["metadata"]["annotations"] = json!({ "kubernetes.io/ingress.class": "b" });
    let words = ["annotations.kubernetes.io/ingress.class: Invalid value: \"b\": must match `ingressClassName` when both are specified"];
    assert_eq!(ingresses.refusals(noted), words);
}

#[test]
fn ingress_classes() {
    let classes = scene("IngressClass");
    let stored =
        classes.stored(object(json!({ "controller": "a.example/c", "parameters": { "apiGroup": "g.example", "kind": "K", "name": "n" } })));
    assert_eq!(stored["spec"]["parameters"]["scope"], "Cluster");
    assert_eq!(classes.row(&stored)[1..3], ["a.example/c", "K.g.example/n"].map(Value::from));
    let moved = classes.update(&stored, |o| o["spec"]["controller"] = "b.example/c".into());
    assert_eq!(findings(moved), ["spec.controller: Invalid value: \"b.example/c\": field is immutable"]);
    assert_eq!(classes.refusals(object(json!({}))), ["spec.controller: Required value"]);
    let scoped = json!({ "controller": "a.example/c", "parameters": { "kind": "K", "name": "n", "scope": "Namespace" } });
    assert_eq!(classes.refusals(object(scoped)), ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]);
}

#[test]
fn network_policies() {
    let policies = scene("NetworkPolicy");
    let spec = json!({ "podSelector": { "matchLabels": { "a": "b" } }, "egress": [{ "ports": [{ "port": 53 }] }] });
    let stored = policies.stored(object(spec));
    assert_eq!(
        (&stored["spec"]["policyTypes"], &stored["spec"]["egress"][0]["ports"][0]["protocol"]),
        (&json!(["Ingress", "Egress"]), &json!("TCP"))
    );
    assert_eq!(policies.row(&stored)[1], "a=b");
    let empty = policies.stored(object(json!({ "podSelector": {} })));
    assert_eq!((&policies.row(&empty)[1], &empty["spec"]["policyTypes"]), (&json!("<none>"), &json!(["Ingress"])));
    let peer = |peer: Value| json!({ "podSelector": {}, "ingress": [{ "from": [peer] }] });
    let port = |port: Value| json!({ "podSelector": {}, "ingress": [{ "ports": [port] }] });
    let (from, ports) = ("spec.ingress[0].from[0]", "spec.ingress[0].ports[0]");
    for (spec, words) in [
        (peer(json!({})), format!("{from}: Required value: must specify a peer")),
        (
            peer(json!({ "podSelector": {}, "ipBlock": { "cidr": "10.0.0.0/8" } })),
            format!("{from}: Forbidden: may not specify both ipBlock and another peer"),
        ),
        (
            peer(json!({ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"] } })),
            format!("{from}.ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`"),
        ),
        (
            peer(json!({ "ipBlock": { "cidr": "x" } })),
            format!("{from}.ipBlock.cidr: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        ),
        (
            port(json!({ "port": 80, "endPort": 79 })),
            format!("{ports}.endPort: Invalid value: 79: must be greater than or equal to `port`"),
        ),
        (
            port(json!({ "port": "web", "endPort": 79 })),
            format!("{ports}.endPort: Invalid value: 79: may not be specified when `port` is non-numeric"),
        ),
        (port(json!({ "endPort": 79 })), format!("{ports}.endPort: Invalid value: 79: may not be specified when `port` is not specified")),
        (
            port(json!({ "protocol": "X" })),
            format!("{ports}.protocol: Unsupported value: \"X\": supported values: \"TCP\", \"UDP\", \"SCTP\""),
        ),
        (
            json!({ "podSelector": {}, "policyTypes": ["X"] }),
            "spec.policyTypes[0]: Unsupported value: \"X\": supported values: \"Ingress\", \"Egress\"".into(),
        ),
    ] {
        assert_eq!(policies.refusals(object(spec.clone())), [words], "{spec}");
    }
}

#[test]
fn addresses_and_ranges() {
    let addresses = scene("IPAddress");
    let address = |name: &str, parent: Value| json!({ "metadata": { "name": name }, "spec": { "parentRef": parent } });
    let stored = addresses.stored(address("10.0.0.1", json!({ "group": "", "resource": "services", "namespace": "ns", "name": "web" })));
    assert!(stored["spec"]["parentRef"].get("group").is_none());
    assert_eq!(addresses.row(&stored)[1], "services/ns/web");
    assert_eq!(addresses.refusals(address("10.0.0.1", json!({ "resource": "services" }))), ["spec.parentRef.name: Required value"]);
    let words = addresses.refusals(address("010.0.0.1", json!({ "resource": "services", "name": "web" })));
    assert_eq!(words, ["metadata.name: Invalid value: \"010.0.0.1\": must not have leading 0s"]);
    assert!(addresses.update(&stored, |o| o["spec"]["parentRef"]["name"] = "other".into()).is_err());

    let ranges = scene("ServiceCIDR");
    let stored = ranges.stored(object(json!({ "cidrs": ["10.0.0.0/16"] })));
    assert_eq!(ranges.row(&stored)[1], "10.0.0.0/16");
    assert_eq!(ranges.refusals(object(json!({ "cidrs": [] }))), ["spec.cidrs: Required value: at least one CIDR required"]);
    let moved = ranges.update(&stored, |o| o["spec"]["cidrs"] = json!(["10.1.0.0/16"]));
    assert_eq!(findings(moved), ["spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable"]);
    assert!(ranges.update(&stored, |o| o["spec"]["cidrs"] = json!(["10.0.0.0/16", "fd00::/64"])).is_ok());
}
