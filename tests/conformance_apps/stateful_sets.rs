//! Stateful sets.
use super::*;

const APPS: &str = "apps/v1";

fn set(name: &str, replicas: i64, template: &Value) -> Value {
    let mut set = workload(name, replicas, template);
    set["spec"]["serviceName"] = "none".into();
    set
}

fn next(n: &str) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"next": n}}}}})
}

fn sized(count: i64) -> impl Fn(&Value) -> bool {
    move |s| s["status"]["readyReplicas"].as_i64().unwrap_or(0) == count && s["status"]["replicas"] == count
}

fn names(pods: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = pods.iter().map(name).collect();
    names.sort();
    names
}

fn of(pods: &[Value]) -> Vec<String> {
    let mut list: Vec<(String, String)> =
        pods.iter().map(|p| (name(p), p["metadata"]["annotations"]["next"].as_str().unwrap_or("0").to_string())).collect();
    list.sort();
    list.into_iter().map(|(_, next)| next).collect()
}

#[test]
fn rolling_updates_canaries_and_the_way_back() {
    let mut place = Place::new("stateful-updates");
    place.create(APPS, "statefulsets", &set("db", 3, &sleeper("db")));
    let first = place.until("three are ready", APPS, "statefulsets/db", sized(3));
    assert_eq!(first["status"]["currentRevision"], first["status"]["updateRevision"]);
    // A canary: only what is from the partition on.
    place.patch(APPS, "statefulsets/db", &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}));
    place.patch(APPS, "statefulsets/db", &next("1"));
    let all_ready = |pods: &[Value]| pods.len() == 3 && pods.iter().all(ready);
    place.until_items("the canary", "v1", "pods", |pods| all_ready(pods) && of(pods) == ["0", "0", "1"]);
    let canary = place.get(APPS, "statefulsets/db");
    assert_ne!(canary["status"]["currentRevision"], canary["status"]["updateRevision"]);
    // What goes meanwhile comes back as it was.
    place.delete("v1", "pods/db-0");
    place.until_items("db-0 is back", "v1", "pods", |pods| all_ready(pods) && of(pods) == ["0", "0", "1"]);
    for partition in [1, 0] {
        place.patch(APPS, "statefulsets/db", &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}}));
        let want: Vec<&str> = (0..3).map(|n| if n < partition { "0" } else { "1" }).collect();
        place.until_items("the next phase", "v1", "pods", |pods| all_ready(pods) && of(pods) == want);
    }
    let done =
        place.until("the update is over", APPS, "statefulsets/db", |s| s["status"]["currentRevision"] == s["status"]["updateRevision"]);
    // Back to what was: the old revision serves again.
    place.patch(APPS, "statefulsets/db", &json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    place.until_items("all are back", "v1", "pods", |pods| all_ready(pods) && of(pods) == ["0", "0", "0"]);
    let back = place.until("it is over", APPS, "statefulsets/db", |s| {
        s["status"]["currentRevision"] == s["status"]["updateRevision"] && s["status"]["updateRevision"] != done["status"]["updateRevision"]
    });
    assert_eq!(back["status"]["updateRevision"], first["status"]["updateRevision"]);
    assert_eq!(place.items(APPS, "controllerrevisions").len(), 2);
}

#[test]
fn scaling_is_in_order_and_halts() {
    let mut place = Place::new("stateful-order");
    place.create(APPS, "statefulsets", &set("db", 1, &shy("db")));
    let open = |place: &mut Place, pod: &str| {
        let kubectl = &place.kubectl;
        wait_for("the pod can be entered", SOON, || {
            (kubectl.run(&format!("exec {pod} -- touch /tmp/ready")).code == Some(0)).then_some(())
        });
    };
    open(&mut place, "db-0");
    place.until("one is ready", APPS, "statefulsets/db", sized(1));
    place.kubectl.ok("exec db-0 -- rm /tmp/ready");
    place.until("it is not", APPS, "statefulsets/db", |s| s["status"]["readyReplicas"].as_i64().unwrap_or(0) == 0);
    place.patch(APPS, "statefulsets/db", &json!({"spec": {"replicas": 3}}));
    place.until("it has been seen", APPS, "statefulsets/db", |s| s["status"]["observedGeneration"] == s["metadata"]["generation"]);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(names(&place.items("v1", "pods")), ["db-0"], "a pod was made although its predecessor is unhealthy");
    for pod in ["db-0", "db-1", "db-2"] {
        open(&mut place, pod);
    }
    place.until("three are ready", APPS, "statefulsets/db", sized(3));
    let times: Vec<String> =
        place.items("v1", "pods").iter().map(|p| p["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_string()).collect();
    assert!(times.is_sorted(), "{times:?}");
    // Down again, but an unhealthy one only when it is the first of those.
    for pod in ["db-0", "db-2"] {
        place.kubectl.ok(&format!("exec {pod} -- rm /tmp/ready"));
    }
    place.until("two are not ready", APPS, "statefulsets/db", |s| s["status"]["readyReplicas"] == 1);
    place.patch(APPS, "statefulsets/db", &json!({"spec": {"replicas": 0}}));
    place.until("it has been seen", APPS, "statefulsets/db", |s| s["status"]["observedGeneration"] == s["metadata"]["generation"]);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(names(&place.items("v1", "pods")), ["db-0", "db-1", "db-2"], "a pod was removed although one before it is unhealthy");
    open(&mut place, "db-0");
    for left in [vec!["db-0", "db-1"], vec!["db-0"], vec![]] {
        place.until_items("the highest goes", "v1", "pods", |pods| names(pods).len() <= left.len());
    }
}

#[test]
fn bursts_sizes_and_failed_pods() {
    let mut place = Place::new("stateful-burst");
    let mut burst = set("burst", 3, &shy("burst"));
    burst["spec"]["podManagementPolicy"] = "Parallel".into();
    place.create(APPS, "statefulsets", &burst);
    place.until_items("all are made at once", "v1", "pods", |pods| names(pods) == ["burst-0", "burst-1", "burst-2"]);
    assert_eq!(place.get(APPS, "statefulsets/burst")["status"]["readyReplicas"].as_i64().unwrap_or(0), 0);
    place.patch(APPS, "statefulsets/burst", &json!({"spec": {"replicas": 0}}));
    place.until_items("all go, unready as they are", "v1", "pods", <[Value]>::is_empty);

    place.create(APPS, "statefulsets", &set("one", 1, &sleeper("one")));
    let before = place.until("it is ready", "v1", "pods/one-0", ready);
    place.change_status(APPS, "statefulsets/one");
    place.scale(APPS, "statefulsets/one");
    place.until("four are ready", APPS, "statefulsets/one", sized(4));
    // One that the node has thrown out is made anew, under the same name.
    place.patch("v1", "pods/one-0/status", &json!({"status": {"phase": "Failed", "reason": "Evicted"}}));
    let after = place.until("it is made anew", "v1", "pods/one-0", |pod| ready(pod) && pod["metadata"]["uid"] != before["metadata"]["uid"]);
    assert_eq!(owner(&after), "StatefulSet");
    place.collection(APPS, "statefulsets", &set("x", 0, &sleeper("x")));
}
