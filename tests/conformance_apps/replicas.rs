//! Replica sets and replication controllers.
use super::*;

const APPS: &str = "apps/v1";

fn controller(name: &str, replicas: i64, app: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"app": app}, "template": sleeper(app)}})
}

/// A pod of nobody is adopted; one that loses its label is let go, and replaced.
fn adopts_and_releases(place: &mut Place, group: &str, plural: &str, kind: &str, object: &Value) {
    let mut pod = sleeper("pet");
    pod["metadata"]["name"] = "stray".into();
    place.create("v1", "pods", &pod);
    place.create(group, plural, object);
    place.until("it is adopted", "v1", "pods/stray", |pod| owner(pod) == kind);
    place.patch("v1", "pods/stray", &json!({"metadata": {"labels": {"app": "free"}}}));
    place.until("it is let go", "v1", "pods/stray", |pod| pod["metadata"]["ownerReferences"].is_null());
    place.until_items("another takes its place", "v1", "pods?labelSelector=app%3Dpet", |pods| pods.len() == 1 && owner(&pods[0]) == kind);
}

#[test]
fn replica_sets_adopt_scale_and_tell_their_status() {
    let mut place = Place::new("replicasets");
    adopts_and_releases(&mut place, APPS, "replicasets", "ReplicaSet", &workload("pet", 1, &sleeper("pet")));
    place.until("it is ready", APPS, "replicasets/pet", |s| s["status"]["readyReplicas"] == 1);
    place.change_status(APPS, "replicasets/pet");
    place.scale(APPS, "replicasets/pet");
    place.until("four are available", APPS, "replicasets/pet", |s| s["status"]["availableReplicas"] == 4);
    let patch = json!({"metadata": {"labels": {"test": "patched"}}, "spec": {"replicas": 3, "template": {"spec": {"terminationGracePeriodSeconds": 0}}}});
    let patched = place.patch(APPS, "replicasets/pet", &patch);
    assert_eq!((&patched["metadata"]["labels"]["test"], &patched["spec"]["replicas"]), (&"patched".into(), &3.into()));
    place.until("three are left", APPS, "replicasets/pet", |s| s["status"]["replicas"] == 3);
    place.collection(APPS, "replicasets", &workload("x", 0, &sleeper("x")));
}

#[test]
fn replication_controllers_adopt_scale_and_say_what_fails() {
    let mut place = Place::new("controllers");
    adopts_and_releases(&mut place, "v1", "replicationcontrollers", "ReplicationController", &controller("pet", 1, "pet"));
    place.scale("v1", "replicationcontrollers/pet");
    place.until("four are available", "v1", "replicationcontrollers/pet", |c| c["status"]["availableReplicas"] == 4);
    place.change_status("v1", "replicationcontrollers/pet");
    place.collection("v1", "replicationcontrollers", &controller("x", 0, "x"));
    place.delete("v1", "replicationcontrollers/pet?propagationPolicy=Background");
    place.until_items("its pods are gone", "v1", "pods?labelSelector=app%3Dpet", <[Value]>::is_empty);
    place.delete("v1", "pods/stray");
    place.until_items("all are gone", "v1", "pods", <[Value]>::is_empty);

    place.create("v1", "resourcequotas", &json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "2"}}}));
    place.until("the quota is counted", "v1", "resourcequotas/few", |q| q["status"]["hard"]["pods"] == "2");
    place.create("v1", "replicationcontrollers", &controller("many", 3, "many"));
    let told = place.until("it says what fails", "v1", "replicationcontrollers/many", |c| holds(c, "ReplicaFailure").is_some());
    assert_eq!(holds(&told, "ReplicaFailure").as_deref(), Some("FailedCreate"));
    place.patch("v1", "replicationcontrollers/many", &json!({"spec": {"replicas": 2}}));
    place.until("it is content", "v1", "replicationcontrollers/many", |c| {
        holds(c, "ReplicaFailure").is_none() && c["status"]["replicas"] == 2
    });
}

#[test]
fn every_replica_of_a_set_serves_its_own_name() {
    let mut place = Place::new("replicasets-serve");
    let mut pod = sleeper("kubia");
    pod["spec"] = json!({"containers": [{"name": "kubia", "image": "impresario.local/kubia", "ports": [{"containerPort": 8080}]}]});
    place.create(APPS, "replicasets", &workload("kubia", 2, &pod));
    place.until("both are ready", APPS, "replicasets/kubia", |s| s["status"]["readyReplicas"] == 2);
    let pods = place.until_items("there are two", "v1", "pods", |pods| pods.len() == 2);
    for pod in &pods {
        let name = pod["metadata"]["name"].as_str().expect("a name");
        let path = place.path("v1", &format!("pods/{name}:8080/proxy/"));
        let text = wait_for("it listens", SOON, || place.client.get(&path).ok().filter(|answer| answer.status == 200));
        assert_eq!(String::from_utf8_lossy(&text.body).trim(), format!("You've hit {name}"));
    }
}
