//! A whole node: the mesh client, the services behind it, and the agent, wired together.
use super::agent::{AgentConfig, agent_mailbox, start_agent};
use super::network::NodeNetwork;
use super::streams::NodeStreams;
use crate::actors::base::Guardian;
use crate::actors::mesh::{MeshClient, MeshClientConfig};
use crate::protocol::time::now;
use crate::runtime::api::Runtime;
use crate::storage::pki::NodeIdentity;
use actix_rt::Arbiter;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How often the age of the node's certificate is looked at.
const RENEWAL: Duration = Duration::from_secs(3600);

/// A node and the cluster that it belongs to.
pub struct NodeConfig {
    pub name: String,
    pub address: IpAddr,
    pub labels: BTreeMap<String, String>,
    pub max_pods: u32,
    /// `kubeletVersion`: what the API calls its own version.
    pub version: String,
    pub data_dir: PathBuf,
    pub cluster_domain: String,
    /// `host:port` of the servers' mesh.
    pub servers: Vec<String>,
    pub identity: NodeIdentity,
}

/// A running node. Dropping it ends the connection and the actors' thread; the containers run on.
pub struct NodeHandle {
    pub mesh: MeshClient,
    arbiter: Arbiter,
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

/// Starts the node in this process. Must be called within an actix system; `handle` is the multi-threaded runtime of the mesh.
pub fn start<R: Runtime + NodeNetwork + Clone>(config: NodeConfig, runtime: R, guardian: Guardian, handle: Handle) -> NodeHandle {
    let arbiter = Arbiter::new();
    let mailbox = agent_mailbox(&config.name);
    let network: Arc<dyn NodeNetwork> = Arc::new(runtime.clone());
    let runtime: Arc<dyn Runtime> = Arc::new(runtime);
    let service = Arc::new(NodeStreams::new(&config.name, mailbox.clone(), runtime.clone(), config.data_dir.clone()));
    let mesh = MeshClient::start(MeshClientConfig {
        servers: config.servers,
        identity: config.identity,
        dir: config.data_dir.join("pki"),
        service,
        runtime: handle,
        socket: None,
    });
    arbiter.spawn(keep_certificate(mesh.clone()));
    let agent = AgentConfig {
        name: config.name,
        address: config.address,
        max_pods: config.max_pods,
        labels: config.labels,
        version: config.version,
        data_dir: config.data_dir,
        dns_server: None,
        cluster_domain: config.cluster_domain,
        network,
    };
    start_agent(&mailbox, agent, runtime, Arc::new(mesh.clone()), &guardian, &arbiter.handle());
    NodeHandle { mesh, arbiter }
}

/// Renews the node's certificate in time, as long as the node runs.
async fn keep_certificate(mesh: MeshClient) {
    loop {
        match mesh.renew_if_due(now()).await {
            Ok(true) => tracing::info!("the node's certificate was renewed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the node's certificate could not be renewed yet"),
        }
        tokio::time::sleep(RENEWAL).await;
    }
}
