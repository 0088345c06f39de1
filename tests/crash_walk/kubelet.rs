//! The node's part, played through the API: pods are bound (where no scheduler is to), run, end, and go.
use crate::https::{Answer, Client};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

const NODE: &str = "paper";
/// Pods with this scheduler are bound by the test.
pub const BY_HAND: &str = "by-hand";

/// See the module.
#[derive(Default)]
pub struct Kubelet {
    /// How each pod of a job ends, by uid: it is the same however often it is said.
    fates: HashMap<String, &'static str>,
    beat: Option<Instant>,
}

/// Makes the node, ready.
pub fn make_node(client: &mut Client) {
    let made = client.post("/api/v1/nodes", &json!({"metadata": {"name": NODE}})).expect("an answer");
    assert_eq!(made.status, 201, "{}", made.text());
    beat(client).expect("an answer");
}

fn beat(client: &mut Client) -> io::Result<()> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = json!({"status": {
        "capacity": {"cpu": "8", "memory": "16Gi", "pods": "110"}, "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": now}],
    }});
    patch(client, &format!("/api/v1/nodes/{NODE}/status"), &status).map(drop)
}

pub fn patch(client: &mut Client, path: &str, body: &Value) -> io::Result<Answer> {
    client.request("PATCH", path, "application/merge-patch+json", body.to_string().as_bytes())
}

impl Kubelet {
    /// Does what there is to do; refusals come up again with the next look.
    pub fn tick(&mut self, client: &mut Client, namespace: &str) -> io::Result<()> {
        if self.beat.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
            if self.beat.is_some() {
                beat(client)?;
            }
            self.beat = Some(Instant::now());
        }
        let collection = format!("/api/v1/namespaces/{namespace}/pods");
        let list = client.get(&collection)?.json();
        for pod in list["items"].as_array().into_iter().flatten() {
            let path = format!("{collection}/{}", text(&pod["metadata"]["name"]));
            self.tend(client, &path, pod)?;
        }
        Ok(())
    }

    fn tend(&mut self, client: &mut Client, path: &str, pod: &Value) -> io::Result<()> {
        let bound = pod["spec"]["nodeName"].is_string();
        let running = pod["status"]["phase"] == "Running";
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            if bound {
                let now = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}});
                client.request("DELETE", path, "application/json", now.to_string().as_bytes())?;
            }
        } else if !bound && pod["spec"]["schedulerName"] == BY_HAND {
            let target = json!({"kind": "Node", "name": NODE});
            client.post(&format!("{path}/binding"), &json!({"metadata": {"name": pod["metadata"]["name"]}, "target": target}))?;
        } else if bound && pod["status"]["phase"] == "Pending" {
            patch(client, &format!("{path}/status"), &status(pod, "Running"))?;
        } else if running && !pod["metadata"]["labels"]["batch.kubernetes.io/job-name"].is_null() {
            let fate = self.fate(pod);
            patch(client, &format!("{path}/status"), &status(pod, fate))?;
        }
        Ok(())
    }

    /// The first pod of index 1 fails, everything else succeeds.
    fn fate(&mut self, pod: &Value) -> &'static str {
        let uid = text(&pod["metadata"]["uid"]);
        let one = pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == "1";
        let fails = one && !self.fates.values().any(|fate| *fate == "Failed");
        self.fates.entry(uid).or_insert(if fails { "Failed" } else { "Succeeded" })
    }
}

fn status(pod: &Value, phase: &str) -> Value {
    let ready = if phase == "Running" { "True" } else { "False" };
    // Long ago, so that nobody waits before trying again.
    let time = "2026-01-01T00:00:00Z";
    let state = match phase {
        "Running" => json!({"running": {"startedAt": time}}),
        _ => json!({"terminated": {"exitCode": i32::from(phase == "Failed"), "startedAt": time, "finishedAt": time}, "running": null}),
    };
    let name = &pod["spec"]["containers"][0]["name"];
    json!({
        "metadata": {"uid": pod["metadata"]["uid"]},
        "status": {
            "phase": phase,
            "podIP": "10.9.9.9",
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": time}],
            "containerStatuses": [{"name": name, "ready": phase == "Running", "restartCount": 0, "image": "i", "imageID": "", "state": state}],
        },
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}
