//! The API from outside, over TLS, by a client that looks at every header and byte: one server without a node for all of them.
mod access;
mod aggregation;
mod autoscaling;
pub mod client;
mod conversion;
mod custom;
pub mod extension;
mod hostile;
mod lists;
mod objects;
mod outside;
mod races;
mod refusals;
mod removed;
mod shapes;
mod subresources;
pub mod versions;
mod watches;

use crate::cluster::{Cluster, Options};
use client::Client;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The server that the tests share.
pub fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    extern "C" fn stop() {
        if let Some(server) = SERVER.get() {
            server.kill();
            let _ = std::fs::remove_dir_all(server.scratch());
        }
    }
    SERVER.get_or_init(|| {
        let users = "users:\n  - {token: token-of-jane-0123456789abcdef, name: jane, groups: [dev]}\n";
        let server = Cluster::start(Options { name: "api", no_node: true, config: users.into(), ..Options::default() });
        // SAFETY: `stop` takes nothing, unwinds nowhere and outlives the process. A static is never dropped.
        unsafe { libc::atexit(stop) };
        server
    })
}

/// The administrator over HTTP/1.1.
pub fn admin() -> Client {
    Client::of(&server().kubeconfig(), "http/1.1")
}

/// A place of one's own: the path of ConfigMaps in a fresh namespace.
pub struct Place {
    pub api: Client,
    pub namespace: String,
    /// `/api/v1/namespaces/<own>/configmaps`
    pub maps: String,
}

impl Place {
    pub async fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let api = admin();
        api.post("/api/v1/namespaces", &json!({ "metadata": { "name": namespace } })).await.ok();
        let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
        // Every namespace is given this one; it shall not come in between.
        let given = format!("{maps}?watch=1&fieldSelector=metadata.name%3Dkube-root-ca.crt");
        assert_eq!(api.watch(&given).await.line().await, "ADDED kube-root-ca.crt");
        Place { api, maps, namespace }
    }

    /// The path of another kind in the namespace.
    pub fn path(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.namespace)
    }

    /// Makes a ConfigMap with one entry `k` and maybe labels.
    pub async fn map(&self, name: &str, value: &str, labels: Value) -> Value {
        self.api.post(&self.maps, &map(name, value, labels)).await.ok()
    }

    pub async fn revision(&self) -> String {
        let list = self.api.get(&format!("{}?limit=1", self.maps)).await.ok();
        list["metadata"]["resourceVersion"].as_str().expect("a revision").to_string()
    }
}

/// Waits until `found` finds something in the object at a path.
pub async fn until<T>(api: &Client, path: &str, what: &str, found: impl Fn(&Value) -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        let object = api.get(path).await.json();
        if let Some(found) = found(&object) {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {object:#}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

pub fn map(name: &str, value: &str, labels: Value) -> Value {
    let labels = if labels.is_null() { json!({}) } else { labels };
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": labels }, "data": { "k": value } })
}

/// A pod that no scheduler looks at, so that nobody but the test changes it.
pub fn pod(name: &str) -> Value {
    let spec = json!({ "schedulerName": "nobody", "containers": [{ "name": "c", "image": "i" }] });
    json!({ "metadata": { "name": name, "labels": { "app": "x" } }, "spec": spec })
}

/// The names in a list.
pub fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|i| i["metadata"]["name"].as_str().unwrap_or_default().to_string()).collect()
}
