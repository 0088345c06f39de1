//! `impresario bench objects`: a cluster with very many objects. What they take of the server's memory, how long it takes to list
//! them, and how long the server takes to come back with them.
use super::api::{escaped, next_page};
use super::client::{Call, Client, Protocol};
use super::report::{Measured, Memory, Phase, Report};
use super::site::Site;
use super::timing::{CpuClock, memory};
use super::{CliError, Load, Outcome};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// Connections that create objects at the same time.
const CONNECTIONS: usize = 16;
/// Objects per page, as client-go pages.
const PAGE: usize = 500;
/// Whole lists that are made, one after the other.
const WHOLE_LISTS: usize = 5;
/// How long a restarted server may take.
const RESTART_LIMIT: Duration = Duration::from_secs(300);
/// Between two looks whether the server is there.
const LOOK: Duration = Duration::from_millis(2);

#[derive(Args, Clone, Serialize)]
pub struct ObjectBench {
    #[command(flatten)]
    #[serde(skip)]
    common: Load,
    /// ConfigMaps to create.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Bytes of data in each.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    size: u32,
    /// A shell command that ends the server and starts it again, on the same data and port. Measured is the time from the last
    /// answer of the old one to the first `/readyz` of the new one that says ok.
    #[arg(long)]
    restart_cmd: Option<String>,
}

impl ObjectBench {
    pub async fn run(self) -> Outcome {
        let site = Site::open(&self.common).await?;
        let report = site.run(async |site: &Site| self.measure(site).await).await?;
        report.tell(&self.common)
    }

    async fn measure(&self, site: &Site) -> Result<Report<ObjectBench>, CliError> {
        let clients = site.connections(CONNECTIONS, Protocol::Http1).await?;
        let mut reader = Client::new(site.access.clone());
        let before = self.memory()?;
        let collection = format!("/api/v1/namespaces/{}/configmaps", site.namespace);
        let mut phases = vec![self.create(clients, &collection).await?];
        let created = self.memory()?;
        phases.push(self.whole_lists(&mut reader, &collection).await?);
        phases.push(self.pages(&mut reader, &collection).await?);
        let memory = before.zip(created).zip(self.memory()?).map(|((before, created), listed)| Memory { before, created, listed });
        if let Some(command) = &self.restart_cmd {
            phases.push(restart(site, command, &collection, self.count as usize).await?);
        }
        Ok(Report { memory, ..Report::new("objects", site, self.clone(), phases) })
    }

    fn memory(&self) -> Result<Option<u64>, CliError> {
        let read = |pid| memory(pid).map_err(|e| CliError::failed(format!("the server's process is gone: {e}")));
        self.common.pid.map(read).transpose()
    }

    async fn create(&self, clients: Vec<Client>, collection: &str) -> Result<Phase, CliError> {
        let (cpu, begun) = (CpuClock::start(self.common.pid)?, Instant::now());
        let (next, count) = (Arc::new(AtomicUsize::new(0)), self.count as usize);
        let payload: Arc<str> = "x".repeat(self.size as usize).into();
        let workers: Vec<_> = clients
            .into_iter()
            .map(|client| tokio::spawn(create(client, collection.to_string(), payload.clone(), next.clone(), count)))
            .collect();
        let mut all = Measured::default();
        for worker in workers {
            all.merge(worker.await.map_err(CliError::failed)?);
        }
        Ok(Phase::new("create", all, begun.elapsed(), cpu.stop()?))
    }

    async fn whole_lists(&self, client: &mut Client, collection: &str) -> Result<Phase, CliError> {
        let (cpu, begun) = (CpuClock::start(self.common.pid)?, Instant::now());
        let (mut measured, mut bytes) = (Measured::default(), 0);
        for _ in 0..WHOLE_LISTS {
            bytes += timed(client, collection.to_string(), &mut measured).await.len();
        }
        Ok(listed("list (whole)", measured, begun, cpu.stop()?, bytes))
    }

    async fn pages(&self, client: &mut Client, collection: &str) -> Result<Phase, CliError> {
        let (cpu, begun) = (CpuClock::start(self.common.pid)?, Instant::now());
        let (mut measured, mut bytes, mut position) = (Measured::default(), 0, String::new());
        loop {
            let from = if position.is_empty() { String::new() } else { format!("&continue={}", escaped(&position)) };
            let body = timed(client, format!("{collection}?limit={PAGE}{from}"), &mut measured).await;
            bytes += body.len();
            position = next_page(&body);
            if position.is_empty() {
                return Ok(listed("list (page of 500)", measured, begun, cpu.stop()?, bytes));
            }
        }
    }
}

fn listed(operation: &str, measured: Measured, begun: Instant, cpu: Option<Duration>, bytes: usize) -> Phase {
    let mut phase = Phase::new(operation, measured, begun.elapsed(), cpu);
    phase.bytes = Some(bytes as f64 / phase.count.max(1) as f64);
    phase
}

/// One GET; an empty answer when it failed.
async fn timed(client: &mut Client, path: String, measured: &mut Measured) -> bytes::Bytes {
    let begun = Instant::now();
    match client.call(Call::get(path)).await {
        Ok(body) => {
            measured.latencies.add(begun.elapsed());
            body
        }
        Err(error) => {
            measured.error(&error);
            bytes::Bytes::new()
        }
    }
}

async fn create(mut client: Client, collection: String, payload: Arc<str>, next: Arc<AtomicUsize>, count: usize) -> Measured {
    let mut measured = Measured::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return measured;
        }
        let metadata = json!({ "name": format!("bench-{number}") });
        let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "payload": &*payload } });
        let begun = Instant::now();
        match client.call(Call::post(collection.clone(), body.to_string())).await {
            Ok(_) => measured.latencies.add(begun.elapsed()),
            Err(error) => {
                measured.error(&error);
                return measured;
            }
        }
    }
}

/// Runs the command, waits until the server has gone and is back, and looks whether the objects are there.
async fn restart(site: &Site, command: &str, collection: &str, count: usize) -> Result<Phase, CliError> {
    let spawned = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = spawned.map_err(|e| CliError::failed(format!("cannot run sh: {e}")))?;
    let ready = async |client: &mut Client| client.call(Call::get("/readyz")).await.is_ok();
    let waited = timeout(RESTART_LIMIT, async {
        let (mut client, mut last) = (Client::new(site.access.clone()), Instant::now());
        while ready(&mut client).await {
            last = Instant::now();
            sleep(LOOK).await;
        }
        // A new server is reached by new connections only.
        while !ready(&mut Client::new(site.access.clone())).await {
            sleep(LOOK).await;
        }
        last.elapsed()
    });
    let Ok(gone) = waited.await else {
        // It goes on by itself, or not.
        drop(child.start_kill());
        return Err(CliError::failed(format!("no restarted server within {} s of `{command}`", RESTART_LIMIT.as_secs())));
    };
    let mut measured = Measured::default();
    measured.latencies.add(gone);
    let page = Client::new(site.access.clone()).call(Call::get(format!("{collection}?limit=1"))).await.map_err(CliError::failed)?;
    let page: serde_json::Value = serde_json::from_slice(&page).map_err(CliError::failed)?;
    let left = page["metadata"]["remainingItemCount"].as_u64().unwrap_or(0) as usize + 1;
    if left < count {
        return Err(CliError::failed(format!("{left} of {count} objects are there after the restart")));
    }
    drop(child.try_wait());
    Ok(Phase::new("restart", measured, gone, None))
}
