//! The rules of storage's kinds, by table.
use crate::actors::kinds::scene::{Scene, findings};
use serde_json::{Value, json};

fn scene(kind: &str) -> Scene {
    Scene::of("storage.k8s.io", kind)
}

fn named(mut body: Value) -> Value {
    body["metadata"]["name"] = "x".into();
    body
}

#[test]
fn classes() {
    let classes = scene("StorageClass");
    let stored = classes.stored(named(json!({ "provisioner": "a.example/p" })));
    assert_eq!((&stored["reclaimPolicy"], &stored["volumeBindingMode"]), (&json!("Delete"), &json!("Immediate")));
    let mut default = stored.clone();
    default["metadata"]["annotations"] = json!({ "storageclass.kubernetes.io/is-default-class": "true" });
    let cells = [json!("x (default)"), json!("a.example/p"), json!("Delete"), json!("Immediate"), json!(false), json!("60s")];
    assert_eq!(classes.row(&default), cells);
    for (field, value, words) in [
        ("provisioner", json!("b"), "provisioner: Forbidden: updates to provisioner are forbidden."),
        ("parameters", json!({ "a": "b" }), "parameters: Forbidden: updates to parameters are forbidden."),
        ("reclaimPolicy", json!("Retain"), "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden."),
        (
            "volumeBindingMode",
            json!("WaitForFirstConsumer"),
            "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
        ),
    ] {
        assert_eq!(findings(classes.update(&stored, |o| o[field] = value)), [words]);
    }
    let term = json!({ "matchLabelExpressions": [{ "key": "zone", "values": ["a"] }] });
    for (body, words) in [
        (json!({}), "provisioner: Required value"),
        (
            json!({ "provisioner": "p", "reclaimPolicy": "Recycle" }),
            "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
        ),
        (
            json!({ "provisioner": "p", "allowedTopologies": [term, term] }),
            "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\"",
        ),
    ] {
        assert_eq!(classes.refusals(named(body)), [words]);
    }
    let attributes = scene("VolumeAttributesClass");
    let stored = attributes.stored(named(json!({ "driverName": "a.example", "parameters": { "iops": "1" } })));
    assert_eq!(
        findings(attributes.update(&stored, |o| o["driverName"] = "b".into())),
        ["driverName: Forbidden: updates to driverName are forbidden."]
    );
    let empty = attributes.refusals(named(json!({ "driverName": "a.example" })));
    assert_eq!(empty, ["parameters: Required value: must contain at least one key/value pair"]);
}

#[test]
fn drivers() {
    let drivers = scene("CSIDriver");
    let stored = drivers.stored(named(json!({ "spec": {} })));
    assert_eq!(
        stored["spec"],
        json!({
            "attachRequired": true, "podInfoOnMount": false, "storageCapacity": false, "requiresRepublish": false, "seLinuxMount": false,
            "fsGroupPolicy": "ReadWriteOnceWithFSType", "volumeLifecycleModes": ["Persistent"],
        })
    );
    let cells = [json!("x"), json!(true), json!(false), json!(false), json!("<unset>"), json!(false), json!("Persistent"), json!("60s")];
    assert_eq!(drivers.row(&stored), cells);
    let moved = drivers.update(&stored, |o| o["spec"]["attachRequired"] = false.into());
    assert_eq!(findings(moved), ["spec.attachedRequired: Invalid value: false: field is immutable"]);
    let counted = drivers.update(&stored, |o| o["spec"]["requiresRepublish"] = true.into()).expect("good");
    assert_eq!(counted["metadata"]["generation"], 1);
    let tokens = json!({ "tokenRequests": [{ "audience": "a", "expirationSeconds": 5 }, { "audience": "a" }] });
    assert_eq!(
        drivers.refusals(named(json!({ "spec": tokens }))),
        [
            "spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
            "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
        ]
    );
}

#[test]
fn nodes_capacities_and_attachments() {
    let nodes = scene("CSINode");
    let node = |drivers: Value| named(json!({ "spec": { "drivers": drivers } }));
    let stored = nodes.stored(node(json!([{ "name": "d", "nodeID": "n", "topologyKeys": ["zone"] }])));
    assert_eq!(nodes.row(&stored)[1], 1);
    assert!(nodes.update(&stored, |o| o["spec"]["drivers"][0]["allocatable"] = json!({ "count": 3 })).is_ok());
    assert!(findings(nodes.update(&stored, |o| o["spec"]["drivers"][0]["nodeID"] = "m".into()))[0].ends_with("field is immutable"));
    let twice = nodes.refusals(node(json!([{ "name": "d", "nodeID": "n" }, { "name": "d", "nodeID": "" }])));
    assert_eq!(twice, ["spec.drivers[1].nodeID: Required value", "spec.drivers[1].name: Duplicate value: \"d\""]);

    let capacities = scene("CSIStorageCapacity");
    let stored = capacities.stored(named(json!({ "storageClassName": "fast", "capacity": "1024Mi" })));
    assert_eq!(capacities.row(&stored), ["x", "fast", "1Gi"].map(Value::from));
    let moved = capacities.update(&stored, |o| o["storageClassName"] = "slow".into());
    assert_eq!(findings(moved), ["storageClassName: Invalid value: \"slow\": field is immutable"]);

    let attachments = scene("VolumeAttachment");
    let attachment = |source: Value| named(json!({ "spec": { "attacher": "a.example", "nodeName": "n", "source": source } }));
    let stored = attachments.stored(attachment(json!({ "persistentVolumeName": "v" })));
    assert_eq!(stored["status"], json!({ "attached": false }));
    let cells = [json!("x"), json!("a.example"), json!("v"), json!("n"), json!(false), json!("60s")];
    assert_eq!(attachments.row(&stored), cells);
    let words = ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"];
    assert_eq!(attachments.refusals(attachment(json!({}))), words);
    let inline = attachments
        .refusals(attachment(json!({ "inlineVolumeSpec": { "accessModes": ["ReadWriteOnce"], "nfs": { "server": "s", "path": "/" } } })));
    assert_eq!(inline, ["spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes"]);
}
