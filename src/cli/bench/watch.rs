//! `impresario bench watch`: many watchers see what a few writers write. Every write carries the moment that it was sent, so that
//! each watcher can tell how long the event took, from the writer's request to the watcher's hands.
use super::audience::{Audience, Heard, Script};
use super::client::{Call, Client, Protocol};
use super::report::{Measured, Phase, Report};
use super::site::Site;
use super::timing::CpuClock;
use super::{CliError, Load, Outcome};
use clap::Args;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// How long the last events may take to arrive once the writers are done.
const TAIL: Duration = Duration::from_secs(10);

#[derive(Args, Clone, Serialize)]
pub struct WatchBench {
    #[command(flatten)]
    #[serde(skip)]
    common: Load,
    /// Watchers, all on the ConfigMaps of one namespace.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    watchers: u32,
    /// What the watchers speak: a connection for each, or many on one.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Watchers on one HTTP/2 connection.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    streams: u32,
    /// Connections that write at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    writers: u16,
    /// Writes per second, all writers together; 0 for as many as go.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// How long to write, seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// ConfigMaps that are written, in turn.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    objects: u32,
    /// Bytes of data in each.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    size: u32,
}

impl WatchBench {
    pub async fn run(self) -> Outcome {
        let site = Site::open(&self.common).await?;
        let report = site.run(async |site: &Site| self.measure(site).await).await?;
        report.tell(&self.common)
    }

    async fn measure(&self, site: &Site) -> Result<Report<WatchBench>, CliError> {
        let script = Arc::new(Script::new(&site.namespace, self.size as usize));
        let mut writers = site.connections(self.writers.into(), Protocol::Http1).await?;
        let first = writers.first_mut().ok_or_else(|| CliError::failed("no connection"))?;
        for number in 0..self.objects as usize {
            first.call(Call::post(script.collection.clone(), script.body(number))).await.map_err(CliError::failed)?;
        }
        let watching = self.connections(site).await?;
        let audience = Audience::gather(watching, first, script.clone()).await?;

        let (cpu, begun) = (CpuClock::start(self.common.pid)?, Instant::now());
        let written = self.write(writers, &script).await?;
        let wrote = begun.elapsed();
        let heard = audience.dismiss(written.latencies.len(), TAIL).await?;
        let spent = cpu.stop()?;
        Ok(Report::new("watch", site, self.clone(), phases(written, wrote, heard, begun, spent)))
    }

    /// A client for each watcher.
    async fn connections(&self, site: &Site) -> Result<Vec<Client>, CliError> {
        let count = self.watchers as usize;
        if self.protocol == Protocol::Http1 {
            return site.connections(count, Protocol::Http1).await;
        }
        let streams = self.streams as usize;
        let connections = site.connections(count.div_ceil(streams), Protocol::Http2).await?;
        Ok(connections.iter().flat_map(|client| (0..streams).map(|_| client.sibling())).take(count).collect())
    }

    /// All writers write until the time is over.
    async fn write(&self, clients: Vec<Client>, script: &Arc<Script>) -> Result<Measured, CliError> {
        let plan = Arc::new(Plan {
            begun: Instant::now(),
            length: Duration::from_secs(self.seconds.into()),
            rate: self.rate,
            objects: u64::from(self.objects),
            next: AtomicU64::new(0),
        });
        let workers: Vec<_> = clients.into_iter().map(|client| tokio::spawn(write(client, plan.clone(), script.clone()))).collect();
        let mut all = Measured::default();
        for worker in workers {
            all.merge(worker.await.map_err(CliError::failed)?);
        }
        Ok(all)
    }
}

/// What the writers share.
struct Plan {
    begun: Instant,
    length: Duration,
    /// 0: no limit.
    rate: u32,
    objects: u64,
    next: AtomicU64,
}

async fn write(mut client: Client, plan: Arc<Plan>, script: Arc<Script>) -> Measured {
    let mut measured = Measured::default();
    loop {
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        if plan.rate > 0 {
            let due = Duration::from_secs_f64(number as f64 / f64::from(plan.rate));
            if due >= plan.length {
                return measured;
            }
            sleep_until((plan.begun + due).into()).await;
        }
        if plan.begun.elapsed() >= plan.length {
            return measured;
        }
        let object = (number % plan.objects) as usize;
        let call = Call::put(script.path(object), script.body(object));
        let sent = Instant::now();
        match client.call(call).await {
            Ok(_) => measured.latencies.add(sent.elapsed()),
            Err(error) => {
                measured.error(&error);
                return measured;
            }
        }
    }
}

/// The writes, and the events that came of them. The server's CPU time is for both together, said per event and per write.
fn phases(written: Measured, wrote: Duration, heard: Heard, begun: Instant, spent: Option<Duration>) -> Vec<Phase> {
    let writes = Phase::new("write", written, wrote, spent);
    let elapsed = heard.last.map_or(wrote, |last| last.saturating_duration_since(begun));
    let events = heard.measured.latencies.len();
    let bytes = heard.bytes as f64 / events.max(1) as f64;
    let mut delivered = Phase::new("event", heard.measured, elapsed, spent);
    delivered.bytes = Some(bytes);
    vec![writes, delivered]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::audience::Lines;
    use serde_json::json;

    #[test]
    fn events_are_found_in_any_pieces_and_tell_when_they_were_sent() {
        let script = Script::new("n", 3);
        let body = String::from_utf8(script.body(7).to_vec()).unwrap();
        assert!(body.contains("\"name\":\"bench-7\"") && body.contains("\"payload\":\"xxx\""), "{body}");
        let line = |kind: &str, body: &str| format!("{{\"type\":\"{kind}\",\"object\":{body}}}\n");
        let text =
            [line("MODIFIED", &body), line("BOOKMARK", "{}"), line("MODIFIED", &json!({ "data": { "sent": "12" } }).to_string())].concat();
        for size in [1, 7, 1000] {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            text.as_bytes().chunks(size).for_each(|piece| lines.feed(piece, |line| seen.push(script.age(line).is_some())).unwrap());
            assert_eq!(seen, [true, false, true], "in pieces of {size}");
        }
        assert!(Lines::default().feed(&vec![b'x'; 9 << 20], |_| {}).is_err(), "no line is that long");
    }
}
