//! What the documents that this project began with say of Kubernetes, played with the manifests that they print: a scene for each
//! of their chapters, on a cluster of their own. `table.yaml` names for every statement the test that shows it, here or elsewhere.
//!
//! The manifests are as printed, but for what print has done to them: tabs before comments and lists that lost their indentation
//! are no YAML, and kubectl would not send them to anybody. The images have the documents' names, and come from a registry on
//! loopback as they would come from the one that the documents mean.
mod configuration;
mod controllers;
mod lives;
mod pods;
mod rollouts;
mod services;
mod table;

use crate::busybox::{self, IMAGE};
use crate::cluster::{Cluster, Options, own_addresses};
use crate::conformance_apps::Place;
use crate::node_images::registry::Registry;
use serde_json::Value;
use std::sync::{Mutex, OnceLock};

const GPU: &str = include_str!("manifests/gpu.yaml");
const LIVENESS: &str = include_str!("manifests/liveness.yaml");
const LIVENESS_LATER: &str = include_str!("manifests/liveness-later.yaml");
const CONTROLLER: &str = include_str!("manifests/controller.yaml");
const REPLICA_SET: &str = include_str!("manifests/replica-set.yaml");
const JOB: &str = include_str!("manifests/job.yaml");
const SERVICE: &str = include_str!("manifests/service.yaml");
const SERVICE_AFFINITY: &str = include_str!("manifests/service-affinity.yaml");
const SERVICE_PORTS: &str = include_str!("manifests/service-ports.yaml");
const AUTOSCALER: &str = include_str!("manifests/autoscaler.yaml");

/// A web server that has nothing for whoever asks it how it is.
const UNHEALTHY: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; mkdir /www; busybox httpd -f -p 8080 -h /www & wait"];
const BATCH_JOB: [&str; 3] = ["sh", "-c", "echo at work; sleep 1; echo finished"];

/// The cluster of the scenes, with a node and the images of the documents.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    static STOP: OnceLock<&'static Cluster> = OnceLock::new();
    static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);
    extern "C" fn stop() {
        if let Some(cluster) = STOP.get() {
            cluster.purge();
            let _ = std::fs::remove_dir_all(cluster.scratch());
        }
        if let Ok(mut registry) = REGISTRY.lock() {
            drop(registry.take());
        }
    }
    let cluster = CLUSTER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary directory").keep();
        let registry = Registry::start(&folder);
        for (name, command) in [("luksa/kubia-unhealthy:latest", UNHEALTHY), ("luksa/batch-job:latest", BATCH_JOB)] {
            let archive = busybox::archive_that(&folder, name, &command);
            registry.copy(&format!("oci-archive:{}", archive.display()), name);
        }
        let mirror = |name: &str| format!("{{from: docker.io/luksa/{name}, to: 'localhost:{}/luksa/{name}'}}", registry.port);
        let mirrors = [mirror("kubia-unhealthy"), mirror("batch-job")].join(", ");
        let config = format!("{}images: {{mirrors: [{mirrors}]}}\n", own_addresses());
        *REGISTRY.lock().expect("no panic while held") = Some(registry);
        let cluster = Cluster::prepare(Options { name: "documents", config, ..Options::default() });
        busybox::import(&cluster, IMAGE);
        cluster.spawn();
        cluster.wait_ready();
        cluster
    });
    STOP.get_or_init(|| {
        // A static is never dropped, so the end of the process does it.
        // SAFETY: `stop` takes nothing, unwinds nowhere and outlives the process.
        unsafe { libc::atexit(stop) };
        cluster
    });
    cluster
}

/// A namespace of one's own there.
fn place(scene: &str) -> Place {
    Place::at(cluster(), &format!("documents-{scene}"))
}

/// The pod's only or first container, as its status tells of it.
fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

/// The messages of the events of one reason about one object.
fn events(place: &mut Place, name: &str, reason: &str) -> Vec<String> {
    let list = place.items("v1", &format!("events?fieldSelector=involvedObject.name%3D{name}%2Creason%3D{reason}"));
    list.iter().filter_map(|e| e["message"].as_str().map(String::from)).collect()
}
