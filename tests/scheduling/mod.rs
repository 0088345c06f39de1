//! The scheduler as a user meets it: a server without a node of its own, nodes made by hand, stock kubectl.
mod conformance;
mod devices;
mod preemption;
mod reasons;

use crate::cluster::{Cluster, Options};
use crate::kubectl::{Kubectl, newest};
use crate::run::wait_for;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A server for all scenes; each has namespaces and nodes of its own, which nothing else can go to.
fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    static STOP: OnceLock<&'static Cluster> = OnceLock::new();
    extern "C" fn stop() {
        if let Some(cluster) = STOP.get() {
            cluster.kill();
            let _ = std::fs::remove_dir_all(cluster.scratch());
        }
    }
    let cluster = SERVER.get_or_init(|| {
        let config = "scheduler: {podMaxBackoffSeconds: 1, profiles: [{}, {schedulerName: packing, \
            plugins: {score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}}, pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}]}]}\n";
        Cluster::start(Options { name: "scheduling", no_node: true, config: config.into(), ..Options::default() })
    });
    STOP.get_or_init(|| {
        // A static is never dropped, so the end of the process does it.
        // SAFETY: `stop` takes nothing, unwinds nowhere and outlives the process.
        unsafe { libc::atexit(stop) };
        cluster
    });
    cluster
}

/// A scene: a namespace, and nodes that carry its name as a label.
struct Scene {
    kubectl: Kubectl<'static>,
    nodes: Vec<String>,
}

impl Scene {
    /// With nodes of 4 CPUs, 8 GiB and 10 pods, in zones z1 and z2 by turns.
    fn new(name: &str, nodes: usize) -> Scene {
        let kubectl = server().kubectl(newest(), name);
        kubectl.make_namespace();
        let mut scene = Scene { kubectl, nodes: Vec::new() };
        for at in 0..nodes {
            scene.node(&format!("z{}", at % 2 + 1));
        }
        scene
    }

    /// One more node.
    fn node(&mut self, zone: &str) -> String {
        let (scene, name) = (&self.kubectl.namespace, format!("{}-{}", self.kubectl.namespace, self.nodes.len()));
        let labels = json!({"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone, "scene": scene});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
        self.kubectl.feed("create", &node.to_string()).ok();
        let amounts = json!({"cpu": "4", "memory": "8Gi", "pods": "10"});
        let ready = json!([{"type": "Ready", "status": "True", "reason": "Test", "message": "", "lastHeartbeatTime": "2099-01-01T00:00:00Z",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let status = json!({"status": {"capacity": amounts, "allocatable": amounts, "conditions": ready}});
        self.kubectl.ok_words(&["patch", "node", &name, "--subresource=status", "--type=merge", "-p", &status.to_string()]);
        self.nodes.push(name.clone());
        name
    }

    /// A pod that can only go to the scene's nodes, and tolerates that nobody looks after them.
    fn pod(&self, name: &str, cpu: &str, more: Value) -> Value {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "nodeSelector": {"scene": self.kubectl.namespace}, "terminationGracePeriodSeconds": 1,
                "tolerations": [
                    {"key": "node.kubernetes.io/not-ready", "operator": "Exists"}, {"key": "node.kubernetes.io/unreachable", "operator": "Exists"},
                ],
                "containers": [{"name": "c", "image": "none.example/i:1", "resources": {"requests": {"cpu": cpu}}}],
            },
        });
        merge(&mut pod, more);
        pod
    }

    fn create(&self, object: &Value) {
        self.kubectl.feed("create", &object.to_string()).ok();
    }

    /// The node of a pod, once it has one.
    fn node_of(&self, pod: &str) -> String {
        wait_for(
            &format!("{pod} has a node: {}", self.kubectl.ok(&format!("get pod {pod} -o jsonpath={{.status.conditions}}"))),
            SOON,
            || {
                let node = self.kubectl.ok(&format!("get pod {pod} -o jsonpath={{.spec.nodeName}}"));
                (!node.is_empty()).then_some(node)
            },
        )
    }

    /// The `PodScheduled` condition once it is false for this reason.
    fn refused(&self, pod: &str, reason: &str) -> String {
        wait_for(&format!("{pod} is refused: {reason}"), SOON, || {
            let object = self.kubectl.json(&format!("get pod {pod}"));
            let condition = object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == "PodScheduled")?.clone();
            (condition["status"] == "False" && condition["reason"] == reason)
                .then(|| condition["message"].as_str().unwrap_or_default().to_string())
        })
    }

    /// An event about a pod, once there is one of this reason.
    fn event(&self, pod: &str, reason: &str) -> Value {
        wait_for(&format!("{pod} has an event {reason}"), SOON, || {
            let list = self.kubectl.json("get events");
            let about = |e: &&Value| e["involvedObject"]["name"] == pod && e["reason"] == reason;
            list["items"].as_array()?.iter().find(about).cloned()
        })
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for node in &self.nodes {
            self.kubectl.run(&format!("delete node {node} --wait=false"));
        }
        self.kubectl.run("delete pods --all --force --grace-period=0 --wait=false");
        self.kubectl.run(&format!("delete namespace {} --wait=false", self.kubectl.namespace));
    }
}

/// Lays one object over another; lists are replaced.
fn merge(target: &mut Value, more: Value) {
    match (target, more) {
        (Value::Object(target), Value::Object(more)) => {
            for (key, value) in more {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, more) => *target = more,
    }
}
