//! `impresario simulate`: nodes for tests at scale that start no containers.
use super::{CliError, Outcome};
use crate::actors::node::simulate::{self, Fleet, FleetConfig, Profile};
use crate::config::Config;
use crate::http::api::git_version;
use crate::storage::pki::Tokens;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the token lives that is made for a fleet on the server's own machine.
const TOKEN: Duration = Duration::from_secs(600);

/// Add simulated nodes to a cluster: they answer as real ones do, but start no containers.
#[derive(Args)]
pub struct Simulate {
    #[command(flatten)]
    fleet: FleetArgs,
    /// How many nodes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=65_000))]
    nodes: u32,
}

/// Which nodes, and of which cluster.
#[derive(Args, Clone)]
pub struct FleetArgs {
    /// `host:port` of a server's mesh.
    #[arg(long)]
    pub server: Option<String>,
    /// A join token, from `impresario token create`; not needed for nodes that have joined before.
    #[arg(long)]
    token: Option<String>,
    /// In place of a token, on the server's own machine: the cluster's data directory.
    #[arg(long, conflicts_with = "token")]
    cluster: Option<PathBuf>,
    /// Where the nodes' key and certificates are kept: the same directory takes up the same nodes again.
    #[arg(long, default_value = "impresario-simulated")]
    keys: PathBuf,
    /// `instant`, `typical`, or a file.
    #[arg(long, default_value = "instant")]
    profile: String,
    /// The nodes are called by this and a number of five digits.
    #[arg(long, default_value = "sim-")]
    prefix: String,
    /// Chance repeats itself with the same seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Simulate {
    pub fn run(self) -> Outcome {
        super::start_logging("warn")?;
        in_threads(async {
            let begun = Instant::now();
            let fleet = self.fleet.start(self.nodes).await?;
            let seconds = begun.elapsed().as_secs_f64();
            println!("{} of {} simulated nodes connected after {seconds:.1} s; they end with this process", fleet.connected(), self.nodes);
            if let Some(why) = fleet.last_error() {
                eprintln!("impresario: not all nodes are connected yet: {why}");
            }
            super::up::stop_signal().await
        })
    }
}

impl FleetArgs {
    /// Joins and starts this many nodes in this process.
    pub async fn start(&self, nodes: u32) -> Result<Fleet, CliError> {
        let profile = Profile::named(&self.profile).map_err(CliError::usage)?;
        let token = match (&self.token, &self.cluster) {
            (Some(token), _) => Some(token.parse().map_err(|e| CliError::usage(format!("--token: {e}")))?),
            (None, Some(data_dir)) => Some(own_token(data_dir)?),
            (None, None) => None,
        };
        let mesh = Config::default().mesh;
        let server = self.server.clone().unwrap_or_else(|| format!("{}:{}", mesh.address, mesh.port));
        let config = FleetConfig {
            server,
            token,
            dir: self.keys.clone(),
            nodes,
            prefix: self.prefix.clone(),
            seed: self.seed,
            profile,
            version: git_version(),
        };
        simulate::start(config).await.map_err(CliError::failed)
    }
}

fn own_token(data_dir: &Path) -> Result<crate::storage::pki::JoinToken, CliError> {
    let told = |e: &dyn std::fmt::Display| CliError::usage(format!("{e} (is {} the data directory of a cluster?)", data_dir.display()));
    let tokens = Tokens::open(&data_dir.join("pki")).map_err(|e| told(&e))?;
    tokens.create(Some(TOKEN), "simulated nodes", jiff::Timestamp::now()).map_err(|e| told(&e))
}

/// Runs something on a runtime with a thread for each core.
fn in_threads(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| CliError::failed(format!("cannot start: {e}")))?.block_on(work)
}
