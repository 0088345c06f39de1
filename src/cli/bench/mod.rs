//! `impresario bench`: load on a Kubernetes API, measured from outside. It speaks the public API only, through a
//! kubeconfig, so that the same command can be pointed at any Kubernetes.
mod api;
mod audience;
mod backlog;
pub(super) mod client;
mod deploy;
pub(super) mod kubeconfig;
mod objects;
mod pod_watch;
mod pods;
mod report;
mod schedule;
mod simulated;
mod site;
#[cfg(test)]
mod tests;
mod timing;
mod watch;

/// Whether the text is a kubeconfig, and if not, why: what the fuzz targets reach.
#[cfg(test)]
pub(crate) fn parse_kubeconfig(text: &str) -> Result<(), String> {
    Access::parse(text, std::path::Path::new("/nowhere/config")).map(|_| ()).map_err(|e| e.to_string())
}

use super::{CliError, Outcome};
use clap::{Args, Subcommand};
use kubeconfig::Access;
use std::path::PathBuf;
use std::sync::Arc;

/// Measure a Kubernetes API through a kubeconfig.
#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Create, get, list, patch and delete ConfigMaps over many connections.
    Api(api::ApiBench),
    /// Events to many watchers while writers write: how many arrive, and how soon.
    Watch(watch::WatchBench),
    /// Many objects: what they take of the server's memory, and how long lists and a restart take.
    Objects(objects::ObjectBench),
    /// From creating a pod to its phase Running: one after the other, then many at once.
    Pods(pods::PodBench),
    /// From creating many pods to each having a node.
    Schedule(schedule::ScheduleBench),
    /// From creating a Deployment to all its replicas being ready.
    Deploy(deploy::DeployBench),
}

/// What every measurement needs to know.
#[derive(Args, Clone)]
struct Load {
    /// How to reach the cluster; the file in $KUBECONFIG otherwise.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The server's process on this machine: its CPU time is measured too.
    #[arg(long)]
    pid: Option<u32>,
    /// Write the results to this file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The namespace to work in. It must not exist: it is made, and removed in the end.
    #[arg(long)]
    namespace: Option<String>,
}

impl Bench {
    /// Runs the measurement. Errors: 2 for a kubeconfig that cannot be used or a server that cannot be reached, 1 when
    /// requests failed.
    pub fn run(self) -> Outcome {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
        let runtime = runtime.map_err(|e| CliError::failed(format!("cannot start threads: {e}")))?;
        runtime.block_on(async {
            match self.what {
                What::Api(bench) => bench.run().await,
                What::Watch(bench) => bench.run().await,
                What::Objects(bench) => bench.run().await,
                What::Pods(bench) => bench.run().await,
                What::Schedule(bench) => bench.run().await,
                What::Deploy(bench) => bench.run().await,
            }
        })
    }
}

impl Load {
    /// Reads the kubeconfig.
    fn access(&self) -> Result<Arc<Access>, CliError> {
        if let Some(pid) = self.pid {
            timing::cpu_time(pid).map_err(|e| CliError::usage(format!("cannot read the CPU time of process {pid}: {e}")))?;
        }
        let path = self.kubeconfig.clone().or_else(|| std::env::var_os("KUBECONFIG").map(PathBuf::from));
        let path = path.ok_or_else(|| CliError::usage("name the cluster with --kubeconfig FILE"))?;
        Access::load(&path).map(Arc::new).map_err(CliError::usage)
    }

    fn namespace(&self) -> Result<String, CliError> {
        if let Some(name) = &self.namespace {
            return Ok(name.clone());
        }
        let mut bytes = [0u8; 4];
        getrandom::fill(&mut bytes).map_err(|e| CliError::failed(format!("no randomness to be had: {e}")))?;
        Ok(format!("impresario-bench-{}", hex::encode(bytes)))
    }
}
