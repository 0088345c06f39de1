use super::{claims, device_class, slices};
use crate::actors::kinds::{Kind, Part, begin_create, prepare_create, prepare_update};
use serde_json::{Value, json};

fn create(kind: &Kind, body: &Value) -> Result<Value, String> {
    let checked = kind.check(body.to_string().as_bytes()).map_err(|e| e.to_string())?;
    let namespace = if kind.resource.namespaced { "ns" } else { "" };
    let mut object = checked.value;
    begin_create(kind, namespace, &mut object).map_err(|e| e.message)?;
    prepare_create(kind, object, "2026-01-01T00:00:00Z", "uid", *b"abcde").map_err(|e| e.message)
}

fn refused(kind: &Kind, base: &Value, changes: Vec<(&str, Value, &str)>) {
    for (pointer, value, message) in changes {
        let mut body = base.clone();
        *body.pointer_mut(pointer).expect("a place in the object") = value;
        let error = create(kind, &body).expect_err(message);
        assert!(error.contains(message), "{error}\n    lacks {message}");
    }
}

fn claim() -> Value {
    json!({"metadata": {"name": "c"}, "spec": {"devices": {
        "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com", "selectors": [{"cel": {"expression": "true"}}]}}],
        "constraints": [{"requests": ["gpu"], "matchAttribute": "example.com/numa"}],
        "config": [{"requests": ["gpu"], "opaque": {"driver": "d.example.com", "parameters": {"a": 1}}}],
    }}})
}

#[test]
fn claims_and_templates() {
    let made = create(&claims::CLAIM, &claim()).unwrap();
    let request = &made["spec"]["devices"]["requests"][0]["exactly"];
    assert_eq!((&request["allocationMode"], &request["count"]), (&json!("ExactCount"), &json!(1)));
    assert_eq!(claims::CLAIM.row(&made, 0)[1], "pending");
    let devices = "/spec/devices";
    let at = |rest: &str| format!("{devices}/{rest}");
    let changes = [
        ("requests/0/name", json!("G"), "spec.devices.requests[0].name: Invalid value: \"G\""),
        (
            "requests/0",
            json!({"name": "gpu"}),
            "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
        ),
        ("requests/0/exactly/deviceClassName", json!(""), "spec.devices.requests[0].exactly.deviceClassName: Required value"),
        ("requests/0/exactly/selectors", json!([{"cel": {"expression": "("}}]), "selectors[0].cel.expression: Invalid value: \"(\""),
        (
            "constraints/0/requests",
            json!(["cpu"]),
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
        ),
        ("constraints/0/matchAttribute", json!("numa"), "a fully qualified name must be a domain and a name separated by a slash"),
        (
            "config/0/opaque/parameters",
            json!([1]),
            "spec.devices.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object",
        ),
    ];
    for (rest, value, message) in changes {
        refused(&claims::CLAIM, &claim(), vec![(&at(rest), value, message)]);
    }
    let mut next = made.clone();
    next["spec"]["devices"]["requests"][0]["name"] = "other".into();
    let error = prepare_update(&claims::CLAIM, Part::Main, &made, next).unwrap_err().message;
    assert!(error.contains("field is immutable"), "{error}");
    let template = json!({"metadata": {"name": "t"}, "spec": {"spec": claim()["spec"]}});
    let made = create(&claims::TEMPLATE, &template).unwrap();
    assert_eq!(made["spec"]["spec"]["devices"]["requests"][0]["exactly"]["count"], 1);
}

