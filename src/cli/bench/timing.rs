//! What is measured: latencies, rates, and the server's CPU time.
use super::CliError;
use serde::Serialize;
use std::time::Duration;

/// Latencies of one kind of operation.
#[derive(Default)]
pub(super) struct Latencies(Vec<Duration>);

/// The distribution of latencies, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub fn merge(&mut self, other: Latencies) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The distribution; zeros when nothing was measured.
    pub fn spread(&mut self) -> Spread {
        self.0.sort_unstable();
        let at = |share: f64| rank(&self.0, share).map_or(0.0, |d| d.as_secs_f64() * 1000.0);
        Spread { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    }
}

/// The smallest value that at least this share of all values does not exceed (the nearest-rank percentile).
fn rank(sorted: &[Duration], share: f64) -> Option<&Duration> {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1))
}

/// User and system time of a process, all its threads, living and ended.
pub(super) fn cpu_time(pid: u32) -> std::io::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks_of(&text).ok_or_else(|| std::io::Error::other("/proc/<pid>/stat makes no sense"))?;
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.unwrap_or(100);
    Ok(Duration::from_secs_f64(ticks as f64 / per_second.max(1) as f64))
}

/// CPU time since a moment before, for phases of a measurement.
pub(super) struct CpuClock {
    pid: Option<u32>,
    before: Option<Duration>,
}

impl CpuClock {
    pub fn start(pid: Option<u32>) -> Result<CpuClock, CliError> {
        Ok(CpuClock { pid, before: spent(pid)? })
    }

    /// What the process spent since the start; `None` when there is none to look at.
    pub fn stop(self) -> Result<Option<Duration>, CliError> {
        Ok(self.before.zip(spent(self.pid)?).map(|(before, after)| after.saturating_sub(before)))
    }
}

fn spent(pid: Option<u32>) -> Result<Option<Duration>, CliError> {
    pid.map(cpu_time).transpose().map_err(|e| CliError::failed(format!("the server's process is gone: {e}")))
}

/// Resident memory of a process, bytes.
pub(super) fn memory(pid: u32) -> std::io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    resident(&text).ok_or_else(|| std::io::Error::other("/proc/<pid>/status makes no sense"))
}

/// The `VmRSS` of `/proc/<pid>/status`, in bytes.
pub(super) fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// `utime + stime` of a line of `/proc/<pid>/stat`. The command's name, in parentheses, may hold anything.
pub(super) fn ticks_of(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}
