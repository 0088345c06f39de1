//! HTTP through the API server to pods and services.
use crate::cluster::shared;
use crate::kubectl::newest;
use crate::run::wait_for;
use std::time::Duration;

const SERVICE: &str = r#"{ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "kubia-behind" },
  "spec": { "selector": { "app": "kubia" }, "ports": [{ "name": "web", "port": 80, "targetPort": 8080 }] } }"#;

#[test]
fn pods_and_services_answer_through_the_server() {
    let kubectl = shared().kubectl(newest(), "default");
    let pod = wait_for("a kubia pod is ready", Duration::from_secs(60), || {
        let pods = kubectl.json("get pods -l app=kubia");
        let ready = |p: &&serde_json::Value| p["status"]["containerStatuses"][0]["ready"] == true;
        pods["items"].as_array()?.iter().find(ready)?["metadata"]["name"].as_str().map(String::from)
    });
    let hit = format!("You've hit {pod}");
    assert_eq!(kubectl.ok(&format!("get --raw /api/v1/namespaces/default/pods/{pod}:8080/proxy/")).trim(), hit);
    assert_eq!(kubectl.ok(&format!("get --raw /api/v1/namespaces/default/pods/http:{pod}:8080/proxy/a/b?c=d")).trim(), hit);
    let refused = kubectl.run(&format!("get --raw /api/v1/namespaces/default/pods/{pod}:81/proxy/")).refused();
    assert!(refused.contains("refused"), "{refused}");
    kubectl.feed("create", SERVICE).ok();
    for name in ["kubia-behind", "kubia-behind:web", "http:kubia-behind:80"] {
        let answer = kubectl.ok(&format!("get --raw /api/v1/namespaces/default/services/{name}/proxy/"));
        assert!(answer.starts_with("You've hit kubia-"), "{answer}");
    }
    let refused = kubectl.run("get --raw /api/v1/namespaces/default/services/kubia-behind:none/proxy/").refused();
    assert!(refused.contains("no service port \"none\" found for service \"kubia-behind\""), "{refused}");
    kubectl.ok("delete service kubia-behind");
    let refused = kubectl.run("get --raw /api/v1/namespaces/default/services/nobody/proxy/").refused();
    assert!(refused.contains("services \"nobody\" not found"), "{refused}");
}

#[test]
fn a_node_answers_what_the_kubelet_would() {
    let kubectl = shared().kubectl(newest(), "default");
    let nodes = kubectl.json("get nodes");
    let node = nodes["items"][0]["metadata"]["name"].as_str().expect("a node").to_string();
    let get = |path: &str| kubectl.ok(&format!("get --raw /api/v1/nodes/{node}/proxy/{path}"));
    assert_eq!(get("healthz").trim(), "ok");
    let summary: serde_json::Value = serde_json::from_str(&get("stats/summary")).expect("JSON");
    assert_eq!(summary["node"]["nodeName"], node.as_str());
    let pods: serde_json::Value = serde_json::from_str(&get("pods")).expect("JSON");
    assert!(pods["items"].as_array().is_some_and(|p| p.iter().all(|p| p["spec"]["nodeName"] == node.as_str()) && !p.is_empty()));
    assert!(get("metrics").contains("# TYPE node_cpu_usage_seconds_total counter"));
    let settings: serde_json::Value = serde_json::from_str(&get("configz")).expect("JSON");
    assert_eq!(settings["kubeletconfig"]["maxPods"], 110);
}
