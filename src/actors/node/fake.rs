//! A runtime and a control plane that only remember, for the tests of the node's actors.
use super::control_plane::{ControlError, ControlPlane, WatchOf};
use super::network::NodeNetwork;
use crate::protocol::mesh::{ApiCall, WatchFrame, WatchKind};
use crate::protocol::status::ApiError;
use crate::runtime::api::*;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// What a fake node did, in order: `start c-0`, `signal c-0 15`, …
#[derive(Default)]
pub struct Inner {
    pub log: Vec<String>,
    pub running: BTreeMap<String, Container>,
    pub sandboxes: BTreeMap<String, Sandbox>,
    /// Containers that end by themselves at once with this code, by name.
    pub exit_at_once: BTreeMap<String, i32>,
    /// Containers that do not care for SIGTERM.
    pub stubborn: bool,
    pub missing_image: bool,
}

pub struct FakeRuntime {
    pub inner: Mutex<Inner>,
    exits: mpsc::Sender<ContainerExited>,
    receiver: Mutex<Option<mpsc::Receiver<ContainerExited>>>,
}

impl FakeRuntime {
    pub fn new() -> Arc<FakeRuntime> {
        let (exits, receiver) = mpsc::channel(64);
        Arc::new(FakeRuntime { inner: Mutex::default(), exits, receiver: Mutex::new(Some(receiver)) })
    }

    pub fn log(&self) -> Vec<String> {
        self.inner.lock().unwrap().log.clone()
    }

    /// Ends a running container.
    pub fn end(&self, id: &str, code: i32) {
        let Some(container) = self.inner.lock().unwrap().running.remove(id) else { return };
        let exit = Exit { code, started_ms: 1_000, finished_ms: 2_000, ..Default::default() };
        let exited = ContainerExited { id: id.into(), pod_uid: container.spec.pod_uid, exit };
        self.exits.try_send(exited).unwrap();
    }
}

fn short(id: &str) -> String {
    id.strip_prefix("uid-1-").unwrap_or(id).to_string()
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn create_sandbox(&self, spec: SandboxSpec) -> Result<Sandbox> {
        let mut inner = self.inner.lock().unwrap();
        inner.log.push("sandbox".into());
        let sandbox = Sandbox { spec: spec.clone(), ips: vec!["10.244.0.7".parse().unwrap()], created_ms: 500 };
        inner.sandboxes.insert(spec.uid, sandbox.clone());
        Ok(sandbox)
    }
    async fn remove_sandbox(&self, pod_uid: &str) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.log.push("remove sandbox".into());
        inner.sandboxes.remove(pod_uid);
        Ok(())
    }
    async fn sandboxes(&self) -> Result<Vec<Sandbox>> {
        Ok(self.inner.lock().unwrap().sandboxes.values().cloned().collect())
    }
    async fn image(&self, name: &str) -> Result<Option<Image>> {
        let image = Image { id: "sha256:1".into(), names: vec![name.into()], digests: vec![], size: 1, user: String::new() };
        Ok((!self.inner.lock().unwrap().missing_image).then_some(image))
    }
    async fn pull_image(&self, name: &str, _: Option<RegistryAuth>) -> Result<Image> {
        Err(RuntimeError::new("ErrImagePull", format!("{name}: not found")))
    }
    async fn images(&self) -> Result<Vec<Image>> {
        Ok(Vec::new())
    }
    async fn start_container(&self, spec: ContainerSpec) -> Result<i32> {
        let mut inner = self.inner.lock().unwrap();
        inner.log.push(format!("start {}", short(&spec.id)));
        let (id, code) = (spec.id.clone(), inner.exit_at_once.get(&spec.name).copied());
        inner.running.insert(id.clone(), Container { spec, phase: ContainerPhase::Running { pid: 1, started_ms: 1_000 } });
        drop(inner);
        if let Some(code) = code {
            self.end(&id, code);
        }
        Ok(1)
    }
    async fn signal_container(&self, id: &str, signal: i32) -> Result<()> {
        let stubborn = {
            let mut inner = self.inner.lock().unwrap();
            inner.log.push(format!("signal {} {signal}", short(id)));
            inner.stubborn
        };
        if signal == 9 || !stubborn {
            self.end(id, 128 + signal);
        }
        Ok(())
    }
    async fn remove_container(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn containers(&self) -> Result<Vec<Container>> {
        Ok(self.inner.lock().unwrap().running.values().cloned().collect())
    }
    fn exits(&self) -> mpsc::Receiver<ContainerExited> {
        self.receiver.lock().unwrap().take().unwrap()
    }
    async fn exec(&self, _: &str, _: ExecSpec) -> Result<Session> {
        Err(RuntimeError::new("ExecError", "the fake runs no commands"))
    }
    async fn attach(&self, _: &str) -> Result<Session> {
        Err(RuntimeError::new("AttachError", "the fake has no terminals"))
    }
    async fn dial(&self, _: &str, _: u16) -> Result<tokio::net::TcpStream> {
        Err(RuntimeError::new("PortForwardError", "the fake has no ports"))
    }
    async fn usage(&self, _: &str) -> Result<Usage> {
        Ok(Usage::default())
    }
}

