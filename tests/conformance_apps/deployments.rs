//! Deployments.
use super::*;

const APPS: &str = "apps/v1";

fn available(count: i64) -> impl Fn(&Value) -> bool {
    move |d| {
        let all = ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|f| d["status"][*f] == count);
        all && d["status"]["observedGeneration"] == d["metadata"]["generation"]
    }
}

fn next(image: &str) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"next": image}}}}})
}

#[test]
fn lifecycle_status_and_scale() {
    let mut place = Place::new("deployments");
    place.create(APPS, "deployments", &workload("web", 1, &sleeper("web")));
    place.until("one is available", APPS, "deployments/web", available(1));
    place.change_status(APPS, "deployments/web");
    place.scale(APPS, "deployments/web");
    place.until("four are available", APPS, "deployments/web", available(4));
    place.patch(APPS, "deployments/web", &json!({"metadata": {"labels": {"patched": "yes"}}, "spec": {"replicas": 2}}));
    let listed = place.items(APPS, "deployments?labelSelector=patched%3Dyes");
    assert_eq!(listed.len(), 1);
    place.delete(APPS, "deployments/web");
    place.until_items("the pods are gone", "v1", "pods", <[Value]>::is_empty);
    place.collection(APPS, "deployments", &workload("web", 0, &sleeper("web")));
}

#[test]
fn rolling_and_recreating() {
    let mut place = Place::new("strategies");
    // A replica set of before is taken over and its pods are replaced.
    place.create(APPS, "replicasets", &{
        let mut set = workload("before", 1, &sleeper("web"));
        set["metadata"]["labels"] = json!({"app": "web"});
        set
    });
    place.until("the old pod is ready", APPS, "replicasets/before", |s| s["status"]["readyReplicas"] == 1);
    let mut second = sleeper("web");
    second["metadata"]["annotations"] = json!({"next": "1"});
    place.create(APPS, "deployments", &workload("web", 1, &second));
    place.until("the new pod is there", APPS, "deployments/web", available(1));
    let old = place.until("the old set is empty", APPS, "replicasets/before", |s| s["status"]["replicas"] == 0);
    assert_eq!(owner(&old), "Deployment");

    let mut fresh = workload("fresh", 2, &sleeper("fresh"));
    fresh["spec"]["strategy"] = json!({"type": "Recreate"});
    place.create(APPS, "deployments", &fresh);
    place.until("two are available", APPS, "deployments/fresh", available(2));
    place.patch(APPS, "deployments/fresh", &next("2"));
    // Whenever one looks, only pods of one template run.
    let pods = place.until_items("both are new", "v1", "pods?labelSelector=app%3Dfresh", |pods| {
        let hashes: std::collections::BTreeSet<&str> =
            pods.iter().filter(|p| running(p)).filter_map(|p| p["metadata"]["labels"]["pod-template-hash"].as_str()).collect();
        assert!(hashes.len() <= 1, "pods of two templates run together");
        pods.len() == 2 && pods.iter().all(|p| ready(p) && p["metadata"]["annotations"]["next"] == "2")
    });
    assert_eq!(pods.len(), 2);
}

#[test]
fn rollover_history_and_proportional_scaling() {
    let mut place = Place::new("rollover");
    let mut web = workload("web", 2, &sleeper("web"));
    web["spec"]["revisionHistoryLimit"] = 0.into();
    place.create(APPS, "deployments", &web);
    place.until("two are available", APPS, "deployments/web", available(2));
    // Three templates in a row, without waiting.
    for n in ["1", "2", "3"] {
        place.patch(APPS, "deployments/web", &next(n));
    }
    place.until("the last is everywhere", APPS, "deployments/web", available(2));
    let sets = place.until_items("no old set is kept", APPS, "replicasets", |sets| sets.len() == 1);
    assert_eq!(sets[0]["spec"]["template"]["metadata"]["annotations"]["next"], "3");

    let mut many = workload("many", 4, &sleeper("many"));
    many["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}});
    place.create(APPS, "deployments", &many);
    place.until("four are available", APPS, "deployments/many", available(4));
    let broken = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "test.local/missing:1", "imagePullPolicy": "Never"}]}}}});
    place.patch(APPS, "deployments/many", &broken);
    let sizes = |sets: &[Value]| {
        let mut sizes: Vec<i64> =
            sets.iter().filter(|s| s["metadata"]["labels"]["app"] == "many").filter_map(|s| s["spec"]["replicas"].as_i64()).collect();
        sizes.sort_unstable();
        sizes
    };
    place.until_items("the rollout is stuck at 3 and 3", APPS, "replicasets", |sets| sizes(sets) == [3, 3]);
    place.patch(APPS, "deployments/many", &json!({"spec": {"replicas": 10}}));
    // 10 and 2 more, shared half and half.
    place.until_items("both have grown", APPS, "replicasets", |sets| sizes(sets) == [6, 6]);
}

/// One that has ended is no longer in anybody's way, though it may be listed still.
fn running(pod: &Value) -> bool {
    !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
