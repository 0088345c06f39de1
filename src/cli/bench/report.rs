//! Results, as a table for people and as JSON for programs.
use super::client::ClientError;
use super::site::Site;
use super::timing::{Latencies, Spread};
use super::{CliError, Load, Outcome};
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;
use std::time::Duration;

/// One kind of operation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Phase {
    pub operation: String,
    /// Operations that succeeded.
    pub count: usize,
    pub errors: usize,
    pub seconds: f64,
    /// Successful operations per second.
    pub rate: f64,
    /// Milliseconds.
    pub latency: Spread,
    /// Milliseconds of the server's CPU per successful operation, when its process is known.
    pub server_cpu_ms: Option<f64>,
    /// The same in all, seconds.
    pub server_cpu_seconds: Option<f64>,
    /// Bytes received per successful operation, where that matters.
    pub bytes: Option<f64>,
    pub first_error: Option<String>,
}

/// What one worker, or all of them, measured.
#[derive(Default)]
pub(super) struct Measured {
    pub latencies: Latencies,
    pub errors: usize,
    pub first_error: Option<String>,
}

impl Measured {
    pub fn error(&mut self, error: &ClientError) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    pub fn merge(&mut self, other: Measured) {
        self.latencies.merge(other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

impl Phase {
    /// `cpu`: what the server spent meanwhile, when that is known.
    pub fn new(operation: &str, mut measured: Measured, elapsed: Duration, cpu: Option<Duration>) -> Phase {
        let (count, seconds) = (measured.latencies.len(), elapsed.as_secs_f64());
        Phase {
            operation: operation.into(),
            count,
            errors: measured.errors,
            seconds,
            rate: count as f64 / seconds.max(1e-9),
            latency: measured.latencies.spread(),
            server_cpu_ms: cpu.map(|cpu| cpu.as_secs_f64() * 1000.0 / count.max(1) as f64),
            server_cpu_seconds: cpu.map(|cpu| cpu.as_secs_f64()),
            bytes: None,
            first_error: measured.first_error,
        }
    }
}

/// A whole measurement.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<S: Serialize> {
    pub bench: &'static str,
    pub server: String,
    pub version: String,
    pub settings: S,
    pub phases: Vec<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// Resident memory of the server, bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory {
    pub before: u64,
    /// With all objects there.
    pub created: u64,
    /// After they were listed.
    pub listed: u64,
}

impl<S: Serialize> Report<S> {
    pub fn new(bench: &'static str, site: &Site, settings: S, phases: Vec<Phase>) -> Self {
        Report { bench, server: site.access.server.clone(), version: site.version.clone(), settings, phases, memory: None }
    }

    /// Prints the table, writes the JSON, and fails when requests failed.
    pub fn tell(&self, common: &Load) -> Outcome {
        println!("{} ({})", self.server, self.version);
        println!("{}", table(&self.phases));
        if let Some(memory) = &self.memory {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let (before, created, listed) = (mib(memory.before), mib(memory.created), mib(memory.listed));
            println!("server memory: {before:.1} MiB before, {created:.1} MiB with the objects, {listed:.1} MiB after listing them");
        }
        if let Some(path) = &common.json {
            let text = serde_json::to_string_pretty(self).map_err(CliError::failed)?;
            std::fs::write(path, text + "\n").map_err(|e| CliError::failed(format!("cannot write {}: {e}", path.display())))?;
        }
        let errors: usize = self.phases.iter().map(|p| p.errors).sum();
        match self.phases.iter().find_map(|p| p.first_error.as_ref().map(|e| (p, e))) {
            Some((phase, error)) => Err(CliError::failed(format!("{errors} operations failed; the first, a {}: {error}", phase.operation))),
            None => Ok(()),
        }
    }
}

fn table(phases: &[Phase]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "operation",
        "count",
        "errors",
        "seconds",
        "rate/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
        "bytes/op",
        "server CPU ms/op",
        "s",
    ]);
    for phase in phases {
        let ms = |value: f64| format!("{value:.2}");
        table.add_row([
            phase.operation.clone(),
            phase.count.to_string(),
            phase.errors.to_string(),
            format!("{:.2}", phase.seconds),
            format!("{:.1}", phase.rate),
            ms(phase.latency.p50),
            ms(phase.latency.p90),
            ms(phase.latency.p99),
            ms(phase.latency.max),
            phase.bytes.map_or_else(|| "-".to_string(), |bytes| format!("{bytes:.0}")),
            phase.server_cpu_ms.map_or_else(|| "-".to_string(), |ms| format!("{ms:.4}")),
            phase.server_cpu_seconds.map_or_else(|| "-".to_string(), |s| format!("{s:.2}")),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
