//! "Deployments", "how it works inside", and the autoscaler's manifest.
use super::{AUTOSCALER, events, place};
use crate::conformance_apps::{Place, holds, name, owner, ready, sleeper, workload};
use serde_json::{Value, json};

const APPS: &str = "apps/v1";

fn deployment(name: &str, replicas: i64) -> Value {
    workload(name, replicas, &sleeper(name))
}

/// Condition and reason.
fn says(object: &Value, kind: &str, status: &str, reason: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|c| c["type"] == kind && c["status"] == status && c["reason"] == reason)
}

/// From the manifest to the container, everybody does his part and says so.
#[test]
fn what_happens_after_a_manifest_is_posted() {
    let mut place = place("chain");
    place.create(APPS, "deployments", &deployment("web", 1));
    let pod = place.until_items("it runs", "v1", "pods", |pods| pods.len() == 1 && ready(&pods[0]))[0].clone();
    let set = place.items(APPS, "replicasets")[0].clone();
    assert_eq!((owner(&set), owner(&pod)), ("Deployment", "ReplicaSet"));
    let (set, pod) = (name(&set), name(&pod));
    assert!(events(&mut place, "web", "ScalingReplicaSet")[0].contains(&format!("replica set {set}")));
    assert_eq!(events(&mut place, &set, "SuccessfulCreate"), [format!("Created pod: {pod}")]);
    assert!(events(&mut place, &pod, "Scheduled")[0].starts_with(&format!("Successfully assigned {}/{pod} to ", place.kubectl.namespace)));
    for reason in ["Pulled", "Created", "Started"] {
        assert_eq!(events(&mut place, &pod, reason).len(), 1, "{reason}");
    }
    // What runs on is not looked at again and again: nothing is written while nothing changes.
    let version = |place: &mut Place| place.get("v1", &format!("pods/{pod}"))["metadata"]["resourceVersion"].clone();
    let before = version(&mut place);
    place.until("the deployment is at rest", APPS, "deployments/web", |d| says(d, "Progressing", "True", "NewReplicaSetAvailable"));
    assert_eq!(version(&mut place), before);
}

/// Processing, complete, failed, and complete again.
#[test]
fn the_states_of_a_deployment() {
    let mut place = place("states");
    let mut web = deployment("web", 2);
    web["spec"]["progressDeadlineSeconds"] = 2.into();
    web["spec"]["minReadySeconds"] = 1.into();
    place.create(APPS, "deployments", &web);
    place.until("it is complete", APPS, "deployments/web", |d| {
        says(d, "Progressing", "True", "NewReplicaSetAvailable") && holds(d, "Available").is_some()
    });
    let row = place.kubectl.ok("get deployment web");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..9], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "web", "2/2", "2", "2"], "{row}");
    place.kubectl.ok("set image deployment/web main=test.local/missing:1");
    place.until("it has failed", APPS, "deployments/web", |d| says(d, "Progressing", "False", "ProgressDeadlineExceeded"));
    assert!(place.kubectl.run("rollout status deployment/web").refused().contains("exceeded its progress deadline"));
    assert!(place.get(APPS, "deployments/web")["status"]["availableReplicas"].as_i64() >= Some(1), "some of the old ones serve");
    place.kubectl.ok("rollout undo deployment/web");
    place.until("it is complete again", APPS, "deployments/web", |d| says(d, "Progressing", "True", "NewReplicaSetAvailable"));

    // One that was complete and whose pods are no longer ready is not available.
    let shy = crate::conformance_apps::shy("shy");
    place.create(APPS, "deployments", &workload("shy", 1, &shy));
    let pod = place.until_items("a pod runs", "v1", "pods?labelSelector=app%3Dshy", |p| {
        p.len() == 1 && p[0]["status"]["containerStatuses"][0]["started"] == true
    });
    place.kubectl.ok(&format!("exec {} -- touch /tmp/ready", name(&pod[0])));
    place.until("it is available", APPS, "deployments/shy", |d| holds(d, "Available").is_some());
    place.kubectl.ok(&format!("exec {} -- rm /tmp/ready", name(&pod[0])));
    place.until("it is not", APPS, "deployments/shy", |d| says(d, "Available", "False", "MinimumReplicasUnavailable"));
}

#[test]
fn the_autoscaler_of_an_old_version() {
    let mut place = Place::at(super::cluster(), "my-namespace");
    let mut target = deployment("my-deployment", 1);
    target["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "10m"}});
    place.create(APPS, "deployments", &target);
    let warned = place.kubectl.feed("apply", AUTOSCALER);
    assert!(warned.stderr.contains("autoscaling/v2beta2 HorizontalPodAutoscaler is deprecated"), "{warned}");
    let scaler = place.get("autoscaling/v2", "horizontalpodautoscalers/my-hpa");
    let spec = &scaler["spec"];
    assert_eq!(
        (&spec["minReplicas"], &spec["maxReplicas"], &spec["scaleTargetRef"]["name"]),
        (&1.into(), &10.into(), &"my-deployment".into())
    );
    assert_eq!(spec["metrics"][0]["resource"], json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}));
    let row = place.kubectl.ok("get hpa my-hpa --no-headers");
    assert!(row.contains("Deployment/my-deployment") && row.contains("/50%"), "{row}");

    // As it is made by hand in the documents.
    place.create(APPS, "deployments", &deployment("foo", 2));
    place.kubectl.ok("autoscale deployment foo --min=2 --max=5 --cpu-percent=80");
    let spec = place.get("autoscaling/v2", "horizontalpodautoscalers/foo")["spec"].clone();
    assert_eq!(
        (&spec["minReplicas"], &spec["maxReplicas"], &spec["metrics"][0]["resource"]["target"]["averageUtilization"]),
        (&2.into(), &5.into(), &80.into())
    );
}
