//! What is done with deployments and nodes by hand: rollouts forth and back, pauses, sizes, drains, taints, and the three ways to delete.
//! One node for all scenes: those that change it wait for one another.
use super::with_each_kubectl;
use crate::busybox::IMAGE;
use crate::cluster::{Cluster, Options};
use crate::kubectl::{Kubectl, newest, tools};
use crate::run::{wait, wait_for};
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const KUBIA: &str = "impresario.local/kubia:latest";

#[test]
fn a_rollout_and_the_way_back() {
    with_each_kubectl("rollouts", |kubectl| {
        assert_eq!(kubectl.ok(&format!("create deployment web --image={KUBIA} --replicas=2")).trim(), "deployment.apps/web created");
        let status = kubectl.ok("rollout status deployment/web --timeout=60s");
        assert!(status.ends_with("deployment \"web\" successfully rolled out\n"), "{status}");
        kubectl.ok_words(&["annotate", "deployment/web", "kubernetes.io/change-cause=the first"]);

        // An image that is not there: the rollout waits, and what ran keeps running.
        kubectl.ok("set image deployment/web kubia=impresario.local/missing:1");
        let waiting = kubectl.run("rollout status deployment/web --timeout=3s");
        assert!(
            waiting.stdout.contains("Waiting for deployment \"web\" rollout to finish: 1 out of 2 new replicas have been updated"),
            "{waiting}"
        );
        assert_eq!(kubectl.json("get deployment web")["status"]["availableReplicas"], 2);
        let history = kubectl.ok("rollout history deployment/web");
        let rows: Vec<&str> = history.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_digit())).collect();
        assert_eq!(rows.len(), 2, "{history}");
        assert!(kubectl.ok("rollout history deployment/web --revision=2").contains("impresario.local/missing:1"));

        assert_eq!(kubectl.ok("rollout undo deployment/web").trim(), "deployment.apps/web rolled back");
        kubectl.ok("rollout status deployment/web --timeout=60s");
        let object = kubectl.json("get deployment web");
        assert_eq!(object["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
        assert_eq!(image(&object), KUBIA);
        assert_eq!(
            kubectl.run("rollout undo deployment/web --to-revision=9").refused().trim(),
            "error: unable to find specified revision 9 in history"
        );

        pauses_and_sizes(kubectl);
        cascades(kubectl);
    });
}

/// Whatever is changed during a pause comes with its end, and all at once.
fn pauses_and_sizes(kubectl: &Kubectl) {
    assert_eq!(kubectl.ok("rollout pause deployment/web").trim(), "deployment.apps/web paused");
    kubectl.ok("set env deployment/web COLOUR=blue");
    let refused = kubectl.run("rollout restart deployment/web").refused();
    assert!(refused.contains("can't restart paused deployment (run rollout resume first)"), "{refused}");
    wait_for("the pause shows", SOON, || {
        (condition(&kubectl.json("get deployment web"), "Progressing") == "DeploymentPaused").then_some(())
    });
    let sets = |kubectl: &Kubectl| kubectl.json("get replicasets")["items"].as_array().map_or(0, Vec::len);
    let before = sets(kubectl);
    assert_eq!(kubectl.ok("rollout resume deployment/web").trim(), "deployment.apps/web resumed");
    kubectl.ok("rollout status deployment/web --timeout=60s");
    assert_eq!(sets(kubectl), before + 1);

    assert_eq!(kubectl.ok("rollout restart deployment/web").trim(), "deployment.apps/web restarted");
    kubectl.ok("rollout status deployment/web --timeout=60s");
    assert_eq!(kubectl.ok("scale deployment/web --replicas=3").trim(), "deployment.apps/web scaled");
    kubectl.ok("rollout status deployment/web --timeout=60s");
    wait_for("three of three", SOON, || {
        let words: Vec<String> = kubectl.ok("get deployment web --no-headers").split_whitespace().map(Into::into).collect();
        (words[1..4] == ["3/3", "3", "3"]).then_some(())
    });
    let described = kubectl.ok("describe deployment web");
    for word in ["NewReplicaSetAvailable", "MinimumReplicasAvailable", "25% max unavailable, 25% max surge", "ScalingReplicaSet"] {
        assert!(described.contains(word), "no {word} in {described}");
    }
    kubectl.ok("autoscale deployment/web --min=2 --max=5 --cpu-percent=80");
    let scaler = kubectl.json("get horizontalpodautoscalers.v2.autoscaling web");
    assert_eq!((&scaler["spec"]["scaleTargetRef"]["name"], &scaler["spec"]["maxReplicas"]), (&"web".into(), &5.into()));
    kubectl.ok("delete hpa web");
}

