//! The agent and its pods against a fake node and a fake server, on a paused clock.
use super::agent::{AgentConfig, agent_mailbox, start_agent};
use super::fake::{FakeControl, FakeRuntime};
use crate::actors::base::{Guardian, Registry, RestartPolicy};
use crate::protocol::mesh::WatchKind;
use crate::runtime::api::{Container, ContainerPhase, ContainerSpec, Sandbox, SandboxSpec};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

struct Node {
    runtime: Arc<FakeRuntime>,
    control: Arc<FakeControl>,
    _dir: tempfile::TempDir,
}

fn pod(spec: Value) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": { "name": "p", "namespace": "default", "uid": "uid-1", "resourceVersion": "1" },
        "spec": spec,
        "status": { "phase": "Pending", "qosClass": "BestEffort" },
    })
}

fn one(policy: &str) -> Value {
    pod(json!({ "restartPolicy": policy, "containers": [{ "name": "c", "image": "i" }] }))
}

/// Starts an agent in this very thread, so that the paused clock is its clock too.
fn start(runtime: Arc<FakeRuntime>, control: Arc<FakeControl>) -> Node {
    tokio::time::pause();
    let dir = tempfile::tempdir().unwrap();
    let config = AgentConfig {
        name: "n".into(),
        address: "192.0.2.1".parse().unwrap(),
        max_pods: 110,
        labels: Default::default(),
        version: "v1".into(),
        data_dir: dir.path().into(),
        dns_server: None,
        cluster_domain: "cluster.local".into(),
        network: runtime.clone(),
    };
    let guardian = Guardian::new(Registry::default(), RestartPolicy::default(), |path, panic| panic!("{path}: {panic}"));
    let arbiter = actix_rt::System::current().arbiter().clone();
    start_agent(&agent_mailbox("n"), config, runtime.clone(), control.clone(), &guardian, &arbiter);
    Node { runtime, control, _dir: dir }
}

