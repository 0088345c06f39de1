//! `impresario bench api`: what the API does per second, over ConfigMaps.
use super::client::{Call, Client, ClientError, Protocol};
use super::report::{Measured, Phase, Report};
use super::site::Site;
use super::timing::CpuClock;
use super::{CliError, Load, Outcome};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Objects per page of a list, as kubectl asks for twice of.
const PAGE: usize = 1000;

#[derive(Args, Clone, Serialize)]
pub struct ApiBench {
    #[command(flatten)]
    #[serde(skip)]
    common: Load,
    /// Connections that work at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// What the connections speak; objects are got over both in any case.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// ConfigMaps to create, get, patch, apply and delete.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    objects: u32,
    /// Bytes of data in each.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    size: u32,
    /// Pages of up to 1,000 objects to list.
    #[arg(long, default_value_t = 100)]
    pages: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Create,
    Get(Protocol),
    List,
    Patch,
    Apply,
    Delete,
}

/// What is measured, in this order.
const OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::Get(Protocol::Http1),
    Operation::Get(Protocol::Http2),
    Operation::List,
    Operation::Patch,
    Operation::Apply,
    Operation::Delete,
];

/// What all workers of a phase share.
struct Plan {
    operation: Operation,
    namespace: String,
    payload: String,
    total: usize,
    next: AtomicUsize,
}

impl ApiBench {
    pub async fn run(self) -> Outcome {
        let site = Site::open(&self.common).await?;
        let report = site.run(async |site: &Site| self.measure(site).await).await?;
        report.tell(&self.common)
    }

    async fn measure(&self, site: &Site) -> Result<Report<ApiBench>, CliError> {
        let mut clients = site.connections(self.connections.into(), self.protocol).await?;
        let mut others = site.connections(self.connections.into(), self.protocol.other()).await?;
        let mut phases = Vec::new();
        for operation in OPERATIONS {
            let total = if operation == Operation::List { self.pages } else { self.objects };
            let plan = Arc::new(Plan {
                operation,
                namespace: site.namespace.clone(),
                payload: "x".repeat(self.size as usize),
                total: total as usize,
                next: AtomicUsize::new(0),
            });
            let over = if matches!(operation, Operation::Get(protocol) if protocol != self.protocol) { &mut others } else { &mut clients };
            phases.push(phase(over, plan, self.common.pid).await?);
        }
        Ok(Report::new("api", site, self.clone(), phases))
    }
}

async fn phase(clients: &mut Vec<Client>, plan: Arc<Plan>, pid: Option<u32>) -> Result<Phase, CliError> {
    let (cpu, begun) = (CpuClock::start(pid)?, Instant::now());
    let workers: Vec<_> = clients.drain(..).map(|client| tokio::spawn(work(client, plan.clone()))).collect();
    let mut all = Measured::default();
    for worker in workers {
        let (client, measured) = worker.await.map_err(CliError::failed)?;
        clients.push(client);
        all.merge(measured);
    }
    Ok(Phase::new(plan.operation.name(), all, begun.elapsed(), cpu.stop()?))
}

async fn work(mut client: Client, plan: Arc<Plan>) -> (Client, Measured) {
    let (mut measured, mut position) = (Measured::default(), String::new());
    loop {
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.total {
            return (client, measured);
        }
        let call = plan.call(number, &position);
        let begun = Instant::now();
        match client.call(call).await {
            Ok(body) => {
                measured.latencies.add(begun.elapsed());
                if plan.operation == Operation::List {
                    position = next_page(&body);
                }
            }
            Err(error) => {
                position.clear();
                // Without a server, every further request would only wait for its time limit.
                let hopeless = matches!(error, ClientError::Unreachable(..) | ClientError::Timeout);
                measured.error(&error);
                if hopeless {
                    return (client, measured);
                }
            }
        }
    }
}

/// The continue token of a list; empty at the end.
pub(super) fn next_page(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Meta {
        #[serde(default, rename = "continue")]
        next: String,
    }
    #[derive(Default, Deserialize)]
    struct List {
        metadata: Meta,
    }
    serde_json::from_slice::<List>(body).unwrap_or_default().metadata.next
}

impl Plan {
    fn call(&self, number: usize, position: &str) -> Call {
        let all = format!("/api/v1/namespaces/{}/configmaps", self.namespace);
        let one = || format!("{all}/bench-{number}");
        match self.operation {
            Operation::Create => {
                let metadata = json!({ "name": format!("bench-{number}") });
                let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "payload": self.payload } });
                Call::post(all, body.to_string())
            }
            Operation::Get(_) => Call::get(one()),
            Operation::List if position.is_empty() => Call::get(format!("{all}?limit={PAGE}")),
            Operation::List => Call::get(format!("{all}?limit={PAGE}&continue={}", escaped(position))),
            Operation::Patch => Call::merge_patch(one(), json!({ "data": { "round": number.to_string() } }).to_string()),
            Operation::Apply => {
                let metadata = json!({ "name": format!("bench-{number}") });
                let body =
                    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "applied": number.to_string() } });
                Call::apply(format!("{}?fieldManager=bench", one()), body.to_string())
            }
            Operation::Delete => Call::delete(one()),
        }
    }
}

/// A continue token as a query parameter: other servers' tokens are padded base64.
pub(super) fn escaped(token: &str) -> String {
    token.replace('%', "%25").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").replace('&', "%26")
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Get(Protocol::Http1) => "get",
            Operation::Get(Protocol::Http2) => "get (h2)",
            Operation::List => "list (page)",
            Operation::Patch => "patch",
            Operation::Apply => "apply",
            Operation::Delete => "delete",
        }
    }
}
