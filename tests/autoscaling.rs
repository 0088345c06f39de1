//! `kubectl top`, `kubectl autoscale` and autoscalers on pods that really work, with the oldest and the newest kubectl.
//!
//! Of upstream's group "[sig-autoscaling] [HPA] Horizontal pod autoscaling": scale up and down by CPU, limits, and rates of a
//! behaviour ("with scale limited by number of Pods rate"). Its windows of minutes are seconds here.
use crate::busybox::IMAGE;
use crate::cluster::shared;
use crate::kubectl::{Kubectl, newest, tools};
use crate::run::wait_for;
use serde_json::{Value, json};
use std::time::Duration;

/// Two looks at a node, a look at the autoscaler, and a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A deployment `web` of one pod that runs a script.
fn deployment(script: &str, resources: &Value) -> String {
    let labels = json!({ "app": "web" });
    let container = json!({ "name": "c", "image": IMAGE, "command": ["sh", "-c", script], "resources": resources });
    let pod = json!({ "terminationGracePeriodSeconds": 0, "containers": [container] });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels }, "spec": pod } },
    })
    .to_string()
}

/// The value of a cell in a table for people: the row that begins with `name`.
fn cell(table: &str, name: &str, column: usize) -> Option<String> {
    let row = table.lines().find(|line| line.starts_with(name))?;
    row.split_whitespace().nth(column).map(str::to_string)
}

fn condition<'a>(autoscaler: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let found = autoscaler["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == kind);
    let text = |field: &str| found.and_then(|c| c[field].as_str()).unwrap_or_default();
    (text("status"), text("reason"))
}

fn until(kubectl: &Kubectl<'_>, what: &str, test: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(what, SOON, || {
            last = kubectl.json("get hpa web");
            test(&last).then(|| last.clone())
        })
    }));
    found.unwrap_or_else(|_| panic!("{what}: {last:#}"))
}

#[test]
fn busy_pods_are_seen_and_scaled() {
    let oldest = shared().kubectl(tools().first().expect("a kubectl"), "autoscaling");
    let newest = shared().kubectl(newest(), "autoscaling");
    newest.make_namespace();
    // Each pod works until somebody takes the file away.
    let script = "touch /busy; while [ -e /busy ]; do :; done; sleep 1000";
    let resources = json!({ "requests": { "cpu": "100m", "memory": "8Mi" }, "limits": { "cpu": "200m" } });
    newest.feed("create", &deployment(script, &resources)).ok();
    newest.ok("rollout status deployment web --timeout=60s");
    let milli = |cell: Option<String>| cell.and_then(|c| c.strip_suffix('m')?.parse::<u64>().ok());
    for kubectl in [&oldest, &newest] {
        wait_for("the pod's work is seen", SOON, || {
            let table = kubectl.run("top pod -l app=web --containers=false").stdout;
            milli(cell(&table, "web-", 1)).filter(|used| (100..=400).contains(used))
        });
        let node = kubectl.json("get nodes")["items"][0]["metadata"]["name"].as_str().expect("a name").to_string();
        assert!(milli(cell(&kubectl.ok("top node"), &node, 1)).is_some_and(|used| used > 50));
        assert!(kubectl.ok("top pod --containers").contains(" c "));
    }
    let table = newest.ok("get pods.metrics.k8s.io");
    assert!(table.lines().next().is_some_and(|head| head.split_whitespace().eq(["NAME", "CPU", "MEMORY", "WINDOW"])), "{table}");

    // It wants twice as many, then, with those, more; there may be three.
    oldest.ok("autoscale deployment web --min=1 --max=3 --cpu-percent=50");
    until(&newest, "as many as may be", |hpa| hpa["status"]["desiredReplicas"] == 3);
    wait_for("the deployment follows", SOON, || (newest.json("get deployment web")["spec"]["replicas"] == 3).then_some(()));
    let described = oldest.ok("describe hpa web");
    for words in ["ScalingActive", "ValidMetricFound", "SuccessfulRescale", "cpu resource utilization (percentage of request) above target"]
    {
        assert!(described.contains(words), "{words}: {described}");
    }
    newest.ok("rollout status deployment web --timeout=60s");

    // Now they rest, and one pod in fifteen seconds may go.
    let pods = newest.ok("get pods -l app=web -o name");
    for pod in pods.lines() {
        newest.ok(&format!("exec {pod} -- rm /busy"));
    }
    let slow = json!({ "spec": { "behavior": { "scaleDown": {
        "stabilizationWindowSeconds": 0, "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 15 }],
    } } } });
    newest.ok_words(&["patch", "hpa", "web", "--type=merge", "-p", &slow.to_string()]);
    let first = until(&newest, "one goes", |hpa| hpa["status"]["desiredReplicas"].as_i64().is_some_and(|n| n < 3));
    assert_eq!(
        (&first["status"]["desiredReplicas"], condition(&first, "ScalingLimited")),
        (&json!(2), ("True", "ScaleDownLimit")),
        "{first:#}"
    );
    until(&newest, "the other goes", |hpa| hpa["status"]["desiredReplicas"] == 1);
    let why = shared().impresario(&format!("why deploy/web -n {}", newest.namespace)).ok();
    assert!(why.contains("HorizontalPodAutoscaler autoscaling/web"), "{why}");
    newest.drop_namespace();
}

#[test]
fn what_cannot_be_scaled_is_told() {
    let kubectl = shared().kubectl(newest(), "autoscaling-not");
    kubectl.make_namespace();
    kubectl.feed("create", &deployment("sleep 1000", &json!({ "requests": { "memory": "8Mi" } }))).ok();
    kubectl.ok("rollout status deployment web --timeout=60s");
    kubectl.ok("autoscale deployment web --max=3 --cpu=50%");
    until(&kubectl, "the pod asks for nothing", |hpa| {
        let text = hpa["status"]["conditions"].to_string();
        text.contains("missing request for cpu in container c of Pod web-")
    });
    kubectl.ok("delete deployment web");
    // What changes is looked at at once.
    kubectl.ok_words(&["patch", "hpa", "web", "--type=merge", "-p", r#"{"spec":{"maxReplicas":4}}"#]);
    until(&kubectl, "there is no such deployment", |hpa| condition(hpa, "AbleToScale") == ("False", "FailedGetScale"));
    let described = kubectl.ok("describe hpa web");
    assert!(described.contains("the HPA controller was unable to get the target's current scale: deployments.apps \"web\" not found"));
    kubectl.drop_namespace();
}
