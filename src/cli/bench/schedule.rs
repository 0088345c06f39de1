//! `impresario bench schedule`: how fast many pods get their nodes, as a client sees it.
use super::backlog::Gate;
use super::client::{Call, Client, ClientError, Protocol};
use super::pod_watch::Condition;
use super::pods::await_account;
use super::report::{Measured, Phase, Report};
use super::simulated::Nodes;
use super::site::Site;
use super::timing::{Latencies, cpu_time};
use super::{CliError, Load, Outcome, pod_watch};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant as Deadline, timeout_at};

#[derive(Args, Clone, Serialize)]
pub struct ScheduleBench {
    #[command(flatten)]
    #[serde(skip)]
    common: Load,
    #[command(flatten)]
    #[serde(skip)]
    nodes: Nodes,
    /// Pods to create.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pods: u32,
    /// Connections that create pods at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Pods of a group keep to different nodes; the groups are half as large as there are nodes.
    #[arg(long)]
    anti_affinity: bool,
    /// The pods are spread evenly over the zones.
    #[arg(long)]
    spread: bool,
    /// First all pods are created, and kept off every node by one pod's anti-affinity; measured is from the moment at which that pod is
    /// deleted.
    #[arg(long)]
    backlog: bool,
    /// Don't wait until the pods run.
    #[arg(long)]
    bound_only: bool,
    /// Seconds after which a pod without a node counts as failed.
    #[arg(long, default_value_t = 300)]
    patience: u32,
}

/// The label `app` of the pods.
const APP: &str = "bench";

/// What the watch says of a pod.
struct Seen {
    pod: String,
    /// The scheduler has said that it has no node for it.
    refused: bool,
    bound: bool,
    running: bool,
    at: Instant,
}

impl ScheduleBench {
    pub async fn run(self) -> Outcome {
        let site = Site::open(&self.common).await?;
        let report = site.run(async |site: &Site| self.measure(site).await).await?;
        report.tell(&self.common)
    }

    async fn measure(&self, site: &Site) -> Result<Report<Value>, CliError> {
        let _fleet = self.nodes.ready(site).await?;
        let mut clients = site.connections(self.connections.saturating_add(1).into(), Protocol::Http1).await?;
        let watcher = clients.pop().ok_or_else(|| CliError::failed("no connection"))?;
        if let Some(client) = clients.first_mut() {
            await_account(client, &site.namespace).await?;
        }
        let path = format!("/api/v1/namespaces/{}/pods", site.namespace);
        let mut seen = pod_watch::follow(watcher, format!("{path}?watch=1&timeoutSeconds=3600&labelSelector=app%3D{APP}"), told)
            .await
            .map_err(CliError::failed)?;
        let cpu = || self.common.pid.map(cpu_time).transpose().map_err(|e| CliError::failed(format!("the server's process is gone: {e}")));
        let patience = Duration::from_secs(self.patience.into());
        let gate = if self.backlog { Some(Gate::before(site, &json!({ "app": APP })).await?) } else { None };
        let (mut before, mut begun) = (cpu()?, Instant::now());
        let creating = tokio::spawn(create(clients, path, Arc::new(self.bodies())));
        let mut followed = Followed::new(self.pods as usize, !self.bound_only);
        let created = match gate {
            None => {
                followed.follow(seen, patience, &cpu).await?;
                creating.await.map_err(CliError::failed)??
            }
            Some(gate) => {
                refused(self.pods as usize, &mut seen, patience).await?;
                let mut created = creating.await.map_err(CliError::failed)??;
                (before, begun) = (cpu()?, Instant::now());
                gate.open(site).await?;
                created.values_mut().for_each(|at| *at = begun);
                followed.follow(seen, patience, &cpu).await?;
                created
            }
        };
        Ok(Report::new("schedule", site, self.settings()?, followed.phases(&created, begun, before)))
    }

    /// The settings as they stand in the report.
    fn settings(&self) -> Result<Value, CliError> {
        let mut settings = serde_json::to_value(self).map_err(CliError::failed)?;
        settings["nodes"] = self.nodes.nodes.into();
        Ok(settings)
    }

    fn bodies(&self) -> Vec<String> {
        let groups = (self.pods * 2).div_ceil(self.nodes.nodes.max(1)).max(1);
        (0..self.pods).map(|number| self.pod(number, number % groups).to_string()).collect()
    }

    fn pod(&self, number: u32, group: u32) -> Value {
        let requests = json!({ "cpu": "100m", "memory": "128Mi" });
        let container = json!({ "name": "app", "image": "registry.k8s.io/pause:3.10", "resources": { "requests": requests } });
        let mut spec = json!({ "containers": [container], "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1 });
        let labels = json!({ "app": APP, "group": format!("g{group}") });
        if self.anti_affinity {
            let term = json!({ "labelSelector": { "matchLabels": { "group": labels["group"] } }, "topologyKey": "kubernetes.io/hostname" });
            spec["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [term] } });
        }
        if self.spread {
            spec["topologySpreadConstraints"] = json!([{
                "maxSkew": 5, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": { "matchLabels": { "app": APP } },
            }]);
        }
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name_of(number), "labels": labels }, "spec": spec })
    }
}

fn name_of(number: u32) -> String {
    format!("pod-{number}")
}