#[async_trait]
impl NodeNetwork for FakeRuntime {
    async fn set_pod_cidr(&self, cidr: &str) -> Result<()> {
        self.inner.lock().unwrap().log.push(format!("network {cidr}"));
        Ok(())
    }
    async fn set_peers(&self, _: &[(String, std::net::IpAddr)]) -> Result<()> {
        Ok(())
    }
}

/// A server with one pod and one node.
pub struct FakeControl {
    pub state: Mutex<Control>,
    connected: watch::Sender<bool>,
}

#[derive(Default)]
pub struct Control {
    /// The pod as served; status patches are merged in.
    pub pod: Option<Value>,
    pub node: Option<Value>,
    pub deleted: Vec<Value>,
    pub events: Vec<(String, String)>,
    /// All phases and waiting reasons that were shown, in order.
    pub phases: Vec<String>,
    pub watchers: BTreeMap<String, mpsc::Sender<WatchFrame>>,
    pub revision: u64,
}

impl FakeControl {
    pub fn new() -> Arc<FakeControl> {
        Arc::new(FakeControl { state: Mutex::default(), connected: watch::channel(true).0 })
    }

    pub fn connect(&self, up: bool) {
        self.connected.send_replace(up);
    }

    /// Stores a pod and tells the watcher.
    pub fn put_pod(&self, pod: Value, kind: WatchKind) {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        let (revision, object) = (state.revision, Bytes::from(pod.to_string()));
        state.pod = (kind != WatchKind::Deleted).then_some(pod);
        if let Some(watcher) = state.watchers.get("pods") {
            let _ = watcher.try_send(WatchFrame::Event { kind, revision, object });
        }
    }

    pub fn status(&self) -> Value {
        self.state.lock().unwrap().pod.as_ref().map(|p| p["status"].clone()).unwrap_or_default()
    }
}

fn missing() -> (u16, Bytes) {
    (404, ApiError::new(404, "NotFound", "not found").to_status().to_string().into())
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.as_object_mut().and_then(|o| o.remove(key))),
            value => into[key] = value.clone(),
        }
    }
}

#[async_trait]
impl ControlPlane for FakeControl {
    async fn api(&self, call: ApiCall) -> std::result::Result<(u16, Bytes), ControlError> {
        if !*self.connected.borrow() {
            return Err(ControlError::Away("away".into()));
        }
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let path = call.path.as_str();
        if path.contains("/events") {
            let text = |f: &str| body[f].as_str().unwrap_or_default().to_string();
            state.events.push((text("reason"), text("message")));
            return Ok((201, "{}".into()));
        }
        if path.contains("/nodes") {
            if call.method == "GET" && state.node.is_none() {
                return Ok(missing());
            }
            let node = state.node.get_or_insert_with(|| json!({ "metadata": { "name": "n" } }));
            merge(&mut node["status"], &body["status"]);
            return Ok((200, node.to_string().into()));
        }
        let Some(pod) = state.pod.as_mut().filter(|_| path.contains("/pods/")) else { return Ok(missing()) };
        if call.method == "DELETE" {
            let gone = state.pod.take().unwrap();
            state.deleted.push(body);
            if let Some(watcher) = state.watchers.get("pods") {
                let frame = WatchFrame::Event { kind: WatchKind::Deleted, revision: 99, object: gone.to_string().into() };
                let _ = watcher.try_send(frame);
            }
            return Ok((200, gone.to_string().into()));
        }
        merge(&mut pod["status"], &body["status"]);
        let text = pod.to_string();
        let status = pod["status"].clone();
        let waiting = status["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or_default().to_string();
        let shown = format!("{} {waiting}", status["phase"].as_str().unwrap_or_default()).trim().to_string();
        if state.phases.last() != Some(&shown) {
            state.phases.push(shown);
        }
        Ok((200, text.into()))
    }

    async fn watch(&self, of: WatchOf) -> std::result::Result<mpsc::Receiver<WatchFrame>, ControlError> {
        let (sender, receiver) = mpsc::channel(64);
        let mut state = self.state.lock().unwrap();
        let object = match of.resource.as_str() {
            "pods" => state.pod.as_ref().map(ToString::to_string),
            _ => Some(
                json!({ "metadata": { "name": "n" }, "spec": { "podCIDR": "10.244.0.0/24" },
                "status": { "conditions": [{ "type": "Ready", "status": "True" }] } })
                .to_string(),
            ),
        };
        if let Some(object) = object.filter(|_| of.revision == 0) {
            sender.try_send(WatchFrame::Event { kind: WatchKind::Added, revision: 1, object: object.into() }).unwrap();
        }
        sender.try_send(WatchFrame::Bookmark { revision: 1, initial: true }).unwrap();
        state.watchers.insert(of.resource, sender);
        Ok(receiver)
    }

    async fn heartbeat(&self, _: &str) -> std::result::Result<(), ControlError> {
        Ok(())
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }
}
