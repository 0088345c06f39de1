//! Resource use of the node and its pods, in the shape of the kubelet's `/stats/summary`.
use super::agent::AgentMessage;
use super::pod::PodMessage;
use crate::actors::base::Mailbox;
use crate::protocol::status::ApiError;
use crate::protocol::time::{now, rfc3339_micro};
use crate::runtime::api::{Runtime, Usage};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

const ASK: Duration = Duration::from_secs(5);

/// The summary as JSON. Containers whose use cannot be read are left out.
///
/// # Errors
/// When the agent does not answer.
pub(super) async fn summary(agent: &Mailbox<AgentMessage>, runtime: &dyn Runtime, node: &str) -> Result<Bytes, ApiError> {
    let pods = agent.ask(ASK, AgentMessage::All).await.map_err(ApiError::internal)?;
    let mut shown = Vec::new();
    let mut total = Usage::default();
    for pod in pods {
        let Ok(view) = pod.ask(ASK, PodMessage::Describe).await else { continue };
        let mut containers = Vec::new();
        let mut sum = Usage::default();
        for container in view.containers.iter().filter(|c| c.running) {
            let Some(id) = &container.id else { continue };
            let Ok(usage) = runtime.usage(id).await else { continue };
            sum = add(sum, usage);
            let mut entry = measured(usage);
            entry["name"] = container.name.as_str().into();
            containers.push(entry);
        }
        total = add(total, sum);
        let mut entry = measured(sum);
        entry["podRef"] = json!({ "name": view.object.name, "namespace": view.object.namespace, "uid": view.object.uid });
        entry["containers"] = containers.into();
        entry["process_stats"] = json!({ "process_count": sum.pids });
        shown.push(entry);
    }
    // Without a kernel that tells, the node uses what its pods use.
    let mut own = measured(machine().unwrap_or(total));
    own["nodeName"] = node.into();
    Ok(json!({ "node": own, "pods": shown }).to_string().into())
}

fn add(a: Usage, b: Usage) -> Usage {
    Usage {
        cpu_nanos: a.cpu_nanos.saturating_add(b.cpu_nanos),
        memory: a.memory.saturating_add(b.memory),
        pids: a.pids.saturating_add(b.pids),
    }
}

/// Rates are made of two answers, so the time is told as exactly as the counter.
pub(super) fn measured(usage: Usage) -> Value {
    let time = rfc3339_micro(now());
    json!({
        "cpu": { "time": time, "usageCoreNanoSeconds": usage.cpu_nanos },
        "memory": { "time": time, "workingSetBytes": usage.memory, "usageBytes": usage.memory },
    })
}

/// The use of the whole machine, pods or not, as the kubelet tells it of its node.
fn machine() -> Option<Usage> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let cpu_nanos = busy_nanos(&read("/proc/stat")?)?;
    Some(Usage { cpu_nanos, memory: memory_in_use(&read("/proc/meminfo")?)?, pids: 0 })
}

/// CPU time since the start in which some process ran.
fn busy_nanos(stat: &str) -> Option<u64> {
    /// The kernel counts hundredths of a second, whatever its own clock.
    const TICK: u64 = 10_000_000;
    let line = stat.lines().find_map(|l| l.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|n| n.parse().ok()).collect();
    // user, nice, system, (idle, iowait,) irq, softirq; what a host stole was not used here.
    let busy = [0, 1, 2, 5, 6].into_iter().map(|at| ticks.get(at).copied()).sum::<Option<u64>>()?;
    busy.checked_mul(TICK)
}

/// Bytes that cannot be had without taking them from somebody.
fn memory_in_use(meminfo: &str) -> Option<u64> {
    let kib = |name: &str| -> Option<u64> {
        let rest = meminfo.lines().find_map(|l| l.strip_prefix(name))?.strip_prefix(':')?;
        rest.split_whitespace().next()?.parse().ok()
    };
    kib("MemTotal")?.checked_sub(kib("MemAvailable")?)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(busy_nanos("cpu  10 1 5 1000 7 2 3 9 0 0\ncpu0 1 1 1\n"), Some(210_000_000));
        assert_eq!(busy_nanos("cpu  10 1\n"), None);
        assert_eq!(memory_in_use("MemTotal:  100 kB\nMemFree: 3 kB\nMemAvailable: 40 kB\n"), Some(60 * 1024));
        assert!(machine().is_some_and(|m| m.cpu_nanos > 0 && m.memory > 0));
    }
}
