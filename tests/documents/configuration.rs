//! "ConfigMaps and Secrets", "the downward API", "volumes": how settings come into a container, and how they follow.
use super::{container, place};
use crate::conformance_apps::{Place, ready, sleeper};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A sleeping pod with these variables, volumes and mounts.
fn pod(name: &str, env: &Value, volumes: &Value, mounts: &Value) -> Value {
    let mut pod = sleeper(name);
    pod["metadata"]["name"] = name.into();
    pod["spec"]["volumes"] = volumes.clone();
    let main = &mut pod["spec"]["containers"][0];
    main["env"] = env.clone();
    main["volumeMounts"] = mounts.clone();
    pod
}

/// The container's variables.
fn variables(place: &Place, pod: &str) -> BTreeMap<String, String> {
    let text = place.kubectl.ok(&format!("exec {pod} -- env"));
    text.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

/// What stands in a file of the pod `settings`.
fn read(place: &Place, file: &str) -> String {
    place.kubectl.ok(&format!("exec settings -- cat {file}"))
}

#[test]
fn settings_come_as_variables_and_files_and_follow() {
    let mut place = place("settings");
    place.kubectl.ok("create configmap fortune --from-literal=sleep-interval=25 --from-literal=one=two");
    place.kubectl.ok("create secret generic keys --from-literal=password=s3cret");
    let from = |kind: &str, name: &str, key: &str| json!({kind: {"name": name, "key": key}});
    let env = json!([
        {"name": "INTERVAL", "valueFrom": from("configMapKeyRef", "fortune", "sleep-interval")},
        {"name": "PASSWORD", "valueFrom": from("secretKeyRef", "keys", "password")},
        {"name": "BOTH", "value": "$(INTERVAL)/$(PASSWORD)"},
    ]);
    let volumes = json!([
        {"name": "map", "configMap": {"name": "fortune"}}, {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}},
        {"name": "all", "projected": {"sources": [
            {"configMap": {"name": "fortune", "items": [{"key": "one", "path": "deep/one"}]}}, {"secret": {"name": "keys"}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"serviceAccountToken": {"path": "token", "audience": "others"}}]}},
    ]);
    let mounts = json!([{"name": "map", "mountPath": "/map"}, {"name": "keys", "mountPath": "/keys"}, {"name": "all", "mountPath": "/all"},
        {"name": "map", "mountPath": "/single", "subPath": "one"}]);
    let mut object = pod("settings", &env, &volumes, &mounts);
    object["spec"]["containers"][0]["envFrom"] = json!([{"prefix": "CONFIG_", "configMapRef": {"name": "fortune"}}]);
    place.create("v1", "pods", &object);
    place.until("it is ready", "v1", "pods/settings", ready);
    let set = variables(&place, "settings");
    for (name, value) in
        [("INTERVAL", "25"), ("PASSWORD", "s3cret"), ("BOTH", "25/s3cret"), ("CONFIG_one", "two"), ("CONFIG_sleep-interval", "25")]
    {
        assert_eq!(set.get(name).map(String::as_str), Some(value), "{name}");
    }
    for (file, text) in [
        ("/map/sleep-interval", "25"),
        ("/keys/password", "s3cret"),
        ("/all/deep/one", "two"),
        ("/all/password", "s3cret"),
        ("/all/name", "settings"),
        ("/single", "two"),
    ] {
        assert_eq!(read(&place, file), text, "{file}");
    }
    assert_eq!(read(&place, "/all/token").split('.').count(), 3);
    assert!(place.kubectl.ok("exec settings -- ls -lL /keys/password").starts_with("-r--------"));
    assert_eq!(place.get("v1", "pods/settings")["spec"]["serviceAccountName"], "default");

    // One that needs what is not there waits for it, and begins as soon as it comes.
    let env = json!([{"name": "A", "valueFrom": from("configMapKeyRef", "late", "a")}]);
    place.create("v1", "pods", &pod("waiting", &env, &json!([]), &json!([])));
    place.until("it says what is missing", "v1", "pods/waiting", |p| {
        let waiting = &container(p)["state"]["waiting"];
        waiting["reason"] == "CreateContainerConfigError" && waiting["message"] == "configmap \"late\" not found"
    });
    place.kubectl.ok("create configmap late --from-literal=a=b");
    place.until("it begins", "v1", "pods/waiting", ready);

    // Files follow after a while, as a whole; variables don't, and neither does a file that is mounted by itself.
    place.patch("v1", "configmaps/fortune", &json!({"data": {"sleep-interval": "26", "one": "three"}}));
    crate::run::wait_for("the file follows", std::time::Duration::from_secs(90), || {
        (read(&place, "/map/sleep-interval") == "26").then_some(())
    });
    assert_eq!((read(&place, "/map/one"), read(&place, "/single")), ("three".into(), "two".into()));
    assert_eq!(variables(&place, "settings")["INTERVAL"], "25");
}

#[test]
fn what_a_pod_may_know_of_itself() {
    let mut place = place("downward");
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let amount = |name: &str, resource: &str, divisor: &str| json!({"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}});
    let env = json!([
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("POD_IP", "status.podIP"),
        field("NODE_NAME", "spec.nodeName"),
        field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
        amount("CPU_REQUEST_MILLICORES", "requests.cpu", "1m"),
        amount("MEMORY_LIMIT_KIBIBYTES", "limits.memory", "1Ki"),
    ]);
    let item = |path: &str, field: &str| json!({"path": path, "fieldRef": {"fieldPath": field}});
    let request = json!({"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}});
    let items = [item("labels", "metadata.labels"), item("annotations", "metadata.annotations"), item("name", "metadata.name"), request];
    let volumes = json!([{"name": "downward", "downwardAPI": {"items": items}}]);
    let mut object = pod("downward", &env, &volumes, &json!([{"name": "downward", "mountPath": "/etc/downward"}]));
    object["metadata"]["labels"] = json!({"foo": "bar"});
    object["metadata"]["annotations"] = json!({"key1": "value1", "key2": "multi\nline"});
    object["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "15m", "memory": "20Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}});
    place.create("v1", "pods", &object);
    let made = place.until("it is ready", "v1", "pods/downward", ready);
    let set = variables(&place, "downward");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    for (name, value) in [
        ("POD_NAME", "downward".to_string()),
        ("POD_NAMESPACE", place.kubectl.namespace.clone()),
        ("POD_IP", text(&made["status"]["podIP"])),
        ("NODE_NAME", text(&made["spec"]["nodeName"])),
        ("SERVICE_ACCOUNT", "default".into()),
        ("CPU_REQUEST_MILLICORES", "15".into()),
        ("MEMORY_LIMIT_KIBIBYTES", "65536".into()),
    ] {
        assert_eq!(set.get(name), Some(&value), "{name}");
    }
    let read = |file: &str| place.kubectl.ok(&format!("exec downward -- cat /etc/downward/{file}"));
    assert_eq!((read("labels"), read("name"), read("cpu")), ("foo=\"bar\"".into(), "downward".into(), "100".into()));
    assert_eq!(read("annotations"), "key1=\"value1\"\nkey2=\"multi\\nline\"");
}
