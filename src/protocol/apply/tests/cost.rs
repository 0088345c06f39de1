//! What tracking costs. Run it by hand: `cargo test -p impresario-protocol --release cost -- --ignored --nocapture`.
use crate::apply::managed::{Config, Reset, Rules, Writer, apply, track};
use crate::apply::schema::{Schema, builtin};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 2000;

fn measure(what: &str, mut work: impl FnMut()) {
    (0..ROUNDS / 10).for_each(|_| work());
    let start = Instant::now();
    (0..ROUNDS).for_each(|_| work());
    println!("{what:<40} {:>8.2} µs", start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
}

/// Times `track` alone, without the making of the copy that it works on.
fn measure_track(what: &str, schema: &Schema, live: Option<&Value>, new: &Value) {
    let rules = Rules { schema, reset: &Reset::status(), convert: None };
    let writer = Writer { manager: "kubectl", api_version: "v1", subresource: "", time: "2026-01-01T00:00:00Z" };
    let mut spent = Duration::ZERO;
    for _ in 0..ROUNDS {
        let mut copy = new.clone();
        let start = Instant::now();
        track(&rules, live, black_box(&mut copy), &writer);
        spent += start.elapsed();
    }
    println!("{what:<40} {:>8.2} µs", spent.as_secs_f64() * 1e6 / f64::from(ROUNDS));
}

fn pod() -> Value {
    let container = |name: &str| {
        json!({
            "name": name, "image": "nginx:1.27", "imagePullPolicy": "IfNotPresent", "command": ["a", "b"],
            "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": true}],
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        })
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a", "namespace": "default", "labels": {"app": "a", "pod-template-hash": "x"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "1-2-3", "controller": true}]},
        "spec": {"containers": [container("main"), container("side")], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30, "securityContext": {},
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "token"}}]}}]},
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    })
}

#[test]
#[ignore = "a measurement"]
fn cost() {
    let start = Instant::now();
    let schema = builtin("", "v1", "ConfigMap");
    println!("{:<40} {:>8.2} µs", "first schema", start.elapsed().as_secs_f64() * 1e6);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, "data": {"a": "1", "b": "2", "c": "3"}});
    measure_track("ConfigMap create", &schema, None, &map);
    let mut live = map.clone();
    let rules = Rules { schema: &schema, reset: &Reset::Nothing, convert: None };
    let writer = Writer { manager: "kubectl", api_version: "v1", subresource: "", time: "2026-01-01T00:00:00Z" };
    track(&rules, None, &mut live, &writer);
    let mut new = live.clone();
    measure_track("ConfigMap update, nothing new", &schema, Some(&live), &new);
    new["data"]["a"] = "9".into();
    measure_track("ConfigMap update of a key", &schema, Some(&live), &new);

    let schema = builtin("", "v1", "Pod");
    measure_track("Pod create", &schema, None, &pod());
    let rules = Rules { schema: &schema, reset: &Reset::Nothing, convert: None };
    let mut live = pod();
    track(&rules, None, &mut live, &writer);
    let mut new = live.clone();
    measure_track("Pod update, nothing new", &schema, Some(&live), &new);
    new["metadata"]["labels"]["app"] = "b".into();
    measure_track("Pod update of a label", &schema, Some(&live), &new);
    let config = pod();
    let config = Config { object: &config, kind: "Pod", force: true };
    measure("Pod first apply", || drop(black_box(apply(&rules, None, config, &writer))));
    measure("Pod apply onto another's", || drop(black_box(apply(&rules, Some(&live), config, &writer))));
    let applied = apply(&rules, Some(&live), config, &writer).unwrap();
    let mut live = applied.object;
    applied.record.finish(None, &mut live);
    measure("Pod apply again", || drop(black_box(apply(&rules, Some(&live), config, &writer))));
}
