//! `impresario bench pods`: how long a pod takes from its creation to `Running`, as a client sees it.
use super::client::{Call, Client, ClientError, Protocol};
use super::pod_watch::{self, Became, Seen};
use super::report::{Phase, Report};
use super::site::Site;
use super::timing::{Latencies, cpu_time};
use super::{CliError, Load, Outcome};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant as Deadline, sleep, timeout_at};

/// Connections that create and delete pods at the same time.
const CONNECTIONS: u16 = 16;
/// How long to wait for the namespace's service account, without which upstream takes no pods.
const ACCOUNT: Duration = Duration::from_secs(10);
/// Pods that fail one after the other before the rest is not tried: waiting out the patience for each helps nobody.
const ENOUGH: usize = 3;

#[derive(Args, Clone, Serialize)]
pub struct PodBench {
    #[command(flatten)]
    #[serde(skip)]
    common: Load,
    /// The image to run; it should be on the nodes already, and keep running.
    #[arg(long)]
    image: String,
    /// Pods to start one after the other.
    #[arg(long, default_value_t = 100)]
    count: u32,
    /// Pods to start at once.
    #[arg(long, default_value_t = 50)]
    burst: u32,
    /// Seconds after which a pod that does not run counts as failed.
    #[arg(long, default_value_t = 120)]
    patience: u32,
}

/// A measurement under way.
struct Run<'a> {
    bench: &'a PodBench,
    namespace: String,
    seen: Receiver<Seen>,
    clients: Vec<Client>,
}

/// The measurements of one series of pods.
#[derive(Default)]
struct Series {
    starts: Latencies,
    removals: Latencies,
    errors: usize,
    first_error: Option<String>,
    /// Until every pod ran, without removing them.
    busy: Duration,
    cpu: Duration,
}

impl PodBench {
    pub async fn run(self) -> Outcome {
        let site = Site::open(&self.common).await?;
        let report = site.run(async |site: &Site| self.measure(site).await).await?;
        report.tell(&self.common)
    }

    async fn measure(&self, site: &Site) -> Result<Report<PodBench>, CliError> {
        let mut clients = site.connections(CONNECTIONS.into(), Protocol::Http1).await?;
        let watcher = clients.pop().ok_or_else(|| CliError::failed("no connection"))?;
        if let Some(client) = clients.first_mut() {
            await_account(client, &site.namespace).await?;
        }
        let seen = pod_watch::pods(watcher, &site.namespace).await.map_err(CliError::failed)?;
        let mut run = Run { bench: self, namespace: site.namespace.clone(), seen, clients };
        let mut phases = Vec::new();
        let mut one_by_one = Series::default();
        for number in 0..self.count {
            run.round(&[format!("single-{number}")], &mut one_by_one).await?;
            if one_by_one.errors >= ENOUGH {
                break;
            }
        }
        let mut at_once = Series::default();
        if one_by_one.errors < ENOUGH {
            let names: Vec<String> = (0..self.burst).map(|number| format!("burst-{number}")).collect();
            run.round(&names, &mut at_once).await?;
        }
        for (name, series) in [("one by one", one_by_one), ("burst", at_once)] {
            phases.extend(series.phases(name, self.common.pid.is_some()));
        }
        Ok(Report::new("pods", site, self.clone(), phases))
    }

    fn pod(&self, name: &str) -> String {
        let container = json!({ "name": "app", "image": self.image, "imagePullPolicy": "IfNotPresent" });
        let spec = json!({ "containers": [container], "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false });
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec }).to_string()
    }
}

/// Upstream refuses pods until the namespace has its service account. Servers without that rule just answer 404.
pub(super) async fn await_account(client: &mut Client, namespace: &str) -> Result<(), CliError> {
    let until = Instant::now() + ACCOUNT;
    while Instant::now() < until {
        match client.call(Call::get(format!("/api/v1/namespaces/{namespace}/serviceaccounts/default"))).await {
            Ok(_) => return Ok(()),
            Err(ClientError::Refused(404, _)) => sleep(Duration::from_millis(20)).await,
            Err(other) => return Err(CliError::failed(other)),
        }
    }
    Ok(())
}

