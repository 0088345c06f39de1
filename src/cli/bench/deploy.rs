//! `impresario bench deploy`: how long a Deployment takes from its creation to all replicas being ready, and to their being gone.
use super::client::{Call, Protocol};
use super::pods::await_account;
use super::report::{Measured, Phase, Report};
use super::simulated::Nodes;
use super::site::Site;
use super::timing::{Latencies, cpu_time};
use super::{CliError, Load, Outcome, pod_watch};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant as Deadline, timeout_at};

#[derive(Args, Clone, Serialize)]
pub struct DeployBench {
    #[command(flatten)]
    #[serde(skip)]
    common: Load,
    #[command(flatten)]
    #[serde(skip)]
    nodes: Nodes,
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    replicas: u32,
    /// Deployments, one after the other.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds after which a Deployment counts as failed.
    #[arg(long, default_value_t = 300)]
    patience: u32,
}

/// A Deployment's figures at a moment.
struct Seen {
    name: String,
    ready: u32,
    replicas: u32,
    at: Instant,
}

impl DeployBench {
    pub async fn run(self) -> Outcome {
        let site = Site::open(&self.common).await?;
        let report = site.run(async |site: &Site| self.measure(site).await).await?;
        report.tell(&self.common)
    }

    async fn measure(&self, site: &Site) -> Result<Report<Value>, CliError> {
        let _fleet = self.nodes.ready(site).await?;
        let mut clients = site.connections(2, Protocol::Http1).await?;
        let (Some(watcher), Some(mut client)) = (clients.pop(), clients.pop()) else { return Err(CliError::failed("no connection")) };
        await_account(&mut client, &site.namespace).await?;
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", site.namespace);
        let watched = pod_watch::follow(watcher, format!("{path}?watch=1&timeoutSeconds=3600"), told).await;
        let mut seen = watched.map_err(CliError::failed)?;
        let cpu = || self.common.pid.map(cpu_time).transpose().map_err(|e| CliError::failed(format!("the server's process is gone: {e}")));
        let (mut up, mut down) = (Tally::default(), Tally::default());
        for round in 0..self.rounds {
            let name = format!("bench-{round}");
            let (before, begun) = (cpu()?, Instant::now());
            client.call(Call::post(path.clone(), self.deployment(&name).to_string())).await.map_err(CliError::failed)?;
            let at = self.reached(&mut seen, &name, self.replicas).await?;
            up.add(at.saturating_duration_since(begun), before.zip(cpu()?));
            let (before, begun) = (cpu()?, Instant::now());
            let scale = json!({ "spec": { "replicas": 0 } }).to_string();
            client.call(Call::merge_patch(format!("{path}/{name}"), scale)).await.map_err(CliError::failed)?;
            let at = self.reached(&mut seen, &name, 0).await?;
            down.add(at.saturating_duration_since(begun), before.zip(cpu()?));
        }
        let phases = vec![up.phase(format!("created to {} ready", self.replicas)), down.phase(format!("{} to none", self.replicas))];
        let mut settings = serde_json::to_value(self).map_err(CliError::failed)?;
        settings["nodes"] = self.nodes.nodes.into();
        Ok(Report::new("deploy", site, settings, phases))
    }

    /// Waits until the Deployment has so many replicas, all ready.
    async fn reached(&self, seen: &mut Receiver<Seen>, name: &str, wanted: u32) -> Result<Instant, CliError> {
        let deadline = Deadline::now() + Duration::from_secs(self.patience.into());
        let mut ready = 0;
        loop {
            let Ok(next) = timeout_at(deadline, seen.recv()).await else {
                let why = format!("{ready} of {wanted} replicas are ready after {} s", self.patience);
                return Err(CliError::failed(why));
            };
            let next = next.ok_or_else(|| CliError::failed("the watch on Deployments ended"))?;
            if next.name != name {
                continue;
            }
            ready = next.ready;
            if next.ready == wanted && next.replicas == wanted {
                return Ok(next.at);
            }
        }
    }

    fn deployment(&self, name: &str) -> Value {
        let labels = json!({ "app": name });
        let requests = json!({ "cpu": "100m", "memory": "128Mi" });
        let container = json!({ "name": "app", "image": "registry.k8s.io/pause:3.10", "resources": { "requests": requests } });
        let pod = json!({ "containers": [container], "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1 });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
            "spec": {
                "replicas": self.replicas, "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": pod },
            },
        })
    }
}

/// Times of one kind of step.
#[derive(Default)]
struct Tally {
    latencies: Latencies,
    busy: Duration,
    cpu: Option<Duration>,
}

impl Tally {
    fn add(&mut self, took: Duration, cpu: Option<(Duration, Duration)>) {
        self.latencies.add(took);
        self.busy += took;
        if let Some((before, after)) = cpu {
            self.cpu = Some(self.cpu.unwrap_or_default() + after.saturating_sub(before));
        }
    }

    fn phase(self, operation: String) -> Phase {
        let measured = Measured { latencies: self.latencies, ..Measured::default() };
        Phase::new(&operation, measured, self.busy, self.cpu)
    }
}

fn told(line: &[u8], at: Instant) -> Option<Seen> {
    #[derive(Deserialize)]
    struct Line {
        object: Deployment,
    }
    #[derive(Deserialize)]
    struct Deployment {
        metadata: Meta,
        spec: Spec,
        #[serde(default)]
        status: Status,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Meta {
        name: String,
        #[serde(default)]
        generation: u64,
    }
    #[derive(Deserialize)]
    struct Spec {
        replicas: u32,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Status {
        observed_generation: u64,
        ready_replicas: u32,
        replicas: u32,
    }
    let Line { object: Deployment { metadata, spec, status } } = serde_json::from_slice(line).ok()?;
    // A status that is older than the spec says nothing about it.
    let current = status.observed_generation >= metadata.generation && status.replicas == spec.replicas;
    current.then_some(Seen { name: metadata.name, ready: status.ready_replicas, replicas: status.replicas, at })
}
