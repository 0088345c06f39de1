//! The nodes of a measurement: simulated ones in this process, or those that are there.
use super::client::Client;
use super::pod_watch::Condition;
use super::site::Site;
use super::{CliError, pod_watch};
use crate::actors::node::simulate::Fleet;
use crate::cli::simulate::FleetArgs;
use clap::Args;
use serde::Deserialize;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::time::{Instant as Deadline, timeout_at};

/// How long nodes may take to be ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which nodes the pods go to.
#[derive(Args, Clone)]
pub(super) struct Nodes {
    /// Ready nodes to wait for before anything is measured; with --simulate, so many are started.
    #[arg(long, default_value_t = 1)]
    pub nodes: u32,
    /// Simulate the nodes in this process, for a cluster of Impresario. Otherwise the nodes are those that the cluster has.
    #[arg(long)]
    simulate: bool,
    #[command(flatten)]
    fleet: FleetArgs,
}

impl Nodes {
    /// Starts the simulated nodes when asked to, and waits until enough nodes are ready. The nodes end with what is answered.
    pub async fn ready(&self, site: &Site) -> Result<Option<Fleet>, CliError> {
        let fleet = if self.simulate { Some(self.fleet.start(self.nodes).await?) } else { None };
        let mut client = Client::new(site.access.clone());
        client.connect().await.map_err(CliError::failed)?;
        let watched = pod_watch::follow(client, "/api/v1/nodes?watch=1&timeoutSeconds=3600".into(), told).await;
        let mut seen = watched.map_err(CliError::failed)?;
        let (mut ready, deadline) = (HashSet::new(), Deadline::now() + PATIENCE);
        while ready.len() < self.nodes as usize {
            let Ok(next) = timeout_at(deadline, seen.recv()).await else {
                let why = fleet.as_ref().and_then(Fleet::last_error).map(|why| format!(": {why}")).unwrap_or_default();
                return Err(CliError::failed(format!(
                    "{} of {} nodes are ready after {} s{why}",
                    ready.len(),
                    self.nodes,
                    PATIENCE.as_secs()
                )));
            };
            match next.ok_or_else(|| CliError::failed("the watch on nodes ended"))? {
                (name, true) => ready.insert(name),
                (name, false) => ready.remove(&name),
            };
        }
        Ok(fleet)
    }
}

/// A node, and whether pods can go there.
fn told(line: &[u8], _at: Instant) -> Option<(String, bool)> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "type")]
        kind: String,
        object: Node,
    }
    #[derive(Deserialize)]
    struct Node {
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
    struct Spec {
        #[serde(default)]
        unschedulable: bool,
        #[serde(default)]
        taints: Vec<Taint>,
    }
    #[derive(Deserialize)]
    struct Taint {
        effect: String,
    }
    #[derive(Default, Deserialize)]
    struct Status {
        #[serde(default)]
        conditions: Vec<Condition>,
    }
    let Line { kind, object } = serde_json::from_slice(line).ok()?;
    let open = !object.spec.unschedulable && object.spec.taints.iter().all(|t| t.effect == "PreferNoSchedule");
    let ready = object.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True");
    Some((object.metadata.name, kind != "DELETED" && open && ready))
}

#[cfg(test)]
mod tests {
    use super::told;
    use std::time::Instant;

    #[test]
    fn nodes_that_take_pods() {
        let line = |spec: &str, ready: &str| {
            let text = format!(
                "{{\"type\":\"ADDED\",\"object\":{{\"metadata\":{{\"name\":\"n\"}},\"spec\":{spec},\"status\":{{\"conditions\":[{{\"type\":\"Ready\",\"status\":\"{ready}\"}}]}}}}}}"
            );
            told(text.as_bytes(), Instant::now()).map(|(_, open)| open)
        };
        assert_eq!(line("{}", "True"), Some(true));
        assert_eq!(line("{}", "Unknown"), Some(false));
        assert_eq!(line("{\"unschedulable\":true}", "True"), Some(false));
        assert_eq!(line("{\"taints\":[{\"key\":\"k\",\"effect\":\"NoSchedule\"}]}", "True"), Some(false));
        assert_eq!(told(b"{\"type\":\"BOOKMARK\",\"object\":{}}", Instant::now()), None);
    }
}
