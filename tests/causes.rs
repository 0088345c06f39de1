//! The causal log as people ask it: why a pod was made, where it went and why, what came in place of it; also after a restart.
use crate::cluster::{Cluster, Options};
use crate::kubectl::newest;
use crate::run::wait_for;
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// A node that only the scheduler believes in.
const NODE: &str = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "paper"}}"#;
const CAPACITY: &str = r#"{"status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "10"}, "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"},
  "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}]}}"#;

#[test]
fn the_log_tells_why() {
    let cluster = Cluster::start(Options { name: "causes", no_node: true, ..Options::default() });
    let kubectl = cluster.kubectl(newest(), "default");
    kubectl.feed("create", NODE).ok();
    kubectl.ok_words(&["patch", "node", "paper", "--subresource=status", "--type=merge", "-p", CAPACITY]);
    kubectl.ok("create deployment web --image=nginx --replicas=2");
    let pods = || {
        let all = kubectl.json("get pods -l app=web");
        let bound = all["items"].as_array().into_iter().flatten().filter(|p| p["spec"]["nodeName"] == "paper");
        bound.filter_map(|p| p["metadata"]["name"].as_str().map(str::to_string)).collect::<Vec<_>>()
    };
    let first = wait_for("two pods on the node", SOON, || Some(pods()).filter(|p| p.len() == 2));
    let gone = &first[0];
    kubectl.ok(&format!("delete pod {gone} --grace-period=0 --force"));
    let second = wait_for("another pod", SOON, || pods().into_iter().find(|p| !first.contains(p)));

    let why = |object: &str| cluster.impresario(&format!("why {object}")).ok();
    // The scheduler may be done before the controller has told what its creation came to.
    let told = |story: &String| story.contains("default-scheduler") && story.contains("replicaset");
    let story = wait_for("the story of the new pod", SOON, || Some(why(&format!("pod/{second}"))).filter(told));
    assert!(story.contains(&format!("because pod/{gone} was deleted")), "the cause is the deletion of {gone}:\n{story}");
    assert!(story.contains(&format!("did create pod/{second}")), "{story}");
    assert!(story.contains("paper: score"), "where it went, and why:\n{story}");
    assert!(story.contains("made by replicaset/web-") && story.contains("made by deployment/web"), "back to the beginning:\n{story}");
    assert!(why(&format!("po/{gone}")).contains("paper: score"), "it is gone and has its story still");

    // What a status decides is on record; what it counts is not.
    kubectl.ok("create job sum --image=nginx");
    let summing = wait_for("the job's pod", SOON, || {
        let pods = kubectl.json("get pods -l job-name=sum");
        pods["items"].as_array()?.iter().find(|p| p["spec"]["nodeName"] == "paper")?["metadata"]["name"].as_str().map(str::to_string)
    });
    kubectl.ok(&format!("patch pod {summing} --subresource=status --type=merge -p {{\"status\":{{\"phase\":\"Succeeded\"}}}}"));
    let reached = "Reached expected number of succeeded pods";
    let story = wait_for("the job's end", SOON, || Some(why("job/sum")).filter(|s| s.contains(reached)));
    assert!(story.contains("did patch job/sum"), "{story}");
    kubectl.ok("delete job sum");

    kubectl.ok("scale deployment web --replicas=12");
    let stuck = wait_for("a pod that does not fit", SOON, || {
        let all = kubectl.json("get pods -l app=web --field-selector spec.nodeName=");
        let told = |p: &&Value| p["status"]["conditions"].as_array().is_some_and(|c| c.iter().any(|c| c["reason"] == "Unschedulable"));
        all["items"].as_array()?.iter().find(told)?["metadata"]["name"].as_str().map(str::to_string)
    });
    let story = wait_for("the refusal", SOON, || Some(why(&format!("pod/{stuck}"))).filter(|s| s.contains("Too many pods")));
    assert!(story.contains("0/1 nodes are available: 1 Too many pods."), "{story}");

    kubectl.ok("create priorityclass high --value=1000");
    kubectl.ok("run vip --image=nginx --overrides={\"spec\":{\"priorityClassName\":\"high\"}}");
    let victim = wait_for("a pod that makes room", SOON, || {
        let all = kubectl.json("get pods -l app=web");
        let leaves = |p: &&Value| !p["metadata"]["deletionTimestamp"].is_null();
        all["items"].as_array()?.iter().find(leaves)?["metadata"]["name"].as_str().map(str::to_string)
    });
    let told = format!("Pre-empts {victim} on paper");
    let story = wait_for("who took its place", SOON, || Some(why(&format!("pod/{victim}"))).filter(|s| s.contains(&told)));
    assert!(story.contains("pod/vip") && story.contains(&format!("did delete pod/{victim}")), "{story}");

    cluster.kill();
    cluster.spawn();
    cluster.wait_ready();
    assert!(why(&format!("pod/{gone}")).contains("paper: score"), "the log outlives the server");
    let listed = kubectl.ok(&format!("get decisions -o wide --field-selector involves=pods/{gone}"));
    assert!(listed.contains("default-scheduler") && listed.contains("replicaset"), "{listed}");
    let refused = cluster.impresario("why nonsense/x").refused();
    assert!(refused.contains("the server doesn't have a resource type \"nonsense\""), "{refused}");
    let refused = kubectl.run("get decisions --field-selector involves=web").refused();
    assert!(refused.contains("involves=web: it takes a resource and a name"), "{refused}");
}