impl Node {
    /// Lets everything happen until `is` holds; the clock runs ahead whenever nobody has anything to do.
    async fn until(&self, what: &str, is: impl Fn(&Node) -> bool) -> Duration {
        let began = Instant::now();
        while !is(self) {
            assert!(began.elapsed() < Duration::from_secs(3600), "{what} never came: {:?} {}", self.runtime.log(), self.control.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    fn did(&self, what: &str) -> bool {
        self.runtime.log().iter().any(|l| l == what)
    }

    fn phase(&self, phase: &str) -> bool {
        self.control.status()["phase"] == phase
    }

    fn delete(&self, grace: u64) {
        let mut pod = self.control.state.lock().unwrap().pod.clone().unwrap();
        pod["metadata"]["deletionTimestamp"] = "2026-11-21T05:00:00Z".into();
        pod["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        self.control.put_pod(pod, WatchKind::Modified);
    }
}

#[actix_rt::test]
async fn a_pod_starts_and_is_ready() {
    let node = start(FakeRuntime::new(), FakeControl::new());
    node.until("the network", |n| n.did("network 10.244.0.0/24")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    node.control.put_pod(one("Always"), WatchKind::Added);
    node.until("Running", |n| n.phase("Running")).await;
    let status = node.control.status();
    assert_eq!(status["podIP"], "10.244.0.7");
    assert_eq!(status["containerStatuses"][0]["ready"], true);
    assert_eq!(status["containerStatuses"][0]["containerID"], "impresario://uid-1-c-0");
    let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
    assert_eq!(ready["status"], "True");
    node.until("events", |n| n.control.state.lock().unwrap().events.len() >= 3).await;
    let events = node.control.state.lock().unwrap().events.clone();
    assert_eq!(events[1], ("Created".into(), "Created container: c".into()));
    assert_eq!(events[2], ("Started".into(), "Started container c".into()));
}

#[actix_rt::test]
async fn a_crashing_container_is_held_back_longer_and_longer() {
    let (runtime, control) = (FakeRuntime::new(), FakeControl::new());
    runtime.inner.lock().unwrap().exit_at_once.insert("c".into(), 1);
    control.put_pod(one("Always"), WatchKind::Added);
    let node = start(runtime, control);
    node.until("the second attempt", |n| n.did("start c-1")).await;
    let first = node.until("the third", |n| n.did("start c-2")).await;
    let second = node.until("the fourth", |n| n.did("start c-3")).await;
    // The test looks every 5 ms.
    let near = |d: Duration, s: u64| d + Duration::from_millis(20) >= Duration::from_secs(s) && d < Duration::from_secs(s + 1);
    assert!(near(first, 10) && near(second, 20), "{first:?} {second:?}");
    node.until("the back-off's word", |n| n.control.status()["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff")
        .await;
    let status = &node.control.status()["containerStatuses"][0];
    assert_eq!((&status["restartCount"], &status["lastState"]["terminated"]["exitCode"]), (&json!(3), &json!(1)));
    assert!(node.phase("Running"));
}

#[actix_rt::test]
async fn init_containers_run_one_after_the_other() {
    let (runtime, control) = (FakeRuntime::new(), FakeControl::new());
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{ "name": "a", "image": "i" }, { "name": "s", "image": "i", "restartPolicy": "Always" }, { "name": "b", "image": "i" }],
        "containers": [{ "name": "c", "image": "i" }],
    });
    control.put_pod(pod(spec), WatchKind::Added);
    let node = start(runtime, control);
    node.until("the first", |n| n.did("start a-0")).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!node.did("start s-0"));
    node.runtime.end("uid-1-a-0", 0);
    node.until("the last", |n| n.did("start b-0")).await;
    assert_eq!(node.control.status()["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    node.runtime.end("uid-1-b-0", 0);
    node.until("the app", |n| n.phase("Running")).await;
    assert_eq!(node.runtime.log()[2..], ["start a-0", "start s-0", "start b-0", "start c-0"].map(String::from));
    node.runtime.end("uid-1-c-0", 0);
    node.until("its end", |n| n.phase("Succeeded")).await;
    node.until("the removal", |n| n.did("remove sandbox")).await;
    assert!(node.did("signal s-0 15"), "the sidecar is ended when the app is done");
}

#[actix_rt::test]
async fn a_deleted_pod_has_its_grace() {
    let (runtime, control) = (FakeRuntime::new(), FakeControl::new());
    runtime.inner.lock().unwrap().stubborn = true;
    control.put_pod(one("Always"), WatchKind::Added);
    let node = start(runtime, control);
    node.until("Running", |n| n.phase("Running")).await;
    node.delete(7);
    node.until("SIGTERM", |n| n.did("signal c-0 15")).await;
    let waited = node.until("SIGKILL", |n| n.did("signal c-0 9")).await;
    assert!(waited >= Duration::from_millis(6900) && waited < Duration::from_secs(8), "{waited:?}");
    node.until("the deletion", |n| !n.control.state.lock().unwrap().deleted.is_empty()).await;
    let state = node.control.state.lock().unwrap();
    assert_eq!(state.deleted[0]["preconditions"]["uid"], "uid-1");
    assert_eq!(state.phases.last().unwrap(), "Failed");
    assert_eq!(node.runtime.log().last().unwrap(), "remove sandbox");
}

#[actix_rt::test]
async fn a_restarted_agent_takes_over_what_runs_and_removes_what_is_gone() {
    let (runtime, control) = (FakeRuntime::new(), FakeControl::new());
    for (uid, name) in [("uid-1", "c"), ("uid-2", "old")] {
        let spec =
            ContainerSpec { id: format!("{uid}-{name}-2"), pod_uid: uid.into(), name: name.into(), attempt: 2, ..Default::default() };
        let mut inner = runtime.inner.lock().unwrap();
        inner.running.insert(spec.id.clone(), Container { spec, phase: ContainerPhase::Running { pid: 1, started_ms: 1_000 } });
        let spec = SandboxSpec { uid: uid.into(), ..Default::default() };
        inner.sandboxes.insert(uid.into(), Sandbox { spec, ips: vec![], created_ms: 0 });
    }
    control.put_pod(one("Always"), WatchKind::Added);
    let node = start(runtime, control);
    node.until("Running", |n| n.phase("Running")).await;
    node.until("the orphan's end", |n| n.did("remove sandbox")).await;
    assert!(node.did("signal uid-2-old-2 9"));
    assert!(!node.runtime.log().iter().any(|l| l.starts_with("start")), "{:?}", node.runtime.log());
    assert_eq!(node.control.status()["containerStatuses"][0]["restartCount"], 2);
    node.runtime.end("uid-1-c-2", 1);
    node.until("the next attempt", |n| n.did("start c-3")).await;
}

#[actix_rt::test]
async fn a_missing_image_is_shown_and_tried_again() {
    let (runtime, control) = (FakeRuntime::new(), FakeControl::new());
    runtime.inner.lock().unwrap().missing_image = true;
    control.put_pod(one("Always"), WatchKind::Added);
    let node = start(runtime, control);
    let reason = |n: &Node| n.control.status()["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    node.until("the error", |n| reason(n) == "ErrImagePull").await;
    node.until("the back-off", |n| reason(n) == "ImagePullBackOff").await;
    node.runtime.inner.lock().unwrap().missing_image = false;
    let waited = node.until("the start", |n| n.phase("Running")).await;
    assert!(waited < Duration::from_secs(11), "{waited:?}");
}

#[actix_rt::test]
async fn pods_run_on_without_a_server() {
    let (runtime, control) = (FakeRuntime::new(), FakeControl::new());
    control.put_pod(one("Always"), WatchKind::Added);
    let node = start(runtime, control);
    node.until("Running", |n| n.phase("Running")).await;
    node.control.connect(false);
    node.runtime.end("uid-1-c-0", 1);
    node.until("the restart", |n| n.did("start c-1")).await;
    assert_eq!(node.control.status()["containerStatuses"][0]["restartCount"], 0);
    node.control.connect(true);
    node.until("the news", |n| n.control.status()["containerStatuses"][0]["restartCount"] == 1).await;
}
