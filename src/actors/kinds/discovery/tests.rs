//! The rules of endpoint slices, by table.
use crate::actors::kinds::scene::{Scene, findings};
use serde_json::{Value, json};

fn slice(type_: &str, address: &str) -> Value {
    json!({ "metadata": { "name": "x" }, "addressType": type_, "endpoints": [{ "addresses": [address] }], "ports": [{ "port": 80 }] })
}

#[test]
fn endpoint_slices() {
    let slices = Scene::of("discovery.k8s.io", "EndpointSlice");
    let stored = slices.stored(slice("IPv4", "10.0.0.1"));
    assert_eq!(
        (&stored["ports"][0], &stored["metadata"]["generation"]),
        (&json!({ "port": 80, "name": "", "protocol": "TCP" }), &json!(1))
    );
    assert_eq!(slices.row(&stored), ["x", "IPv4", "80", "10.0.0.1", "60s"].map(Value::from));
    let moved = slices.update(&stored, |o| {
        o["addressType"] = "IPv6".into();
        o["endpoints"] = json!([]);
    });
    assert_eq!(findings(moved), ["addressType: Invalid value: \"IPv6\": field is immutable"]);
    let many =
        |count: usize| json!((0..count).map(|i| json!({ "addresses": [format!("10.0.{}.{}", i / 250, i % 250 + 1)] })).collect::<Vec<_>>());
    let mut long = slice("IPv4", "10.0.0.1");
    long["endpoints"] = many(1001);
    let mut twice = slice("IPv4", "10.0.0.1");
    twice["ports"] = json!([{ "port": 80 }, { "port": 81 }]);
    let mut nobody = slice("IPv4", "10.0.0.1");
    nobody["endpoints"][0]["addresses"] = json!([]);
    for (body, words) in [
        (slice("IP", "10.0.0.1"), "addressType: Unsupported value: \"IP\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""),
        (slice("IPv6", "10.0.0.1"), "endpoints[0].addresses[0]: Invalid value: \"10.0.0.1\": must be a valid IPv6 address"),
        (
            slice("IPv4", "127.0.0.1"),
            "endpoints[0].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (
            slice("FQDN", "a"),
            "endpoints[0].addresses[0]: Invalid value: \"a\": should be a domain with at least two segments separated by dots",
        ),
        (long, "endpoints: Too many: 1001: must have at most 1000 items"),
        (twice, "ports[1].name: Duplicate value: \"\""),
        (nobody, "endpoints[0].addresses: Required value: must contain at least 1 address"),
    ] {
        assert_eq!(slices.refusals(body), [words]);
    }
    let mut five = slice("IPv4", "10.0.0.1");
    five["endpoints"] = many(5);
    assert_eq!(slices.row(&slices.stored(five))[3], "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...");
}
