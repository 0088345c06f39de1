//! "Replication and other controllers", and the chapters on jobs, daemons and what has a name of its own.
use super::{CONTROLLER, JOB, REPLICA_SET, events, place};
use crate::conformance_apps::{Place, holds, name, owner, ready, sleeper, template, workload};
use crate::run::run;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PODS: &str = "pods?labelSelector=app%3Dkubia";

fn names(pods: &[Value]) -> BTreeSet<String> {
    pods.iter().map(name).collect()
}

fn three(pods: &[Value]) -> bool {
    pods.len() == 3 && pods.iter().all(ready)
}

#[test]
fn replicas_are_kept_let_go_and_taken_over() {
    let mut place = place("replicas");
    place.kubectl.feed("create", CONTROLLER).ok();
    let first = place.until_items("three run", "v1", PODS, three);
    place.until("it says so", "v1", "replicationcontrollers/kubia", |c| c["status"]["readyReplicas"] == 3);
    let table = place.kubectl.ok("get rc");
    let row = |n: usize| table.lines().nth(n).unwrap_or_default().split_whitespace().map(String::from).collect::<Vec<_>>();
    assert_eq!(row(0), ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]);
    assert_eq!(row(1)[..4], ["kubia", "3", "3", "3"]);

    // The template is for those that come; those that are there stay as they are.
    place.kubectl.ok("set env rc/kubia COLOUR=blue");
    place.delete("v1", &format!("pods/{}", name(&first[0])));
    let mixed = place.until_items("another came", "v1", PODS, |pods| three(pods) && !names(pods).contains(&name(&first[0])));
    let coloured = |p: &&Value| p["spec"]["containers"][0]["env"][0]["value"] == "blue";
    assert_eq!(mixed.iter().filter(coloured).count(), 1);

    // Another selector: all are let go, and others are made.
    let other = json!({"spec": {"selector": {"app": "other"}, "template": {"metadata": {"labels": {"app": "other"}}}}});
    place.patch("v1", "replicationcontrollers/kubia", &other);
    place.until_items("three others run", "v1", "pods?labelSelector=app%3Dother", three);
    let free = place.until_items("nobody has the first ones", "v1", PODS, |pods| pods.iter().all(|p| owner(p).is_empty()));
    assert_eq!(names(&free), names(&mixed));

    // What replaced controllers takes over who has the labels, and makes none.
    let warned = place.kubectl.feed("apply", REPLICA_SET);
    assert!(warned.stderr.contains("apps/v1beta2 ReplicaSet is deprecated"), "{warned}");
    let taken = place.until_items("they are taken over", "v1", PODS, |pods| pods.iter().all(|p| owner(p) == "ReplicaSet"));
    assert_eq!(names(&taken), names(&free));
    place.kubectl.ok("delete rc kubia --cascade=orphan");
    assert_eq!(place.items("v1", "pods?labelSelector=app%3Dother").len(), 3, "the pods stay");
    place.kubectl.ok("delete rs kubia");
    place.until_items("the set's pods go with it", "v1", PODS, <[Value]>::is_empty);

    // One set for pods of two sorts.
    for env in ["production", "devel"] {
        let mut pod = sleeper("both");
        pod["metadata"] = json!({"name": env, "labels": {"env": env}});
        place.create("v1", "pods", &pod);
    }
    let mut both = workload("both", 2, &sleeper("both"));
    both["spec"]["selector"] = json!({"matchExpressions": [{"key": "env", "operator": "In", "values": ["production", "devel"]}]});
    both["spec"]["template"]["metadata"]["labels"] = json!({"env": "devel"});
    place.create("apps/v1", "replicasets", &both);
    for env in ["production", "devel"] {
        place.until("it is adopted", "v1", &format!("pods/{env}"), |p| owner(p) == "ReplicaSet");
    }
    place.until("there are two", "apps/v1", "replicasets/both", |s| s["status"]["readyReplicas"] == 2);
}