/// Waits until the scheduler has refused so many pods.
async fn refused(count: usize, seen: &mut Receiver<Seen>, patience: Duration) -> Result<(), CliError> {
    let (mut told, deadline) = (HashSet::new(), Deadline::now() + patience);
    while told.len() < count {
        let next = timeout_at(deadline, seen.recv()).await;
        let next = next.map_err(|_| CliError::failed(format!("the scheduler has looked at {} of {count} pods", told.len())))?;
        let next = next.ok_or_else(|| CliError::failed("the watch on pods ended"))?;
        if next.bound {
            return Err(CliError::failed("a pod got a node that should have been held back: not all nodes run the same system"));
        }
        if next.refused {
            told.insert(next.pod);
        }
    }
    Ok(())
}

/// Creates all pods; answers when each was sent, by name.
async fn create(clients: Vec<Client>, path: String, bodies: Arc<Vec<String>>) -> Result<HashMap<String, Instant>, CliError> {
    let next = Arc::new(AtomicU32::new(0));
    let workers = clients.into_iter().map(|mut client| {
        let (path, bodies, next) = (path.clone(), bodies.clone(), next.clone());
        tokio::spawn(async move {
            let mut sent = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(body) = bodies.get(number as usize) else { return Ok::<_, ClientError>(sent) };
                sent.push((name_of(number), Instant::now()));
                client.call(Call::post(path.clone(), body.clone())).await?;
            }
        })
    });
    let mut all = HashMap::with_capacity(bodies.len());
    for worker in workers.collect::<Vec<_>>() {
        let sent = worker.await.map_err(CliError::failed)?;
        all.extend(sent.map_err(|e| CliError::failed(format!("a pod could not be created: {e}")))?);
    }
    Ok(all)
}

/// When pods were seen to have a node, and to run.
struct Followed {
    wanted: usize,
    until_running: bool,
    bound: HashMap<String, Instant>,
    running: HashMap<String, Instant>,
    /// The server's CPU time when the last pod was bound, and when it ran.
    cpu_bound: Option<Duration>,
    cpu_running: Option<Duration>,
}

impl Followed {
    fn new(wanted: usize, until_running: bool) -> Followed {
        Followed { wanted, until_running, bound: HashMap::new(), running: HashMap::new(), cpu_bound: None, cpu_running: None }
    }

    /// Follows the pods until all are where they should be, or patience ends.
    async fn follow(
        &mut self,
        mut seen: Receiver<Seen>,
        patience: Duration,
        cpu: &impl Fn() -> Result<Option<Duration>, CliError>,
    ) -> Result<(), CliError> {
        let deadline = Deadline::now() + patience;
        while self.bound.len() < self.wanted || (self.until_running && self.running.len() < self.wanted) {
            let Ok(next) = timeout_at(deadline, seen.recv()).await else { return Ok(()) };
            let Seen { pod, bound, running, at, .. } = next.ok_or_else(|| CliError::failed("the watch on pods ended"))?;
            if bound && !self.bound.contains_key(&pod) {
                self.bound.insert(pod.clone(), at);
                if self.bound.len() == self.wanted {
                    self.cpu_bound = cpu()?;
                }
            }
            if running {
                self.running.entry(pod).or_insert(at);
            }
        }
        self.cpu_running = cpu()?;
        Ok(())
    }

    fn phases(self, created: &HashMap<String, Instant>, begun: Instant, before: Option<Duration>) -> Vec<Phase> {
        let spent = |after: Option<Duration>| after.zip(before).map(|(after, before)| after.saturating_sub(before));
        let missing = |of: &HashMap<String, Instant>, what: &str| {
            let example = created.keys().find(|pod| !of.contains_key(*pod));
            (self.wanted.saturating_sub(of.len()), example.map(|pod| format!("pod {pod} {what}")))
        };
        let mut phases = Vec::new();
        let (errors, first_error) = missing(&self.bound, "has no node");
        let (latencies, elapsed) = since(&self.bound, created, begun);
        let measured = Measured { latencies, errors, first_error };
        phases.push(Phase::new("created to bound", measured, elapsed, spent(self.cpu_bound)));
        if self.until_running {
            let (errors, first_error) = missing(&self.running, "does not run");
            let (latencies, elapsed) = since(&self.running, created, begun);
            let measured = Measured { latencies, errors, first_error };
            phases.push(Phase::new("created to running", measured, elapsed, spent(self.cpu_running)));
        }
        phases
    }
}

/// From each pod's creation, and from the first creation to the last event.
fn since(seen: &HashMap<String, Instant>, created: &HashMap<String, Instant>, begun: Instant) -> (Latencies, Duration) {
    let mut latencies = Latencies::default();
    for (pod, at) in seen {
        if let Some(sent) = created.get(pod) {
            latencies.add(at.saturating_duration_since(*sent));
        }
    }
    let last = seen.values().max().copied().unwrap_or(begun);
    (latencies, last.saturating_duration_since(begun))
}

fn told(line: &[u8], at: Instant) -> Option<Seen> {
    #[derive(Deserialize)]
    struct Line {
        object: Pod,
    }
    #[derive(Deserialize)]
    struct Pod {
        metadata: Meta,
        #[serde(default)]
        spec: Spec,
        #[serde(default)]
        status: Status,
    }
    #[derive(Deserialize)]
    struct Meta {
        name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Spec {
        node_name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        phase: String,
        conditions: Vec<Condition>,
    }
    let Line { object } = serde_json::from_slice(line).ok()?;
    let (bound, running) = (!object.spec.node_name.is_empty(), object.status.phase == "Running");
    let refused = object.status.conditions.iter().any(|c| c.kind == "PodScheduled" && c.status == "False");
    Some(Seen { pod: object.metadata.name, refused, bound, running, at })
}
