//! `status`, `scale`, `binding`.
use super::{Place, map, pod};
use serde_json::{Value, json};

fn controller(replicas: i64) -> Value {
    let template = json!({ "metadata": { "labels": { "app": "none" } }, "spec": pod("x")["spec"] });
    json!({ "metadata": { "name": "rc" }, "spec": { "replicas": replicas, "selector": { "app": "none" }, "template": template } })
}

#[tokio::test]
async fn status_and_specification_keep_apart() {
    let place = Place::new().await;
    let pods = place.path("pods");
    let mut body = pod("p");
    body["status"] = json!({ "phase": "Running" });
    let made = place.api.post(&pods, &body).await.ok();
    assert_eq!((&made["status"]["phase"], &made["metadata"]["generation"]), (&json!("Pending"), &json!(1)));
    let path = format!("{pods}/p");
    let both = json!({
        "metadata": { "annotations": { "seen": "yes" } },
        "status": { "phase": "Running" }, "spec": { "containers": [{ "name": "c", "image": "other" }] },
    });
    let patched = place.api.patch(&format!("{path}/status"), "merge", &both).await.ok();
    assert_eq!((&patched["status"]["phase"], &patched["spec"]["containers"][0]["image"]), (&json!("Running"), &json!("i")));
    assert_eq!((&patched["metadata"]["annotations"]["seen"], &patched["metadata"]["generation"]), (&json!("yes"), &json!(1)));
    let mut whole = patched.clone();
    whole["status"]["phase"] = "Failed".into();
    whole["metadata"]["labels"]["app"] = "y".into();
    let put = place.api.put(&path, &whole).await.ok();
    assert_eq!((&put["status"]["phase"], &put["metadata"]["labels"]["app"]), (&json!("Running"), &json!("y")));
    assert_eq!(place.api.get(&format!("{path}/status")).await.ok(), put);
}

#[tokio::test]
async fn scale_reads_writes_and_refuses() {
    let place = Place::new().await;
    let path = format!("{}/rc", place.path("replicationcontrollers"));
    place.api.post(&place.path("replicationcontrollers"), &controller(0)).await.ok();
    let scale = place.api.get(&format!("{path}/scale")).await.ok();
    assert_eq!((&scale["kind"], &scale["apiVersion"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!("autoscaling/v1"), &json!(0)));
    assert_eq!(scale["status"]["selector"], "app=none");
    let mut wanted = scale.clone();
    wanted["spec"]["replicas"] = 2.into();
    wanted["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
    assert_eq!(place.api.put(&format!("{path}/scale"), &wanted).await.ok()["spec"]["replicas"], 2);
    let object = place.api.get(&path).await.ok();
    assert_eq!((&object["spec"]["replicas"], &object["metadata"]["generation"]), (&json!(2), &json!(2)));
    assert_eq!(place.api.patch(&format!("{path}/scale"), "merge", &json!({ "spec": { "replicas": 1 } })).await.ok()["spec"]["replicas"], 1);
    // A number in quotes is no number, and least of all zero.
    place.api.patch(&format!("{path}/scale"), "merge", &json!({ "spec": { "replicas": "5" } })).await.refused(400, "BadRequest");
    wanted["spec"]["replicas"] = "5".into();
    place.api.put(&format!("{path}/scale"), &wanted).await.refused(400, "BadRequest");
    wanted["spec"]["replicas"] = (-1).into();
    let refused = place.api.put(&format!("{path}/scale"), &wanted).await.refused(422, "Invalid");
    assert!(refused.contains("spec.replicas: Invalid value: -1: must be greater than or equal to 0"), "{refused}");
    wanted["spec"]["replicas"] = 3.into();
    wanted["metadata"]["resourceVersion"] = "1".into();
    place.api.put(&format!("{path}/scale"), &wanted).await.refused(409, "Conflict");
    assert_eq!(place.api.get(&path).await.ok()["spec"]["replicas"], 1);
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let place = Place::new().await;
    let pods = place.path("pods");
    place.api.post(&pods, &pod("p")).await.ok();
    let bind = |node: &str| json!({ "kind": "Binding", "apiVersion": "v1", "metadata": { "name": "p" }, "target": { "kind": "Node", "name": node } });
    let path = format!("{pods}/p/binding");
    let missing = place.api.post(&path, &bind("")).await.refused(422, "Invalid");
    assert!(missing.contains("target.name: Required value"), "{missing}");
    let bound = place.api.post(&path, &bind("n1")).await;
    assert_eq!((bound.status, &bound.json()["status"]), (201, &json!("Success")));
    let object = place.api.get(&format!("{pods}/p")).await.ok();
    assert_eq!((&object["spec"]["nodeName"], &object["status"]["conditions"][0]["type"]), (&json!("n1"), &json!("PodScheduled")));
    let twice = place.api.post(&path, &bind("n2")).await.refused(409, "Conflict");
    assert_eq!(twice, "Operation cannot be fulfilled on pods \"p\": pod p is already assigned to node \"n1\"");
    // Bound, it has a grace period; without one it goes at once, and is answered with itself.
    let marked = place.api.delete(&format!("{pods}/p")).await.ok();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let gone = place.api.delete(&format!("{pods}/p?gracePeriodSeconds=0")).await.ok();
    assert_eq!(gone["kind"], "Pod");
    place.api.get(&format!("{pods}/p")).await.refused(404, "NotFound");
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist() {
    let place = Place::new().await;
    place.map("m", "1", Value::Null).await;
    let plain = "the server could not find the requested resource";
    for path in
        ["/api/v1/namespaces/default/nonsense", "/apis/no.such/v1/things", "/api/v2/pods", "/apis/apps/v1beta9/replicasets", "/nonsense"]
    {
        assert_eq!(place.api.get(path).await.refused(404, "NotFound"), plain, "{path}");
    }
    place.api.get(&format!("{}/m/scale", place.maps)).await.refused(404, "NotFound");
    place.api.get("/api/v1/namespaces/default/nodes").await.refused(404, "NotFound");
    place.api.delete("/api/v1/namespaces").await.refused(405, "MethodNotAllowed");
    place.api.post("/api/v1/configmaps", &map("x", "1", Value::Null)).await.refused(405, "MethodNotAllowed");
    place.api.post(&format!("{}/m", place.maps), &map("m", "1", Value::Null)).await.refused(405, "MethodNotAllowed");
    place.api.put(&place.maps, &map("m", "1", Value::Null)).await.refused(405, "MethodNotAllowed");
    place.api.delete(&format!("{}/p/status", place.path("pods"))).await.refused(405, "MethodNotAllowed");
    place.api.post("/version", &json!({})).await.refused(405, "MethodNotAllowed");
}