/// Background, orphan and foreground.
fn cascades(kubectl: &Kubectl) {
    kubectl.ok("delete deployment web --cascade=orphan");
    let sets = kubectl.json("get replicasets -l app=web");
    let sets = sets["items"].as_array().expect("a list");
    assert!(sets.iter().all(|s| s["metadata"]["ownerReferences"].is_null() && s["metadata"]["deletionTimestamp"].is_null()), "{sets:?}");
    assert_eq!(pods(kubectl).len(), 3);

    // A deployment of the same labels takes them over.
    kubectl.ok(&format!("create deployment web --image={KUBIA} --replicas=3"));
    kubectl.ok("rollout status deployment/web --timeout=60s");
    wait_for("the orphans are adopted", SOON, || {
        let sets = kubectl.json("get replicasets -l app=web");
        sets["items"].as_array()?.iter().all(|s| s["metadata"]["ownerReferences"][0]["kind"] == "Deployment").then_some(())
    });
    kubectl.ok("delete deployment web --cascade=foreground --timeout=60s");
    assert!(kubectl.json("get replicasets -l app=web")["items"].as_array().expect("a list").is_empty());
    assert!(pods(kubectl).is_empty(), "a pod outlived its deployment");

    kubectl.ok(&format!("create deployment web --image={KUBIA}"));
    kubectl.ok("rollout status deployment/web --timeout=60s");
    kubectl.ok("delete deployment web --cascade=background");
    wait_for("what it owned is gone", SOON, || {
        let none = kubectl.json("get replicasets,pods -l app=web")["items"].as_array()?.is_empty();
        none.then_some(())
    });
}

#[test]
fn other_workloads_roll_out_too() {
    with_each_kubectl("rollouts-more", |kubectl| {
        for (kind, more) in [("StatefulSet", "serviceName: none, replicas: 2, "), ("DaemonSet", "")] {
            let name = kind.to_lowercase();
            let manifest = format!(
                "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: it}}, spec: {{{more}selector: {{matchLabels: {{app: {name}}}}},
                  template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{terminationGracePeriodSeconds: 1, containers: [
                    {{name: main, image: '{IMAGE}', command: [sh, -c, 'trap exit TERM; sleep 1000 & wait']}}]}}}}}}}}"
            );
            kubectl.feed("create", &manifest).ok();
            kubectl.ok(&format!("rollout status {name}/it --timeout=60s"));
            kubectl.ok(&format!("set env {name}/it A=b"));
            kubectl.ok(&format!("rollout status {name}/it --timeout=60s"));
            let history = kubectl.ok(&format!("rollout history {name}/it"));
            assert!(history.contains("\n1 ") && history.contains("\n2 "), "{history}");
            assert!(kubectl.ok(&format!("rollout undo {name}/it")).contains("rolled back"));
            kubectl.ok(&format!("rollout status {name}/it --timeout=60s"));
            let env = kubectl.json(&format!("get {name} it"))["spec"]["template"]["spec"]["containers"][0]["env"].clone();
            assert!(env.is_null(), "{env}");
            assert!(kubectl.ok(&format!("rollout restart {name}/it")).contains("restarted"));
            kubectl.ok(&format!("rollout status {name}/it --timeout=60s"));
        }
    });
}

/// On a cluster of its own: nobody else's pods are driven out. One version after the other, as there is one node.
#[test]
fn nodes_are_cordoned_drained_and_tainted() {
    let cluster = Cluster::prepare(Options { name: "drain", ..Options::default() });
    crate::busybox::import(&cluster, IMAGE);
    cluster.spawn();
    cluster.wait_ready();
    for tool in [&tools()[0], newest()] {
        let kubectl = cluster.kubectl(tool, &format!("drain-1-{}", tool.minor));
        kubectl.make_namespace();
        let node = kubectl.ok("get nodes -o name").trim().trim_start_matches("node/").to_string();
        drained(&kubectl, &node);
        tainted(&kubectl, &node);
        kubectl.drop_namespace();
    }
}

/// A pod of the busybox, as part of a manifest.
fn sleeper(more: &str) -> String {
    format!(
        "{{terminationGracePeriodSeconds: 1, {more} containers: [{{name: main, image: '{IMAGE}', imagePullPolicy: IfNotPresent,
          command: [sh, -c, 'trap exit TERM; sleep 1000 & wait']}}]}}"
    )
}