#[test]
fn status_of_claims() {
    let old = create(&claims::CLAIM, &claim()).unwrap();
    let set = |old: &Value, status: Value| {
        let mut body = old.clone();
        body["status"] = status;
        prepare_update(&claims::CLAIM, Part::Status, old, body).map_err(|e| e.message)
    };
    let result = json!({"request": "gpu", "driver": "d.example.com", "pool": "p", "device": "dev-0"});
    let allocation = json!({"devices": {"results": [result]}});
    let consumer = json!({"resource": "pods", "name": "p", "uid": "u"});
    let error = set(&old, json!({"reservedFor": [consumer]})).unwrap_err();
    assert!(error.contains("status.reservedFor: Forbidden: may not be specified when `allocated` is not set"), "{error}");
    let mut made = set(&old, json!({"allocation": allocation, "reservedFor": [consumer]})).unwrap();
    assert_eq!(claims::CLAIM.row(&made, 0)[1], "allocated,reserved");
    let mut other = allocation.clone();
    other["devices"]["results"][0]["device"] = "dev-1".into();
    let error = set(&made, json!({"allocation": other})).unwrap_err();
    assert!(error.contains("status.allocation: Invalid value") && error.contains("field is immutable"), "{error}");
    let device = json!({"driver": "d.example.com", "pool": "p", "device": "dev-7", "conditions": []});
    let error = set(&made, json!({"allocation": allocation, "devices": [device]})).unwrap_err();
    assert!(error.contains("must be an allocated device in the claim"), "{error}");
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let more = json!([consumer, {"resource": "pods", "name": "q", "uid": "v"}]);
    let error = set(&made, json!({"allocation": allocation, "reservedFor": more})).unwrap_err();
    assert!(error.contains("new entries may not be added"), "{error}");
}

#[test]
fn classes() {
    let class = json!({"metadata": {"name": "c"}, "spec": {
        "selectors": [{"cel": {"expression": "device.driver == 'd'"}}], "extendedResourceName": "example.com/gpu",
    }});
    assert_eq!(create(&device_class::KIND, &class).unwrap()["metadata"]["generation"], 1);
    let changes = vec![
        (
            "/spec/extendedResourceName",
            json!("cpu"),
            "spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name",
        ),
        ("/spec/selectors/0", json!({}), "spec.selectors[0].cel: Required value"),
    ];
    refused(&device_class::KIND, &class, changes);
}

#[test]
fn slices_of_devices() {
    let device = json!({
        "name": "dev-0", "attributes": {"model": {"string": "x"}, "d.example.com/v": {"version": "1.2.3-rc.1+b"}},
        "capacity": {"memory": {"value": "8Gi", "requestPolicy": {"default": "1Gi", "validRange": {"min": "1Gi", "step": "1Gi"}}}},
        "allowMultipleAllocations": true, "taints": [{"key": "a", "effect": "NoSchedule"}],
    });
    let slice = json!({"metadata": {"name": "s"}, "spec": {
        "driver": "d.example.com", "nodeName": "n", "pool": {"name": "p", "generation": 0, "resourceSliceCount": 1}, "devices": [device],
    }});
    let made = create(&slices::KIND, &slice).unwrap();
    assert!(made["spec"]["devices"][0]["taints"][0]["timeAdded"].is_string());
    assert_eq!(slices::KIND.row(&made, 0)[1..4], [json!("n"), json!("d.example.com"), json!("p")]);
    let changes = vec![
        ("/spec/pool/resourceSliceCount", json!(0), "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"),
        ("/spec/nodeName", Value::Null, "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"),
        (
            "/spec/devices/0/attributes/model",
            json!({}),
            "spec.devices[0].attributes[model]: Invalid value: \"\": exactly one value must be specified",
        ),
        ("/spec/devices/0/attributes/model", json!({"version": "1.2"}), "must be a string compatible with semver.org spec 2.0.0"),
        ("/spec/devices/0/allowMultipleAllocations", json!(false), "requestPolicy: Forbidden: allowMultipleAllocations must be true"),
        (
            "/spec/devices/0/capacity/memory/requestPolicy/default",
            json!("1536Mi"),
            "value is not a multiple of a given step (1Gi) from (1Gi)",
        ),
        (
            "/spec/devices/0/taints/0/effect",
            json!("Burn"),
            "spec.devices[0].taints[0].effect: Unsupported value: \"Burn\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
        ),
    ];
    refused(&slices::KIND, &slice, changes);
    let mut next = made.clone();
    next["spec"]["driver"] = "e.example.com".into();
    let error = prepare_update(&slices::KIND, Part::Main, &made, next).unwrap_err().message;
    assert!(error.contains("spec.driver: Invalid value: \"e.example.com\": field is immutable"), "{error}");
}