#[test]
fn work_that_ends() {
    let mut place = place("jobs");
    place.kubectl.feed("create", JOB).ok();
    // So many workers until the work is done: they say themselves when that is.
    let mut queue = template("queue", "exit 0");
    queue["spec"]["restartPolicy"] = "Never".into();
    place.create("batch/v1", "jobs", &json!({"metadata": {"name": "queue"}, "spec": {"parallelism": 2, "template": queue}}));
    let always = JOB.replace("OnFailure", "Always");
    let refused = place.kubectl.feed("create", &always).refused();
    assert!(refused.contains("spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""), "{refused}");

    place.until("it is complete", "batch/v1", "jobs/batch-job", |j| holds(j, "Complete").is_some());
    let pods = place.items("v1", "pods?labelSelector=app%3Dbatch-job");
    assert_eq!((pods.len(), &pods[0]["status"]["phase"]), (1, &"Succeeded".into()));
    assert_eq!(pods[0]["status"]["containerStatuses"][0]["restartCount"], 0);
    assert!(place.kubectl.ok("get pods").contains("Completed"));
    assert_eq!(place.kubectl.ok(&format!("logs {}", name(&pods[0]))), "at work\nfinished\n");
    let end = place.until("both are over", "batch/v1", "jobs/queue", |j| holds(j, "Complete").is_some());
    assert_eq!(end["status"]["succeeded"], 2);
}

/// A node that is nobody's machine: what is placed on it waits for ever.
fn guest(place: &mut Place, name: &str) {
    let taints = json!([{"key": "documents", "effect": "NoSchedule"}]);
    let node = json!({"metadata": {"name": name, "labels": {"documents": "guest"}}, "spec": {"taints": taints}});
    assert_eq!(place.client.post("/api/v1/nodes", &node).expect("an answer").status, 201);
}

#[test]
fn daemons_come_with_nodes_and_change_when_told() {
    let mut place = place("daemons");
    let mut set = workload("log", 1, &sleeper("log"));
    set["spec"].as_object_mut().expect("a spec").remove("replicas");
    set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    set["spec"]["template"]["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    place.create("apps/v1", "daemonsets", &set);
    let first = place.until_items("it runs", "v1", "pods", |pods| pods.len() == 1 && ready(&pods[0]));
    guest(&mut place, "documents-guest");
    place.until("it goes to the new node, too", "apps/v1", "daemonsets/log", |s| s["status"]["currentNumberScheduled"] == 2);
    assert_eq!(place.client.delete("/api/v1/nodes/documents-guest").expect("an answer").status, 200);
    place.until_items("it goes with the node", "v1", "pods", |pods| names(pods) == names(&first));

    place.kubectl.ok("set env daemonset/log A=b");
    place.until("the change is seen", "apps/v1", "daemonsets/log", |s| {
        s["status"]["observedGeneration"] == s["metadata"]["generation"] && s["status"]["updatedNumberScheduled"].as_i64().unwrap_or(0) == 0
    });
    assert_eq!(names(&place.items("v1", "pods")), names(&first), "nobody has deleted it");
    place.delete("v1", &format!("pods/{}", name(&first[0])));
    let second =
        place.until_items("it comes again", "v1", "pods", |pods| pods.len() == 1 && ready(&pods[0]) && names(pods) != names(&first));
    assert_eq!(second[0]["spec"]["containers"][0]["env"][0]["name"], "A");
}

#[test]
fn names_that_stay() {
    let mut place = place("names");
    place.create(
        "v1",
        "services",
        &json!({"metadata": {"name": "zk"}, "spec": {"clusterIP": "None", "selector": {"app": "zk"}, "ports": [{"port": 2181}]}}),
    );
    let mut set = workload("zk", 2, &sleeper("zk"));
    set["spec"]["serviceName"] = "zk".into();
    place.create("apps/v1", "statefulsets", &set);
    let first = place.until("the first is ready", "v1", "pods/zk-0", ready);
    place.until("the second is ready", "v1", "pods/zk-1", ready);
    let hosts = place.kubectl.ok("exec zk-0 -- cat /etc/hosts");
    assert!(hosts.contains(&format!("zk-0.zk.{}.svc.cluster.local\tzk-0", place.kubectl.namespace)), "{hosts}");
    place.delete("v1", "pods/zk-0");
    let again = place.until("it is back", "v1", "pods/zk-0", |p| ready(p) && p["metadata"]["uid"] != first["metadata"]["uid"]);
    assert_eq!(again["spec"]["hostname"], "zk-0");
    assert_eq!(place.kubectl.ok("exec zk-0 -- hostname"), "zk-0\n");
    // One of them from outside.
    let line = "expose pod zk-0 --port=2181 --type=NodePort --selector=statefulset.kubernetes.io/pod-name=zk-0";
    run(&mut place.kubectl.command(&line.split(' ').collect::<Vec<_>>())).ok();
    let ends = place.until("it has one end", "v1", "endpoints/zk-0", |e| e["subsets"][0]["addresses"].is_array());
    assert_eq!(ends["subsets"][0]["addresses"].as_array().map(Vec::len), Some(1));
    assert_eq!(ends["subsets"][0]["addresses"][0]["targetRef"]["name"], "zk-0");
    assert!(place.get("v1", "services/zk-0")["spec"]["ports"][0]["nodePort"].as_i64().is_some_and(|p| (30000..=32767).contains(&p)));
    assert!(events(&mut place, "zk", "SuccessfulCreate").iter().any(|m| m.contains("create Pod zk-0 in StatefulSet zk successful")));
}
