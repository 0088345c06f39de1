//! Workloads, by table: defaults, refusals, updates, rows.
use crate::actors::kinds::Part;
use crate::actors::kinds::tests::{create, findings, kind, settled, stored, update};
use serde_json::{Value, json};

fn template() -> Value {
    json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } })
}

fn workload(extra: Value) -> Value {
    let mut body = json!({ "metadata": { "name": "w" }, "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": template() } });
    for (key, value) in extra.as_object().into_iter().flatten() {
        body["spec"][key] = value.clone();
    }
    body
}

#[test]
fn defaults_as_upstream() {
    let claims = json!([{ "metadata": { "name": "data" }, "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } } }]);
    let cases = [
        (
            "Deployment",
            json!({}),
            json!({ "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } } }),
            json!({}),
        ),
        ("ReplicaSet", json!({}), json!({ "replicas": 1 }), json!({ "replicas": 0 })),
        (
            "StatefulSet",
            json!({ "volumeClaimTemplates": claims }),
            json!({ "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady", "serviceName": "",
                "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
                "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0, "maxUnavailable": 1 } },
                "volumeClaimTemplates": [{ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
                    "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } }, "volumeMode": "Filesystem" },
                    "status": { "phase": "Pending" } }] }),
            json!({ "replicas": 0, "availableReplicas": 0 }),
        ),
        (
            "DaemonSet",
            json!({}),
            json!({ "revisionHistoryLimit": 10, "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } } }),
            json!({ "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0 }),
        ),
    ];
    for (name, extra, spec, status) in cases {
        let made = create(name, workload(extra)).expect(name);
        let mut rest = made["spec"].clone();
        let template = rest.as_object_mut().and_then(|s| s.remove("template")).expect("a template");
        rest.as_object_mut().map(|s| s.remove("selector"));
        assert_eq!((&rest, &made["status"], &made["metadata"]["generation"]), (&spec, &status, &json!(1)), "{name}");
        assert_eq!(
            (&template["spec"]["restartPolicy"], &template["spec"]["containers"][0]["imagePullPolicy"]),
            (&json!("Always"), &json!("Always"))
        );
        settled(name, &made);
    }
    let set = create("DaemonSet", workload(json!({}))).expect("a set");
    assert_eq!(set["metadata"]["annotations"]["deprecated.daemonset.template.generation"], "1");
    let recreate = create("Deployment", workload(json!({ "strategy": { "type": "Recreate" } }))).expect("good");
    assert_eq!(recreate["spec"]["strategy"], json!({ "type": "Recreate" }));
}

/// A kind, what its specification has besides, and what is said about it.
type Case = (&'static str, Value, Vec<String>);

const MISMATCH: &str = "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`";

fn one(text: &str) -> Vec<String> {
    vec![text.to_string()]
}

fn other() -> Value {
    json!({ "matchLabels": { "a": "c" } })
}

fn bad_deployments() -> Vec<Case> {
    vec![
        ("Deployment", json!({ "selector": {} }), vec!["spec.selector: Required value".to_string(), MISMATCH.to_string()]),
        ("Deployment", json!({ "selector": other() }), one(MISMATCH)),
        (
            "Deployment",
            json!({ "selector": { "matchLabels": {} } }),
            one("spec.selector: Invalid value: {\"matchLabels\":{}}: empty selector is invalid for deployment"),
        ),
        ("Deployment", json!({ "replicas": -1 }), one("spec.replicas: Invalid value: -1: must be greater than or equal to 0")),
        (
            "Deployment",
            json!({ "progressDeadlineSeconds": 5, "minReadySeconds": 5 }),
            one("spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"),
        ),
        (
            "Deployment",
            json!({ "strategy": { "type": "Recreate", "rollingUpdate": {} } }),
            one("spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"),
        ),
        (
            "Deployment",
            json!({ "strategy": { "rollingUpdate": { "maxSurge": 0, "maxUnavailable": "0%" } } }),
            one("spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"),
        ),
        (
            "Deployment",
            json!({ "strategy": { "rollingUpdate": { "maxUnavailable": "101%" } } }),
            one("spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"),
        ),
        (
            "Deployment",
            json!({ "strategy": { "rollingUpdate": { "maxSurge": "x" } } }),
            one(
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            ),
        ),
        (
            "Deployment",
            json!({ "strategy": { "type": "Blue" } }),
            one("spec.strategy: Unsupported value: {\"type\":\"Blue\"}: supported values: \"Recreate\", \"RollingUpdate\""),
        ),
    ]
}

fn bad_sets() -> Vec<Case> {
    vec![
        (
            "StatefulSet",
            json!({ "podManagementPolicy": "Odd" }),
            one("spec.podManagementPolicy: Invalid value: \"Odd\": must be 'OrderedReady' or 'Parallel'"),
        ),
        (
            "StatefulSet",
            json!({ "updateStrategy": { "type": "OnDelete", "rollingUpdate": { "partition": 1 } } }),
            one("spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'"),
        ),
        (
            "StatefulSet",
            json!({ "updateStrategy": { "rollingUpdate": { "partition": -1 } } }),
            one("spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0"),
        ),
        (
            "StatefulSet",
            json!({ "persistentVolumeClaimRetentionPolicy": { "whenScaled": "Keep" } }),
            one(
                "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Keep\": supported values: \"Retain\", \"Delete\"",
            ),
        ),
        (
            "DaemonSet",
            json!({ "updateStrategy": { "rollingUpdate": { "maxSurge": 1 } } }),
            one("spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"),
        ),
        (
            "DaemonSet",
            json!({ "updateStrategy": { "rollingUpdate": { "maxUnavailable": 0 } } }),
            one("spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"),
        ),
        ("DaemonSet", json!({ "selector": other() }), one(MISMATCH)),
    ]
}

#[test]
fn bad_bodies() {
    let never = |kind: &str| {
        let mut template = template();
        template["spec"]["restartPolicy"] = "Never".into();
        template["spec"]["activeDeadlineSeconds"] = 5.into();
        let always = "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"".to_string();
        let deadline = format!("spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in {kind} is not Supported");
        (json!({ "template": template }), vec![always, deadline])
    };
    let mut cases = [bad_deployments(), bad_sets()].concat();
    for (name, shown) in
        [("Deployment", "ReplicaSet"), ("ReplicaSet", "ReplicaSet"), ("StatefulSet", "StatefulSet"), ("DaemonSet", "DaemonSet")]
    {
        let (extra, said) = never(shown);
        cases.push((name, extra, said));
        let mut empty = template();
        empty["spec"]["containers"] = json!([]);
        cases.push((name, json!({ "template": empty }), one("spec.template.spec.containers: Required value")));
    }
    for (name, extra, said) in cases {
        assert_eq!(findings(create(name, workload(extra.clone()))), said, "{name} {extra}");
    }
    let revision = json!({ "metadata": { "name": "r" }, "revision": -1 });
    let said = findings(create("ControllerRevision", revision));
    assert_eq!(said, ["data: Required value: data is mandatory", "revision: Invalid value: -1: must be greater than or equal to 0"]);
}

/// Claims are volumes of the pods to come: a mount may name them.
#[test]
fn claims_can_be_mounted() {
    let mut template = template();
    template["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/d" }]);
    let claims = json!([{ "metadata": { "name": "data" }, "spec": {} }]);
    let set = |claims: Value| findings(create("StatefulSet", workload(json!({ "template": template, "volumeClaimTemplates": claims }))));
    assert_eq!(set(claims), Vec::<String>::new());
    assert_eq!(set(json!([])), ["spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\""]);
}

#[test]
fn updates() {
    for name in ["Deployment", "ReplicaSet", "DaemonSet"] {
        let old = stored(name, workload(json!({})));
        let said = findings(update(name, Part::Main, &old, |o| {
            o["spec"]["selector"]["matchLabels"]["x"] = "y".into();
            o["spec"]["template"]["metadata"]["labels"]["x"] = "y".into();
        }));
        assert_eq!(said, ["spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"x\":\"y\"}}: field is immutable"], "{name}");
        let image = update(name, Part::Main, &old, |o| o["spec"]["template"]["spec"]["containers"][0]["image"] = "j".into()).expect(name);
        assert_eq!(image["metadata"]["generation"], 2, "{name}");
    }
    let old = stored("Deployment", workload(json!({})));
    let noted = update("Deployment", Part::Main, &old, |o| o["metadata"]["annotations"] = json!({ "k": "v" })).expect("good");
    assert_eq!(noted["metadata"]["generation"], 2);
    let labelled = update("Deployment", Part::Main, &old, |o| o["metadata"]["labels"] = json!({ "k": "v" })).expect("good");
    assert_eq!(labelled["metadata"]["generation"], 1);

    let old = stored("DaemonSet", workload(json!({})));
    let mark = |o: &Value| o["metadata"]["annotations"]["deprecated.daemonset.template.generation"].clone();
    let image = update("DaemonSet", Part::Main, &old, |o| o["spec"]["template"]["spec"]["containers"][0]["image"] = "j".into());
    assert_eq!(mark(&image.expect("good")), "2");
    assert_eq!(mark(&update("DaemonSet", Part::Main, &old, |o| o["metadata"]["annotations"] = json!({})).expect("good")), "1");
    assert_eq!(mark(&update("DaemonSet", Part::Status, &old, |o| o["metadata"]["annotations"] = json!({})).expect("good")), "1");

    let old = stored("StatefulSet", workload(json!({})));
    let said = findings(update("StatefulSet", Part::Main, &old, |o| o["spec"]["serviceName"] = "s".into()));
    assert_eq!(
        said,
        [
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
        ]
    );
    assert!(update("StatefulSet", Part::Main, &old, |o| o["spec"]["replicas"] = 3.into()).is_ok());

    let status = json!({ "replicas": 1, "readyReplicas": 2, "availableReplicas": 3 });
    let said = findings(update("Deployment", Part::Status, &stored("Deployment", workload(json!({}))), |o| o["status"] = status));
    assert_eq!(
        said,
        [
            "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
            "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
            "status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
        ]
    );
}

#[test]
fn rows() {
    let now = 0;
    let mut deployment = stored("Deployment", workload(json!({ "replicas": 3 })));
    deployment["status"] = json!({ "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2 });
    let row = (kind("Deployment").row)(&deployment, now);
    assert_eq!(row[..4], [json!("w"), json!("2/3"), json!(1), json!(2)]);
    assert_eq!(row[5..], [json!("c"), json!("i"), json!("a=b")]);
    let set = stored("StatefulSet", workload(json!({ "replicas": 3 })));
    assert_eq!((kind("StatefulSet").row)(&set, now)[1], "0/3");
    let mut daemon = stored("DaemonSet", workload(json!({})));
    daemon["status"]["desiredNumberScheduled"] = 4.into();
    let row = (kind("DaemonSet").row)(&daemon, now);
    assert_eq!((&row[1], &row[6]), (&json!(4), &json!("<none>")));
    let owner = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "w", "uid": "u", "controller": true }]);
    let revision =
        stored("ControllerRevision", json!({ "metadata": { "name": "r", "ownerReferences": owner }, "data": {"spec": 1}, "revision": 2 }));
    assert_eq!((kind("ControllerRevision").row)(&revision, now)[1..3], [json!("statefulset.apps/w"), json!(2)]);
    for name in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision"] {
        let kind = kind(name);
        assert_eq!((kind.row)(&json!({}), now).len(), kind.columns.len(), "{name}");
    }
}
