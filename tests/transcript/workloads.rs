//! Nodes, the kubia ReplicationController, scaling, and pods that come back.
use super::with_each_kubectl;
use crate::cluster::shared;
use crate::kubectl::{Kubectl, newest};
use crate::run::{run, wait_for};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn the_quickstart_runs_by_itself() {
    let kubectl = shared().kubectl(newest(), "default");
    let pods = running_pods(&kubectl, 3);
    hit(&pods);
}

#[test]
fn a_replication_controller_keeps_its_pods() {
    with_each_kubectl("workloads", |kubectl| {
        let node = kubectl.ok("get nodes -o wide");
        assert!(node.lines().count() == 2 && node.contains(" Ready "), "{node}");
        assert!(node.contains("impresario://"), "{node}");

        kubectl.ok(&format!("create -f {}/config/quickstart/kubia.yaml", env!("CARGO_MANIFEST_DIR")));
        let pods = running_pods(kubectl, 3);
        hit(&pods);

        assert!(kubectl.ok("scale rc kubia --replicas=5").contains("scaled"));
        running_pods(kubectl, 5);
        wait_for("the controller says so", SOON, || {
            let words: Vec<String> = kubectl.ok("get rc kubia --no-headers").split_whitespace().map(Into::into).collect();
            (words[1..4] == ["5", "5", "5"]).then_some(())
        });

        let victim = &pods[0].0;
        kubectl.ok(&format!("delete pod {victim}"));
        let after = running_pods(kubectl, 5);
        assert!(after.iter().all(|(name, _)| name != victim), "{victim} is still there");

        // A pod that loses its label is let go, and replaced.
        let freed = &after[0].0;
        kubectl.ok(&format!("label pod {freed} app=free --overwrite"));
        let others = wait_for("five pods beside the freed one", SOON, || {
            let names = names(&kubectl.json("get pods -l app=kubia"));
            (names.len() == 5 && !names.contains(freed)).then_some(names)
        });
        assert!(kubectl.json(&format!("get pod {freed}"))["metadata"]["ownerReferences"].is_null());
        assert_eq!(others.len(), 5);

        kubectl.ok("delete rc kubia");
        wait_for("the controller's pods are gone, the freed one stays", SOON, || {
            (names(&kubectl.json("get pods")) == BTreeSet::from([freed.clone()])).then_some(())
        });
        kubectl.ok(&format!("delete pod {freed}"));
    });
}

/// Waits until exactly `count` pods labelled app=kubia run; their names and addresses.
fn running_pods(kubectl: &Kubectl, count: usize) -> Vec<(String, String)> {
    let pods = wait_for(&format!("{count} kubia pods Running in {}", kubectl.namespace), SOON, || {
        let list = kubectl.json("get pods -l app=kubia");
        let pods: Vec<(String, String)> = list["items"].as_array()?.iter().filter_map(running).collect();
        (pods.len() == count && names(&list).len() == count).then_some(pods)
    });
    let addresses: BTreeSet<&str> = pods.iter().map(|(_, ip)| ip.as_str()).collect();
    assert_eq!(addresses.len(), count, "pods share addresses: {pods:?}");
    let wide = kubectl.ok("get pods -o wide");
    assert!(pods.iter().all(|(name, ip)| wide.lines().any(|l| l.contains(name) && l.contains(ip) && l.contains("Running"))), "{wide}");
    pods
}

/// Name and address of a pod that runs, is ready and is not going away.
fn running(pod: &Value) -> Option<(String, String)> {
    let status = &pod["status"];
    let ready = status["containerStatuses"].as_array()?.iter().all(|c| c["ready"] == true);
    let running = status["phase"] == "Running" && ready && pod["metadata"]["deletionTimestamp"].is_null();
    running.then(|| (text(&pod["metadata"]["name"]), text(&status["podIP"])))
}

fn names(list: &Value) -> BTreeSet<String> {
    list["items"].as_array().into_iter().flatten().map(|pod| text(&pod["metadata"]["name"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

/// Every pod answers at its own address, with its own name.
fn hit(pods: &[(String, String)]) {
    for (name, ip) in pods {
        let answer = run(Command::new("curl").args(["--silent", "--show-error", "--max-time", "5", &format!("http://{ip}:8080")])).ok();
        assert_eq!(answer.trim(), format!("You've hit {name}"));
    }
}
