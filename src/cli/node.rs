//! `impresario node`, and the node inside of `impresario up`: one path for both, over the mesh.
use super::server::Server;
use super::{CliError, Outcome};
use crate::actors::base::{Guardian, Registry, RestartPolicy};
use crate::actors::mesh::join::{JoinRequest, join};
use crate::actors::node::{self, NodeConfig, NodeHandle};
use crate::actors::system::EXIT_ESCALATED;
use crate::config::{Config, NetworkMode};
use crate::http::api::git_version;
use crate::runtime::node_runtime::{NodeRuntime, NodeRuntimeConfig};
use crate::storage::pki::NodeIdentity;
use clap::Args;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

/// Make this machine a node of an existing cluster.
#[derive(Args)]
pub struct Node {
    /// `host:port` of a server's mesh.
    #[arg(long)]
    join: String,
    /// A join token, from `impresario token create`; not needed once the machine has joined.
    #[arg(long)]
    token: Option<String>,
    #[arg(long)]
    data_dir: Option<PathBuf>,
    #[arg(long)]
    config: Option<PathBuf>,
    /// The node's name; the host name when not given.
    #[arg(long)]
    node_name: Option<String>,
    /// The address at which other nodes reach this one.
    #[arg(long)]
    address: Option<IpAddr>,
}

impl Node {
    pub fn run(self) -> Outcome {
        let mut config = match &self.config {
            Some(path) => Config::load(path).map_err(CliError::usage)?,
            None => Config::default(),
        };
        if let Some(name) = &self.node_name {
            config.node.name = name.clone();
        }
        config.node.address = self.address.or(config.node.address);
        let data_dir = self.data_dir.clone().unwrap_or_else(|| config.cluster.data_dir.clone());
        let data_dir = std::path::absolute(&data_dir).map_err(CliError::usage)?;
        if !nix::unistd::geteuid().is_root() {
            return Err(CliError::usage("running containers needs root: use sudo"));
        }
        super::up::prepare_data_dir(&data_dir)?;
        super::start_logging(&config.log.level)?;
        let claim = super::background::claim(&data_dir)?;
        super::up::in_system(|runtime| async move {
            let identity = self.identity(&config, &data_dir, &runtime).await?;
            let guardian = Guardian::new(Registry::default(), RestartPolicy::default(), |path, panic| {
                tracing::error!(actor = path, panic, "an actor keeps panicking; ending the process");
                std::process::exit(EXIT_ESCALATED);
            });
            let node = start(&config, &data_dir, vec![self.join.clone()], identity, &guardian, &runtime).await?;
            claim.ready();
            super::up::stop_signal().await?;
            drop(node);
            Ok(())
        })
    }

    /// The identity from an earlier start, or a new one for the token.
    async fn identity(&self, config: &Config, data_dir: &Path, runtime: &Handle) -> Result<NodeIdentity, CliError> {
        let dir = data_dir.join("pki");
        let Some(token) = &self.token else {
            let known = NodeIdentity::load(&dir).map_err(CliError::usage)?;
            return known.ok_or_else(|| {
                CliError::usage("this machine has not joined yet: give --token (made by `impresario token create` on a server)")
            });
        };
        let token = token.parse().map_err(|e| CliError::usage(format!("--token: {e}")))?;
        let request = JoinRequest { server: self.join.clone(), token, node: node_name(config)?, dir };
        join(request, runtime).await.map_err(CliError::usage)
    }
}

/// A node running in this process; its containers outlive it.
pub struct RunningNode {
    _handle: NodeHandle,
}

/// The node of `impresario up`: it dials this very server over the mesh, as any other node does.
pub async fn start_local(config: &Config, data_dir: &Path, server: &Server, runtime: &Handle) -> Result<RunningNode, CliError> {
    let identity = server.pki.enroll_local_node(&node_name(config)?).map_err(CliError::usage)?;
    let address = server.mesh.address();
    let ip = if address.ip().is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { address.ip() };
    let servers = vec![std::net::SocketAddr::new(ip, address.port()).to_string()];
    start(config, data_dir, servers, identity, &server.plane.guardian, runtime).await
}

async fn start(
    config: &Config,
    data_dir: &Path,
    servers: Vec<String>,
    identity: NodeIdentity,
    guardian: &Guardian,
    runtime: &Handle,
) -> Result<RunningNode, CliError> {
    let address = match config.node.address {
        Some(address) => address,
        None => own_address(servers.first().map(String::as_str).unwrap_or_default())?,
    };
    let node_runtime = NodeRuntime::new(runtime_config(config, data_dir, address)?).await.map_err(CliError::failed)?;
    super::control::listen(data_dir, node_runtime.clone())?;
    let settings = NodeConfig {
        name: identity.node.clone(),
        address,
        labels: config.node.labels.clone(),
        max_pods: config.node.max_pods,
        version: git_version(),
        data_dir: data_dir.to_path_buf(),
        cluster_domain: config.cluster.domain.clone(),
        servers,
        identity,
    };
    let handle = node::start(settings, node_runtime, guardian.clone(), runtime.clone());
    Ok(RunningNode { _handle: handle })
}

/// Everything of the node on this machine that carries a name gets it from the data directory: two clusters do not meet.
fn runtime_config(config: &Config, data_dir: &Path, address: IpAddr) -> Result<NodeRuntimeConfig, CliError> {
    let mark = hex::encode(Sha256::digest(data_dir.as_os_str().as_encoded_bytes()))[..6].to_string();
    let or = |given: &str, made: String| if given.is_empty() { made } else { given.to_string() };
    Ok(NodeRuntimeConfig {
        data_dir: data_dir.to_path_buf(),
        bridge: or(&config.node.bridge, format!("imp{mark}")),
        cgroup: or(&config.node.cgroup, format!("/impresario-{mark}")),
        cluster_cidr: config.network.pod_cidr(),
        address,
        vxlan: config.network.mode == NetworkMode::Vxlan,
        mirrors: config.images.mirrors.iter().map(|m| (m.from.clone(), m.to.clone())).collect(),
        insecure_registries: config.images.insecure_registries.clone(),
        program: std::env::current_exe().map_err(CliError::failed)?,
    })
}

fn node_name(config: &Config) -> Result<String, CliError> {
    if !config.node.name.is_empty() {
        return Ok(config.node.name.clone());
    }
    let name = nix::unistd::gethostname().map_err(|e| CliError::failed(format!("this machine has no host name: {e}; set node.name")))?;
    Ok(name.to_string_lossy().to_ascii_lowercase())
}

/// The address from which this machine reaches a server; nothing is sent for it.
fn own_address(server: &str) -> Result<IpAddr, CliError> {
    let told = |e: std::io::Error| CliError::failed(format!("cannot find this machine's address: {e}; set node.address"));
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(told)?;
    socket.connect(server).map_err(told)?;
    Ok(socket.local_addr().map_err(told)?.ip())
}

/// Removes every pod, the network and the cgroups of a data directory's node.
pub fn purge(config: &Config, data_dir: &Path) -> Outcome {
    let address = config.node.address.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let settings = runtime_config(config, data_dir, address)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(CliError::failed)?;
    runtime.block_on(async { NodeRuntime::new(settings).await.map_err(CliError::failed)?.purge().await.map_err(CliError::failed) })
}
