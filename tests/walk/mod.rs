//! A walk over every kind that the server has, today's versions and those that Kubernetes has removed: the same steps for all of
//! them, by a client that looks at the bytes and by kubectl. What a kind needs for it is a line in the table.
mod kubectl;
mod table;
mod verbs;
mod views;

use crate::api::client::Client;
use crate::cluster::{Cluster, Options};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use table::{Case, cases};

/// The namespace of what has one.
const NAMESPACE: &str = "walk";
/// What is served today and stored as another kind.
const VIEWS: [&str; 2] = ["autoscaling/v1 horizontalpodautoscalers", "events.k8s.io/v1 events"];
/// So many kinds are walked at the same time.
const AT_ONCE: usize = 4;

/// The server that the tests share.
/// The two walks use the same names: one after the other.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    extern "C" fn stop() {
        if let Some(server) = SERVER.get() {
            server.kill();
            let _ = std::fs::remove_dir_all(server.scratch());
        }
    }
    SERVER.get_or_init(|| {
        let server = Cluster::start(Options { name: "walk", no_node: true, ..Options::default() });
        // SAFETY: `stop` takes nothing, unwinds nowhere and outlives the process. A static is never dropped.
        unsafe { libc::atexit(stop) };
        server
    })
}

fn admin() -> Client {
    Client::of(&server().kubeconfig(), "http/1.1")
}

/// A resource as discovery tells of it.
#[derive(Clone)]
struct Resource {
    /// `apps/v1`
    version: String,
    kind: String,
    plural: String,
    namespaced: bool,
    verbs: Vec<String>,
    subresources: Vec<String>,
}

impl Resource {
    /// As the table names it.
    fn of(&self) -> String {
        format!("{} {}", self.version, self.plural)
    }

    fn collection(&self, namespace: &str) -> String {
        let root = if self.version.contains('/') { "/apis" } else { "/api" };
        let scope = if self.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        format!("{root}/{}{scope}/{}", self.version, self.plural)
    }

    fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|s| s == subresource)
    }
}

/// Everything that discovery lists and that can be created and listed.
async fn resources(api: &Client) -> Vec<Resource> {
    let mut versions = vec!["v1".to_string()];
    for group in list(&api.get("/apis").await.ok()["groups"]) {
        versions.extend(list(&group["versions"]).iter().map(|v| text(&v["groupVersion"])));
    }
    let mut all = Vec::new();
    for version in versions {
        let root = if version.contains('/') { "/apis" } else { "/api" };
        let given = list(&api.get(&format!("{root}/{version}")).await.ok()["resources"]);
        for resource in given.iter().filter(|r| !text(&r["name"]).contains('/')) {
            let plural = text(&resource["name"]);
            let parts = given.iter().filter_map(|r| r["name"].as_str()?.strip_prefix(&format!("{plural}/")).map(String::from));
            all.push(Resource {
                version: version.clone(),
                kind: text(&resource["kind"]),
                namespaced: resource["namespaced"] == true,
                verbs: list(&resource["verbs"]).iter().map(text).collect(),
                subresources: parts.collect(),
                plural,
            });
        }
    }
    all.retain(|r| r.can("create") && r.can("list"));
    all
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

/// The good manifest of a case.
fn manifest(case: &Case, resource: &Resource) -> Value {
    let mut object: Value = serde_yaml::from_str(case.good).unwrap_or_else(|e| panic!("{}: {e}", case.of));
    object["apiVersion"] = resource.version.as_str().into();
    object["kind"] = resource.kind.as_str().into();
    if object["metadata"]["name"].is_null() {
        object["metadata"] = json!({ "name": "w" });
    }
    if resource.namespaced {
        object["metadata"]["namespace"] = NAMESPACE.into();
    }
    object
}

/// The same, made bad.
fn spoilt(case: &Case, good: &Value) -> Value {
    let (pointer, value) = case.bad;
    let value: Value = serde_yaml::from_str(value).unwrap_or_else(|e| panic!("{}: {e}", case.of));
    let mut object = good.clone();
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    let place = object.pointer_mut(parent).unwrap_or_else(|| panic!("{}: no {parent}", case.of));
    place[field.replace("~1", "/")] = value;
    object
}

#[tokio::test]
async fn every_kind_by_every_verb() {
    let _turn = TURN.lock().await;
    let api = admin();
    api.post("/api/v1/namespaces", &json!({ "metadata": { "name": NAMESPACE } })).await.ok();
    let table: BTreeMap<&str, &Case> = cases().into_iter().map(|case| (case.of, case)).collect();
    let resources = resources(&api).await;
    // Versions of one kind share their objects, so they come one after the other.
    let mut walks: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
    for resource in &resources {
        walks.entry(resource.plural.clone()).or_default().push(resource.clone());
    }
    let mut faults: Vec<String> =
        table.keys().filter(|of| !resources.iter().any(|r| r.of() == **of)).map(|of| format!("{of} is not served")).collect();
    let table = &table;
    let walk = move |versions: Vec<Resource>| async move {
        let api = admin();
        let mut faults = Vec::new();
        for resource in &versions {
            let own = table.get(resource.of().as_str()).copied();
            let (case, good) = match own {
                Some(case) => (Some(case), Ok(manifest(case, resource))),
                None => {
                    let today = versions.iter().find_map(|r| Some((*table.get(r.of().as_str())?, r)).filter(|_| r.kind == resource.kind));
                    (None, views::seen_as(&api, resource, today).await)
                }
            };
            let found = match good {
                Ok(good) => verbs::walk(&api, resource, case, &good).await,
                Err(fault) => vec![fault],
            };
            faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", resource.of())));
        }
        faults
    };
    let found: Vec<Vec<String>> = stream::iter(walks.into_values().map(walk)).buffer_unordered(AT_ONCE).collect().await;
    faults.extend(found.into_iter().flatten());
    faults.sort();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
