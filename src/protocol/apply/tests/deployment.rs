//! Managers of a built-in kind.
use super::{Story, conflicts};
use crate::apply::managed::{ApplyError, Reset};
use serde_json::{Value, json};

fn spec(replicas: Option<u32>, image: &str) -> Value {
    let mut spec = json!({
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "main", "image": image, "ports": [{"containerPort": 80}]}]},
        },
    });
    if let Some(replicas) = replicas {
        spec["replicas"] = replicas.into();
    }
    json!({"metadata": {"labels": {"app": "a"}}, "spec": spec})
}

#[test]
fn a_create_is_tracked_as_upstream_does() {
    let mut story = Story::deployment();
    let mut body = spec(Some(1), "nginx");
    body["spec"]["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
    body["spec"]["template"]["spec"]["securityContext"] = json!({});
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({});
    body["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP".into();
    body["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
    body["status"] = json!({});
    story.create("kubectl-create", body);
    let container = json!({
        ".": {}, "f:image": {}, "f:name": {}, "f:resources": {},
        "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}},
    });
    let labels = json!({"f:labels": {".": {}, "f:app": {}}});
    let expected = json!({
        "f:metadata": labels,
        "f:spec": {
            "f:replicas": {}, "f:selector": {},
            "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}},
            "f:template": {
                "f:metadata": labels,
                "f:spec": {"f:containers": {"k:{\"name\":\"main\"}": container}, "f:securityContext": {}, "f:nodeSelector": {}},
            },
        },
    });
    assert_eq!(story.fields("kubectl-create"), expected);
    let entry = &story.entries()[0];
    assert_eq!(entry["apiVersion"], "apps/v1");
    assert_eq!(
        (&entry["operation"], &entry["fieldsType"], &entry["time"]),
        (&"Update".into(), &"FieldsV1".into(), &"2026-01-01T00:00:01Z".into())
    );
}

#[test]
fn a_conflict_in_upstreams_words() {
    let mut story = Story::deployment();
    story.create("kubectl-client-side-apply", spec(Some(1), "nginx"));
    let error = story.apply("me", spec(Some(3), "nginx:2")).unwrap_err();
    let message = "Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n\
                   - .spec.replicas\n- .spec.template.spec.containers[name=\"main\"].image";
    assert_eq!(error.to_string(), message);
    let status = error.to_api_error();
    assert_eq!((status.code, &*status.reason), (409, "Conflict"));
    let cause = &status.details.unwrap().causes[0];
    assert_eq!(cause.reason, "FieldManagerConflict");
    assert_eq!(cause.message, "conflict with \"kubectl-client-side-apply\" using apps/v1");
    assert_eq!(cause.field, ".spec.replicas");
    let one = story.apply("me", spec(Some(3), "nginx")).unwrap_err();
    assert_eq!(one.to_string(), "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas");
    story.force("me", spec(Some(3), "nginx:2"));
    assert_eq!(story.live()["spec"]["replicas"], 3);
    assert_eq!(story.fields("kubectl-client-side-apply")["f:spec"].get("f:replicas"), None);
}

#[test]
fn what_is_no_longer_applied_goes_unless_somebody_else_manages_it() {
    let mut story = Story::deployment();
    let mut body = spec(Some(3), "nginx");
    body["metadata"]["annotations"] = json!({"a": "1", "b": "2"});
    body["spec"]["strategy"] = json!({"type": "Recreate"});
    story.apply("one", body.clone()).unwrap();
    body["metadata"]["annotations"] = json!({"b": "2"});
    body["spec"]["strategy"].take();
    body["spec"].as_object_mut().unwrap().remove("strategy");
    story.apply("two", body.clone()).unwrap();
    body["metadata"].as_object_mut().unwrap().remove("annotations");
    story.apply("one", body).unwrap();
    assert_eq!(story.live()["metadata"]["annotations"], json!({"b": "2"}));
    assert_eq!(story.live()["spec"].get("strategy"), None);
    assert_eq!(story.names(), ["two/Apply", "one/Apply"]);
}

#[test]
fn list_items_are_told_apart_by_keys_and_their_defaults() {
    let mut story = Story::deployment();
    story.apply("one", spec(None, "nginx")).unwrap();
    // What defaulting does.
    story.live.as_mut().unwrap()["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP".into();
    let with_ports = |ports: Value| {
        let containers = json!([{"name": "main", "ports": ports}, {"name": "side", "image": "x"}]);
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    };
    story.apply("two", with_ports(json!([{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "name": "web"}]))).unwrap();
    let ports = |story: &Story| story.live()["spec"]["template"]["spec"]["containers"][0]["ports"].clone();
    let udp = json!({"containerPort": 80, "protocol": "UDP"});
    let tcp = json!({"containerPort": 80, "protocol": "TCP", "name": "web"});
    assert_eq!(ports(&story), json!([udp, tcp]));
    // The second lets go: its own port, name and container leave.
    story.apply("two", with_ports(json!([{"containerPort": 80, "name": "web"}]))).unwrap();
    assert_eq!(ports(&story), json!([tcp]));
    story.apply("two", json!({"spec": {"replicas": 2}})).unwrap();
    assert_eq!(ports(&story), json!([{"containerPort": 80, "protocol": "TCP"}]));
    assert_eq!(story.live()["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 1);
}

#[test]
fn applying_again_changes_nothing() {
    let mut story = Story::deployment();
    story.apply("one", spec(Some(2), "nginx")).unwrap();
    let before = story.live().clone();
    story.apply("one", spec(Some(2), "nginx")).unwrap();
    assert_eq!(*story.live(), before);
    // Neither does an update that updates nothing.
    story.update("two", |_| {});
    assert_eq!(*story.live(), before);
    story.update("two", |o| drop(o["metadata"].as_object_mut().unwrap().remove("managedFields")));
    assert_eq!(*story.live(), before);
}

#[test]
fn sharing_and_giving_up_a_field() {
    let mut story = Story::deployment();
    story.apply("one", spec(Some(2), "nginx")).unwrap();
    story.apply("hpa", json!({"spec": {"replicas": 2}})).unwrap();
    assert_eq!(conflicts(story.apply("hpa", json!({"spec": {"replicas": 5}}))), [".spec.replicas"]);
    story.apply("one", spec(None, "nginx")).unwrap();
    assert_eq!(story.live()["spec"]["replicas"], 2);
    story.apply("hpa", json!({"spec": {"replicas": 5}})).unwrap();
    assert_eq!(story.live()["spec"]["replicas"], 5);
}

#[test]
fn updates_take_over_and_removals_leave_fields_to_nobody() {
    let mut story = Story::deployment();
    story.apply("one", spec(Some(2), "nginx")).unwrap();
    story.update("edit", |o| o["spec"]["replicas"] = 4.into());
    assert_eq!(story.fields("edit"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(story.fields("one")["f:spec"].get("f:replicas"), None);
    assert_eq!(conflicts(story.apply("one", spec(Some(2), "nginx"))), [".spec.replicas"]);
    story.update("edit", |o| drop(o["spec"].as_object_mut().unwrap().remove("replicas")));
    assert_eq!(story.names(), ["one/Apply"]);
    story.apply("one", spec(Some(2), "nginx")).unwrap();
}

#[test]
fn a_status_writer_manages_status_only() {
    let mut story = Story::deployment();
    story.reset = Reset::status();
    let mut body = spec(Some(1), "nginx");
    body["status"] = json!({"replicas": 1});
    story.create("kubectl", body);
    assert_eq!(story.fields("kubectl").get("f:status"), None);
    story.reset = Reset::fields(&[&["spec"], &["metadata", "labels"]]);
    story.subresource = "status";
    story.update("kube-controller-manager", |o| {
        o["spec"]["replicas"] = 9.into();
        o["status"] = json!({"conditions": [{"type": "Available", "status": "True"}], "replicas": 2});
    });
    let condition = json!({".": {}, "f:status": {}, "f:type": {}});
    let expected = json!({"f:status": {"f:conditions": {".": {}, "k:{\"type\":\"Available\"}": condition}, "f:replicas": {}}});
    assert_eq!(story.fields("kube-controller-manager"), expected);
    assert_eq!(story.entries()[1]["subresource"], "status");
}

#[test]
fn from_client_side_to_server_side_apply() {
    let mut story = Story::deployment();
    let mut body = spec(Some(1), "nginx");
    let last = story.whole(body.clone()).to_string();
    body["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    story.create("kubectl-client-side-apply", body);
    // Any other manager conflicts, kubectl upgrades.
    assert_eq!(conflicts(story.apply("other", spec(Some(2), "nginx"))), [".spec.replicas"]);
    story.apply("kubectl", spec(Some(2), "nginx")).unwrap();
    let annotation = &story.live()["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert_eq!(serde_json::from_str::<Value>(annotation.as_str().unwrap()).unwrap()["spec"]["replicas"], 2);
    // What was changed since isn't kubectl's.
    story.update("edit", |o| o["spec"]["replicas"] = 7.into());
    assert_eq!(conflicts(story.apply("kubectl", spec(Some(3), "nginx"))), [".spec.replicas"]);
}

#[test]
fn what_nobody_tracked_is_managed_before_the_first_apply() {
    let mut story = Story::deployment();
    story.create("gone", spec(Some(1), "nginx"));
    story.update("any", |o| o["metadata"]["managedFields"] = json!([{}]));
    story.update("any", |o| o["spec"]["replicas"] = 2.into());
    assert!(story.entries().is_empty());
    let error = story.apply("me", json!({"spec": {"replicas": 3}})).unwrap_err();
    assert_eq!(error.to_string(), "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas");
    story.apply("me", json!({"spec": {"replicas": 2}})).unwrap();
    assert_eq!(story.names(), ["me/Apply", "before-first-apply/Update"]);
}

#[test]
fn bad_configurations() {
    let mut story = Story::deployment();
    let error = story.apply("me", json!({"metadata": {"managedFields": []}})).unwrap_err();
    assert_eq!(error, ApplyError::ManagedFields);
    let error = story.apply("me", json!({"kind": "Pod"})).unwrap_err();
    assert_eq!(error.to_api_error().message, "invalid object type: apps/v1, Kind=Pod");
    let twice = json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}});
    let expected = "failed to create typed patch object (/a; apps/v1, Kind=Deployment): \
                    .spec.template.spec.containers: duplicate entries for key [name=\"a\"]";
    assert_eq!(story.apply("me", twice).unwrap_err().to_string(), expected);
}
