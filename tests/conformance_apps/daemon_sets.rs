//! Daemon sets and their revisions. The node's labels are of this test alone.
use super::*;

const APPS: &str = "apps/v1";

fn daemon(name: &str, template: &Value) -> Value {
    let mut set = workload(name, 0, template);
    set["spec"].as_object_mut().expect("a spec").remove("replicas");
    set
}

fn image_of(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

fn other_image() -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": crate::busybox::DOCKER_IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "trap exit TERM; while true; do sleep 0.2; done"]}]}}}})
}

fn rolled_out(set: &Value) -> bool {
    set["status"]["observedGeneration"] == set["metadata"]["generation"]
        && set["status"]["updatedNumberScheduled"] == 1
        && set["status"]["numberAvailable"] == 1
}

#[test]
fn simple_daemons_come_back_and_follow_their_template() {
    let mut place = Place::new("daemons");
    place.create(APPS, "daemonsets", &daemon("log", &sleeper("log")));
    place.until("it runs", APPS, "daemonsets/log", rolled_out);
    let first = place.items("v1", "pods")[0].clone();
    place.delete("v1", &format!("pods/{}", name(&first)));
    let others = |pods: &[Value]| pods.len() == 1 && ready(&pods[0]) && pods[0]["metadata"]["uid"] != first["metadata"]["uid"];
    let second = place.until_items("another takes its place", "v1", "pods", others)[0].clone();
    // One that has failed is made anew.
    place.patch("v1", &format!("pods/{}/status", name(&second)), &json!({"status": {"phase": "Failed"}}));
    let fresh = |pods: &[Value]| pods.len() == 1 && ready(&pods[0]) && pods[0]["metadata"]["uid"] != second["metadata"]["uid"];
    place.until_items("a failed one is replaced", "v1", "pods", fresh);
    place.change_status(APPS, "daemonsets/log");

    place.patch(APPS, "daemonsets/log", &other_image());
    place.until("the update is over", APPS, "daemonsets/log", rolled_out);
    place.until_items("the image is the new one", "v1", "pods", |pods| {
        pods.len() == 1 && image_of(&pods[0]) == crate::busybox::DOCKER_IMAGE
    });
    // What was there before the last update and works is not started anew by a rollback to it.
    let settled = place.until_items("it is ready", "v1", "pods", |pods| pods.len() == 1 && ready(&pods[0]))[0].clone();
    let broken = json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"spec": {"containers": [{"name": "main", "image": "test.local/missing:1", "imagePullPolicy": "Never"}]}}}});
    place.patch(APPS, "daemonsets/log", &broken);
    place.until_items("the new one waits beside", "v1", "pods", |pods| pods.len() == 2);
    place.kubectl.ok("rollout undo daemonset/log");
    let left = place.until_items("the new one is gone", "v1", "pods", |pods| pods.len() == 1);
    assert_eq!(left[0]["metadata"]["uid"], settled["metadata"]["uid"], "a pod was restarted for nothing");
    place.collection(APPS, "daemonsets", &{
        let mut nowhere = daemon("x", &sleeper("x"));
        nowhere["spec"]["template"]["spec"]["nodeSelector"] = json!({"nobody": "here"});
        nowhere
    });
}

#[test]
fn complex_daemons_follow_the_labels_of_nodes() {
    let mut place = Place::new("daemons-complex");
    let mut set = daemon("log", &sleeper("log"));
    set["spec"]["template"]["spec"]["nodeSelector"] = json!({"apps-conformance/colour": "blue"});
    place.create(APPS, "daemonsets", &set);
    place.until("no node suits", APPS, "daemonsets/log", |s| {
        s["status"]["observedGeneration"] == 1 && s["status"]["desiredNumberScheduled"] == 0
    });
    place.kubectl.ok("label nodes --all apps-conformance/colour=blue");
    place.until("it runs", APPS, "daemonsets/log", |s| s["status"]["numberReady"] == 1);
    place.kubectl.ok("label nodes --all apps-conformance/colour=green --overwrite");
    place.until_items("it goes", "v1", "pods", <[Value]>::is_empty);
    let green = json!({"spec": {"template": {"spec": {"nodeSelector": {"apps-conformance/colour": "green"}}}}});
    place.patch(APPS, "daemonsets/log", &green);
    place.until("it runs again", APPS, "daemonsets/log", |s| s["status"]["numberReady"] == 1 && s["status"]["updatedNumberScheduled"] == 1);
    place.kubectl.ok("label nodes --all apps-conformance/colour-");
}

#[test]
fn controller_revisions_live_with_their_set() {
    let mut place = Place::new("revisions");
    let mut set = daemon("log", &sleeper("log"));
    set["metadata"]["labels"] = json!({"app": "log"});
    place.create(APPS, "daemonsets", &set);
    place.until("it runs", APPS, "daemonsets/log", rolled_out);
    let all = "controllerrevisions?labelSelector=app%3Dlog";
    let first = place.until_items("one revision", APPS, all, |list| list.len() == 1)[0].clone();
    assert_eq!((owner(&first), &first["revision"]), ("DaemonSet", &1.into()));
    let path = format!("controllerrevisions/{}", name(&first));
    let patched = place.patch(APPS, &path, &json!({"metadata": {"labels": {"patched": "yes"}}}));
    assert_eq!(patched["metadata"]["labels"]["patched"], "yes");
    let mut second = json!({"metadata": {"name": "by-hand", "labels": first["metadata"]["labels"], "ownerReferences": first["metadata"]["ownerReferences"]},
        "data": first["data"], "revision": 2});
    second["metadata"]["labels"]["by"] = "hand".into();
    place.create(APPS, "controllerrevisions", &second);
    place.until_items("two revisions", APPS, all, |list| list.len() == 2);
    place.delete(APPS, &path);
    place.until_items("one is left, or made again", APPS, all, |list| {
        !list.is_empty() && list.iter().all(|r| r["metadata"]["uid"] != first["metadata"]["uid"])
    });
    place.patch(APPS, "daemonsets/log", &other_image());
    place.until("the update is over", APPS, "daemonsets/log", rolled_out);
    let latest = place.until_items("a third revision", APPS, all, |list| list.iter().any(|r| r["revision"] == 3));
    assert!(latest.len() >= 2, "{latest:?}");
    place.delete(APPS, "controllerrevisions?labelSelector=by%3Dhand");
    place.until_items("the latest stays", APPS, all, |list| list.len() == 1 && list[0]["revision"] == 3);
}
