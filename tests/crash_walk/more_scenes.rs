//! Scenes of the smaller controllers, several of which play together where they would meet.
use super::kubelet::patch;
use super::scenes::{Scene, Step, available, change, conditions, create, deployment, gone, pod, until};
use crate::https::Client;
use serde_json::{Value, json};

/// A daemon of another image, and three replicas that become one.
pub fn daemons_and_replicas() -> Scene {
    let (daemons, controllers) = ("/apis/apps/v1/namespaces/scene/daemonsets", "/api/v1/namespaces/scene/replicationcontrollers");
    let (agent, old) = (&format!("{daemons}/agent"), &format!("{controllers}/old"));
    let daemon =
        json!({"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": pod("agent", "v1")}});
    let controller =
        json!({"metadata": {"name": "old"}, "spec": {"replicas": 3, "selector": {"app": "old"}, "template": pod("old", "v1")}});
    let current = |object: &Value| {
        let status = &object["status"];
        let one = ["desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"].iter().all(|field| status[*field] == 1);
        one && status["observedGeneration"] == object["metadata"]["generation"]
    };
    let sized = |count: i64| move |object: &Value| object["status"]["replicas"] == count && object["status"]["availableReplicas"] == count;
    let next = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}});
    let steps = vec![
        create(daemons, daemon),
        create(controllers, controller),
        until(agent, current),
        until(old, sized(3)),
        change(agent, next),
        change(old, json!({"spec": {"replicas": 1}})),
        until(agent, current),
        until(old, sized(1)),
    ];
    Scene { name: "crash-walk-daemons", namespace: "scene", steps }
}

/// A job that is made asleep, wakes, and does its work.
pub fn suspended_job() -> Scene {
    let all = "/apis/batch/v1/namespaces/scene/jobs";
    let job = &format!("{all}/late");
    let mut template = pod("late", "v1");
    template["spec"]["restartPolicy"] = "Never".into();
    let asleep = json!({"metadata": {"name": "late"}, "spec": {"suspend": true, "completions": 3, "parallelism": 2, "template": template}});
    let steps = vec![
        create(all, asleep),
        until(job, |object| conditions(object, "Suspended")),
        change(job, json!({"spec": {"suspend": false}})),
        until(job, |object| conditions(object, "Complete")),
    ];
    Scene { name: "crash-walk-suspended", namespace: "scene", steps }
}

/// Pods behind a service are evicted one after the other as far as their budget allows, and their quota follows.
pub fn evictions() -> Scene {
    let (core, all) = ("/api/v1/namespaces/scene", "/apis/apps/v1/namespaces/scene/deployments");
    let budgets = "/apis/policy/v1/namespaces/scene/poddisruptionbudgets";
    let (web, budget) = (&format!("{all}/web"), &format!("{budgets}/web"));
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "9", "services": "1"}}});
    let service = json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]}});
    let rule = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}});
    let well = || {
        until(budget, |object| {
            let status = &object["status"];
            status["currentHealthy"] == 3 && status["disruptionsAllowed"] == 1 && status["expectedPods"] == 3
        })
    };
    let steps = vec![
        create(&format!("{core}/resourcequotas"), quota),
        until(&format!("{core}/resourcequotas/few"), |object| object["status"]["used"]["pods"].is_string()),
        create(&format!("{core}/services"), service),
        create(all, deployment(3)),
        create(budgets, rule),
        until(web, available(3)),
        well(),
        evict(),
        until(web, available(3)),
        well(),
        evict(),
        until(web, available(3)),
        well(),
        until(&format!("{core}/resourcequotas/few"), |object| object["status"]["used"]["pods"] == "3"),
        until(&format!("{core}/endpoints/web"), |object| object["subsets"][0]["addresses"].as_array().map_or(0, Vec::len) == 3),
    ];
    Scene { name: "crash-walk-evictions", namespace: "scene", steps }
}

/// Asks for one pod's eviction. When the answer is lost, another pod goes as well: it is replaced like the first. One that was noted in
/// the budget and then not deleted counts as gone for two minutes, as upstream; nobody waits for that here, and it is deleted.
fn evict() -> Step {
    let pods = "/api/v1/namespaces/scene/pods";
    Box::new(move |client: &mut Client| {
        let list = client.get(&format!("{pods}?labelSelector=app%3Dweb"))?.json();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null() && conditions(pod, "Ready");
        let Some(pod) = list["items"].as_array().into_iter().flatten().find(stays) else { return Ok(false) };
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let wish = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        let answer = client.post(&format!("{pods}/{name}/eviction"), &wish)?.status;
        if answer != 429 {
            return Ok(answer == 201);
        }
        let budget = client.get("/apis/policy/v1/namespaces/scene/poddisruptionbudgets/web")?.json();
        let noted = budget["status"]["disruptedPods"].as_object().cloned().unwrap_or_default();
        let mut deleted = false;
        for name in noted.keys() {
            deleted |= client.delete(&format!("{pods}/{name}"))?.status == 200;
        }
        Ok(deleted)
    })
}

/// A second node is in trouble, loses its pod, and gets well.
pub fn tainted_node() -> Scene {
    let (nodes, pods) = ("/api/v1/nodes", "/api/v1/namespaces/scene/pods");
    let spare = &format!("{nodes}/spare");
    let state = |truth: &'static str, path: &String| -> Step {
        let path = format!("{path}/status");
        Box::new(move |client: &mut Client| {
            let ready =
                json!({"type": "Ready", "status": truth, "reason": "Told", "message": "", "lastHeartbeatTime": "2026-01-01T00:00:00Z"});
            Ok(patch(client, &path, &json!({"status": {"conditions": [ready]}}))?.status == 200)
        })
    };
    let mut hasty = pod("hasty", "v1");
    hasty["metadata"]["name"] = "hasty".into();
    hasty["spec"]["nodeName"] = "spare".into();
    let soon = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0});
    hasty["spec"]["tolerations"] = json!([soon]);
    let taints = |object: &Value| object["spec"]["taints"].as_array().map_or(0, Vec::len);
    let steps = vec![
        create(nodes, json!({"metadata": {"name": "spare"}})),
        state("True", spare),
        until(spare, move |object| taints(object) == 0),
        create(pods, hasty),
        until(&format!("{pods}/hasty"), |object| object["status"]["phase"] == "Running"),
        state("False", spare),
        until(spare, move |object| taints(object) == 2),
        gone(&format!("{pods}/hasty")),
        state("True", spare),
        until(spare, move |object| taints(object) == 0),
    ];
    Scene { name: "crash-walk-tainted", namespace: "scene", steps }
}