/// A budget, a daemon, a pod of nobody and one with data of its own: each holds a drain up until it is told not to mind.
fn drained(kubectl: &Kubectl, node: &str) {
    kubectl.ok(&format!("create deployment web --image={KUBIA} --replicas=2"));
    let daemon = format!(
        "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: log}}, spec: {{selector: {{matchLabels: {{app: log}}}},
          template: {{metadata: {{labels: {{app: log}}}}, spec: {}}}}}}}",
        sleeper("")
    );
    kubectl.feed("create", &daemon).ok();
    let data = sleeper("volumes: [{name: data, emptyDir: {}}],");
    kubectl.feed("create", &format!("{{apiVersion: v1, kind: Pod, metadata: {{name: alone}}, spec: {data}}}")).ok();
    kubectl.ok("rollout status deployment/web --timeout=60s");
    kubectl.ok("rollout status daemonset/log --timeout=60s");
    kubectl.ok("wait --for=condition=Ready pod/alone --timeout=60s");
    kubectl.ok_words(&["create", "poddisruptionbudget", "web", "--selector=app=web", "--min-available=2"]);
    wait_for("the budget is counted", SOON, || (kubectl.json("get pdb web")["status"]["currentHealthy"] == 2).then_some(()));

    let said = kubectl.ok(&format!("cordon {node}"));
    assert_eq!(said.trim(), format!("node/{node} cordoned"));
    assert!(kubectl.ok("get nodes").contains("Ready,SchedulingDisabled"));
    let namespace = &kubectl.namespace;
    let refused = kubectl.run(&format!("drain {node}")).refused();
    for word in [
        format!("cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): {namespace}/log-"),
        format!("cannot delete Pods with local storage (use --delete-emptydir-data to override): {namespace}/alone"),
    ] {
        assert!(refused.contains(&word), "no {word} in {refused}");
    }
    let refused = kubectl.run(&format!("drain {node} --ignore-daemonsets --delete-emptydir-data")).refused();
    assert!(refused.contains("declare no controller (use --force to override)"), "{refused}");
    drained_after_all(kubectl, node);
    wait_for("the new pods wait", SOON, || {
        let list = pods(kubectl);
        (list.len() == 2 && list.iter().all(|p| p["status"]["phase"] == "Pending")).then_some(())
    });
    assert_eq!(kubectl.json("get pods -l app=log")["items"][0]["status"]["phase"], "Running", "daemons stay");
    assert!(kubectl.run("get pod alone").refused().contains("NotFound"));
    assert_eq!(kubectl.ok(&format!("uncordon {node}")).trim(), format!("node/{node} uncordoned"));
    kubectl.ok("rollout status deployment/web --timeout=60s");
}

/// The budget holds it up for as long as there is one.
fn drained_after_all(kubectl: &Kubectl, node: &str) {
    let said = kubectl.cluster.scratch().join("drain.txt");
    let log = std::fs::File::create(&said).expect("a file");
    let mut command = kubectl.command(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s"]);
    let mut child = command.stdout(log.try_clone().expect("a second handle")).stderr(log).spawn().expect("kubectl starts");
    let told = |words: &str| std::fs::read_to_string(&said).unwrap_or_default().contains(words);
    wait_for("the budget holds it up", SOON, || told("Cannot evict pod as it would violate the pod's disruption budget.").then_some(()));
    kubectl.ok("delete pdb web");
    let end = wait(&mut child, SOON);
    assert!(end.is_some_and(|e| e.success()) && told(&format!("node/{node} drained")), "{:?}", std::fs::read_to_string(&said));
}

fn tainted(kubectl: &Kubectl, node: &str) {
    assert_eq!(kubectl.ok(&format!("taint nodes {node} dedicated=x:NoExecute")).trim(), format!("node/{node} tainted"));
    wait_for("no pod stays", SOON, || pods(kubectl).iter().all(|p| p["status"]["phase"] == "Pending").then_some(()));
    let events = kubectl.ok("get events");
    assert!(events.contains("TaintManagerEviction"), "{events}");
    let refused = kubectl.run(&format!("taint nodes {node} dedicated=y:NoExecute")).refused();
    assert!(refused.contains("already has dedicated taint(s) with same effect(s) and --overwrite is false"), "{refused}");
    assert_eq!(kubectl.ok(&format!("taint nodes {node} dedicated-")).trim(), format!("node/{node} untainted"));
    kubectl.ok("rollout status deployment/web --timeout=60s");
    kubectl.ok("delete deployment web --cascade=foreground --timeout=60s");
}

fn pods(kubectl: &Kubectl) -> Vec<Value> {
    kubectl.json("get pods -l app=web")["items"].as_array().cloned().unwrap_or_default()
}

fn image(deployment: &Value) -> &str {
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

fn condition(object: &Value, kind: &str) -> String {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == kind);
    found.and_then(|c| c["reason"].as_str()).unwrap_or_default().to_string()
}
