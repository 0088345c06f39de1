use super::api_service::KIND;
use crate::actors::kinds::{begin_create, prepare_create};
use serde_json::{Value, json};

fn create(name: &str, spec: Value) -> Result<Value, String> {
    let body = json!({"metadata": {"name": name}, "spec": spec});
    let checked = KIND.check(body.to_string().as_bytes()).expect("a body of that kind");
    let mut object = checked.value;
    begin_create(&KIND, "", &mut object).map_err(|e| e.message)?;
    prepare_create(&KIND, object, "2026-01-01T00:00:00Z", "uid", *b"abcde").map_err(|e| e.message)
}

#[test]
fn local_ones_are_available_and_others_get_a_port() {
    let local = create("v1.apps", json!({"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}));
    let local = local.unwrap();
    assert_eq!(local["status"]["conditions"][0]["reason"], "Local");
    assert_eq!(KIND.row(&local, 0)[1..3], [json!("Local"), json!("True")]);
    let service = json!({"namespace": "kube-system", "name": "metrics"});
    let spec = json!({"group": "m.io", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100, "service": service});
    let remote = create("v1.m.io", spec).unwrap();
    assert_eq!(remote["spec"]["service"]["port"], 443);
    assert_eq!(KIND.row(&remote, 0)[1..3], [json!("kube-system/metrics"), json!("Unknown")]);
}

#[test]
fn refused() {
    let table = [
        (
            "v1.b.io",
            json!({"group": "a.io", "version": "v1"}),
            "metadata.name: Invalid value: \"v1.b.io\": must be `spec.version+\".\"+spec.group`: \"v1.a.io\"",
        ),
        ("v2.", json!({"version": "v2"}), "spec.group: Required value: only v1 may have an empty group and it better be legacy kube"),
        (
            "v1.a.io",
            json!({"group": "a.io", "version": "v1"}),
            "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
        ),
        (
            "v1.a.io",
            json!({"group": "a.io", "version": "v1", "insecureSkipTLSVerify": true}),
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
        ),
        ("v1.a.io", json!({"group": "a.io", "version": "v1", "service": {"name": "x"}}), "spec.service.namespace: Required value"),
    ];
    for (name, spec, message) in table {
        let error = create(name, spec).expect_err(message);
        assert!(error.contains(message), "{error}");
    }
}