impl Run<'_> {
    /// Creates pods at once, waits until they run, deletes them, and waits until they are gone.
    async fn round(&mut self, names: &[String], series: &mut Series) -> Result<(), CliError> {
        if names.is_empty() {
            return Ok(());
        }
        let cpu =
            |pid: Option<u32>| pid.map(cpu_time).transpose().map_err(|e| CliError::failed(format!("the server's process is gone: {e}")));
        let pid = self.bench.common.pid;
        let (before, begun) = (cpu(pid)?, Instant::now());
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let bench = self.bench;
        let created = self.all(names, |name| Call::post(path.clone(), bench.pod(name))).await?;
        let created = series.note_errors(created);
        self.await_all(&created, false, series).await?;
        series.busy += begun.elapsed();
        series.cpu += cpu(pid)?.zip(before).map(|(after, before)| after.saturating_sub(before)).unwrap_or_default();
        let names: Vec<String> = created.into_keys().collect();
        let deleted = self.all(&names, |name| Call::delete(format!("{path}/{name}"))).await?;
        let deleted = series.note_errors(deleted);
        self.await_all(&deleted, true, series).await
    }

    /// Makes a request per pod, over all connections; answers when each was sent, and what came of it.
    async fn all(
        &mut self,
        names: &[String],
        call: impl Fn(&str) -> Call,
    ) -> Result<Vec<(String, Instant, Option<ClientError>)>, CliError> {
        let share = names.len().div_ceil(self.clients.len().max(1)).max(1);
        let mut workers = Vec::new();
        for part in names.chunks(share) {
            let Some(mut client) = self.clients.pop() else { break };
            let calls: Vec<(String, Call)> = part.iter().map(|name| (name.clone(), call(name))).collect();
            workers.push(tokio::spawn(async move {
                let mut done = Vec::new();
                for (name, call) in calls {
                    let sent = Instant::now();
                    done.push((name, sent, client.call(call).await.err()));
                }
                (client, done)
            }));
        }
        let mut all = Vec::new();
        for worker in workers {
            let (client, done) = worker.await.map_err(CliError::failed)?;
            self.clients.push(client);
            all.extend(done);
        }
        Ok(all)
    }

    /// Waits until every pod runs (or is gone), or patience ends.
    async fn await_all(&mut self, since: &HashMap<String, Instant>, gone: bool, series: &mut Series) -> Result<(), CliError> {
        let mut open: HashSet<String> = since.keys().cloned().collect();
        let deadline = Deadline::now() + Duration::from_secs(self.bench.patience.into());
        while !open.is_empty() {
            let Ok(next) = timeout_at(deadline, self.seen.recv()).await else {
                let what = if gone { "is still there" } else { "does not run" };
                let example = open.iter().next().cloned().unwrap_or_default();
                series.error(open.len(), format!("pod {example} {what} after {} s", self.bench.patience));
                return Ok(());
            };
            let seen = next.ok_or_else(|| CliError::failed("the watch on pods ended"))?;
            let Some(sent) = since.get(&seen.pod) else { continue };
            let latency = seen.at.saturating_duration_since(*sent);
            match seen.became {
                Became::Running if !gone && open.remove(&seen.pod) => series.starts.add(latency),
                Became::Deleted if gone && open.remove(&seen.pod) => series.removals.add(latency),
                Became::Failed(why) if !gone && open.remove(&seen.pod) => series.error(1, format!("pod {}: {why}", seen.pod)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Series {
    fn error(&mut self, count: usize, what: String) {
        self.errors += count;
        self.first_error.get_or_insert(what);
    }

    /// Counts requests that failed; answers when the others were sent.
    fn note_errors(&mut self, done: Vec<(String, Instant, Option<ClientError>)>) -> HashMap<String, Instant> {
        let mut good = HashMap::new();
        for (name, sent, error) in done {
            match error {
                Some(error) => self.error(1, format!("pod {name}: {error}")),
                None => {
                    good.insert(name, sent);
                }
            }
        }
        good
    }

    fn phases(mut self, name: &str, cpu_known: bool) -> Vec<Phase> {
        let count = self.starts.len();
        let cpu = cpu_known.then(|| self.cpu.as_secs_f64() * 1000.0 / count.max(1) as f64);
        let seconds = self.busy.as_secs_f64();
        let mut phases = Vec::new();
        if count > 0 || self.errors > 0 {
            phases.push(Phase {
                operation: format!("start, {name}"),
                count,
                errors: self.errors,
                seconds,
                rate: count as f64 / seconds.max(1e-9),
                latency: self.starts.spread(),
                server_cpu_ms: cpu,
                server_cpu_seconds: cpu_known.then_some(self.cpu.as_secs_f64()),
                bytes: None,
                first_error: self.first_error.take(),
            });
        }
        let latency = self.removals.spread();
        let removed = self.removals.len();
        if removed > 0 {
            // Removals overlap only in the burst; their rate says nothing, their spread does.
            let operation = format!("removal, {name}");
            phases.push(Phase {
                operation,
                count: removed,
                errors: 0,
                seconds: 0.0,
                rate: 0.0,
                latency,
                server_cpu_ms: None,
                server_cpu_seconds: None,
                bytes: None,
                first_error: None,
            });
        }
        phases
    }
}
