//! Many simulated nodes in one process: one key, a certificate for each name, a connection for each certificate.
//!
//! The key is made once and kept, with the certificates, so that a fleet that is started again takes up its nodes: a node's name
//! belongs to the first key that took it. Nodes of a fleet share the key, as they share the process; what a node may do hangs on
//! the certificate of its own connection.
use super::super::agent::AgentConfig;
use super::super::machine::Machine;
use super::super::network::NodeNetwork;
use super::answers::{Answers, QUESTIONS};
use super::node::{SimNode, live};
use super::profile::{Dice, Profile};
use crate::actors::mesh::{MeshClient, MeshClientConfig, MeshError, SharedSocket, join_all};
use crate::protocol::time::now;
use crate::runtime::api::Result as RuntimeResult;
use crate::storage::pki::{JoinToken, NodeIdentity, PkiError};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Names that one connection joins; the server ends such connections after half a minute.
const JOINS: usize = 64;
/// Connections that join at the same time.
const JOINERS: usize = 16;
/// How often a part of the names is tried, and what lies between.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// Nodes that connect at the same time: a server lets only so many strangers in at once.
const CONNECTING: usize = 64;
/// Nodes that dial from one socket.
const NODES_PER_SOCKET: usize = 100;
/// How long a node's first connection may take before the next one begins.
const PATIENCE: Duration = Duration::from_secs(15);
/// Where the certificates are kept.
const CERTIFICATES: &str = "certificates.json";
/// Nodes say that they live here (RFC 2544: networks for measurements).
const NODE_ADDRESSES: u32 = u32::from_be_bytes([198, 18, 0, 1]);
/// Pods of nodes to which the cluster gives no range (RFC 6598: addresses that nobody routes).
const POD_ADDRESSES: u32 = u32::from_be_bytes([100, 64, 0, 0]);

/// Which nodes to simulate, and where they belong.
pub struct FleetConfig {
    /// `host:port` of a server's mesh.
    pub server: String,
    /// Needed for nodes that have not joined before.
    pub token: Option<JoinToken>,
    /// Where key and certificates are kept.
    pub dir: PathBuf,
    pub nodes: u32,
    /// The nodes are called `<prefix>00001` and so on.
    pub prefix: String,
    pub seed: u64,
    pub profile: Profile,
    /// `kubeletVersion`: what the API calls its own version.
    pub version: String,
}

/// Why a fleet did not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} makes no sense ({why}); remove the directory, and choose another --prefix or remove the old names from the cluster", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{0} nodes have not joined this cluster yet: give a join token (made by `impresario token create` on a server)")]
    NoToken(usize),
    #[error("no server at {address}: {why}")]
    Address { address: String, why: String },
}

/// Running simulated nodes. Dropping it ends them; their objects stay in the cluster, as those of real nodes do.
pub struct Fleet {
    clients: Vec<MeshClient>,
    _lives: JoinSet<()>,
}

impl Fleet {
    /// Nodes that have a connection now.
    pub fn connected(&self) -> usize {
        self.clients.iter().filter(|client| *client.connected().borrow()).count()
    }

    /// Why a node that is not connected could not connect, if there is one.
    pub fn last_error(&self) -> Option<String> {
        self.clients.iter().filter(|client| !*client.connected().borrow()).find_map(MeshClient::last_error)
    }
}

/// Joins the names that have not joined yet, and starts all nodes; returns when each has connected or waited long enough.
/// Must be called within a multi-threaded runtime.
///
/// # Errors
/// When the first names cannot join or no server is there. Nodes that lose their connection later try for ever, as real ones do.
pub async fn start(config: FleetConfig) -> Result<Fleet, FleetError> {
    let names: Vec<String> = (1..=config.nodes).map(|number| format!("{}{number:05}", config.prefix)).collect();
    let address = resolve(&config.server).await?;
    let identities = identities(&config, &names).await?;
    let machine = Arc::new(machine(&config.profile));
    let profile = Arc::new(config.profile.clone());
    let network: Arc<dyn NodeNetwork> = Arc::new(NoNetwork);
    let mut starts = Vec::with_capacity(identities.len());
    let mut socket = SharedSocket::to(address)?;
    for (index, identity) in identities.into_iter().enumerate() {
        if index % NODES_PER_SOCKET == 0 && index > 0 {
            socket = SharedSocket::to(address)?;
        }
        let number = u32::try_from(index).unwrap_or_default();
        let agent = agent(&config, &identity.node, number, &network);
        let dice = Dice::new(config.seed).of(&identity.node);
        let range = Ipv4Addr::from(POD_ADDRESSES.wrapping_add(number.wrapping_mul(256)));
        let (usage, questions) = mpsc::channel(QUESTIONS);
        let node = SimNode { config: agent, machine: machine.clone(), profile: profile.clone(), dice, range, questions };
        let client = MeshClientConfig {
            servers: vec![config.server.clone()],
            service: Arc::new(Answers { node: identity.node.clone(), usage }),
            identity,
            dir: config.dir.clone(),
            runtime: Handle::current(),
            socket: Some(socket.clone()),
        };
        starts.push(async move {
            let client = MeshClient::start(client);
            let mut connected = client.connected();
            // One that does not get through now goes on trying by itself.
            let _ = timeout(PATIENCE, connected.wait_for(|up| *up)).await;
            (client, node)
        });
    }
    let started: Vec<(MeshClient, SimNode)> = stream::iter(starts).buffer_unordered(CONNECTING).collect().await;
    let mut fleet = Fleet { clients: Vec::with_capacity(started.len()), _lives: JoinSet::new() };
    for (client, node) in started {
        let phase = node.dice.of("heartbeat").share();
        fleet._lives.spawn(live(node, Arc::new(client.clone()), phase));
        fleet.clients.push(client);
    }
    Ok(fleet)
}

fn agent(config: &FleetConfig, name: &str, number: u32, network: &Arc<dyn NodeNetwork>) -> AgentConfig {
    AgentConfig {
        name: name.into(),
        address: IpAddr::V4(Ipv4Addr::from(NODE_ADDRESSES.wrapping_add(number))),
        max_pods: config.profile.max_pods,
        labels: config.profile.labels_of(number),
        version: config.version.clone(),
        data_dir: config.dir.clone(),
        dns_server: None,
        cluster_domain: String::new(),
        network: network.clone(),
    }
}

/// What every simulated node says that it is.
fn machine(profile: &Profile) -> Machine {
    let gib = |count: u64| count.saturating_mul(1 << 30);
    Machine {
        cpus: profile.cpus,
        memory: gib(profile.memory_gib),
        disk: gib(profile.disk_gib),
        os_image: "simulated".into(),
        kernel: "simulated".into(),
        architecture: "amd64",
        ..Machine::default()
    }
}

async fn resolve(server: &str) -> Result<SocketAddr, FleetError> {
    let failed = |why: String| FleetError::Address { address: server.into(), why };
    let mut found = tokio::net::lookup_host(server).await.map_err(|e| failed(e.to_string()))?;
    found.next().ok_or_else(|| failed("it has no address".into()))
}

/// The identities of these names, in their order: kept ones, and new ones for the token.
async fn identities(config: &FleetConfig, names: &[String]) -> Result<Vec<NodeIdentity>, FleetError> {
    let mut kept = Kept::load(&config.dir)?;
    let mut have: BTreeMap<String, NodeIdentity> = BTreeMap::new();
    for name in names {
        if let Some(identity) = kept.identity(name).filter(|i| !i.is_over(now()).unwrap_or(true)) {
            have.insert(name.clone(), identity);
        }
    }
    let missing: Vec<String> = names.iter().filter(|name| !have.contains_key(*name)).cloned().collect();
    if !missing.is_empty() {
        let token = config.token.as_ref().ok_or(FleetError::NoToken(missing.len()))?;
        prepare(&config.dir)?;
        // The first alone: it makes the key that the others use.
        let (first, others) = missing.split_at(1);
        let mut joined = join_all(&config.server, token, &config.dir, first).await?;
        let parts = stream::iter(others.chunks(JOINS)).map(|part| join(config, token, part));
        let rest: Vec<Vec<NodeIdentity>> = parts.buffer_unordered(JOINERS).try_collect().await?;
        joined.extend(rest.into_iter().flatten());
        kept.add(&joined);
        kept.save(&config.dir)?;
        have.extend(joined.into_iter().map(|identity| (identity.node.clone(), identity)));
    }
    Ok(names.iter().filter_map(|name| have.remove(name)).collect())
}

/// Joins these names; what a busy server or a connection's end has cut short is tried again: to join twice with one key is no harm.
async fn join(config: &FleetConfig, token: &JoinToken, names: &[String]) -> Result<Vec<NodeIdentity>, MeshError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match join_all(&config.server, token, &config.dir, names).await {
            Err(MeshError::Refused(error)) if error.code == 503 && attempt < ATTEMPTS => {}
            Err(MeshError::Cut(_) | MeshError::TimedOut(_)) if attempt < ATTEMPTS => {}
            outcome => return outcome,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A directory that only its owner may read.
fn prepare(dir: &Path) -> Result<(), FleetError> {
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
    builder.create(dir).map_err(|source| FleetError::File { path: dir.into(), source })
}

/// The certificates of a fleet, by name. The key lies beside them, as on a real node.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Kept {
    ca: String,
    certificates: BTreeMap<String, String>,
    #[serde(skip)]
    key: String,
}

impl Kept {
    fn load(dir: &Path) -> Result<Kept, FleetError> {
        let path = dir.join(CERTIFICATES);
        let Some(text) = read(&path)? else { return Ok(Kept::default()) };
        let mut kept: Kept = serde_json::from_str(&text).map_err(|e| FleetError::Damaged { path: path.clone(), why: e.to_string() })?;
        kept.key = read(&dir.join("node.key"))?.ok_or_else(|| FleetError::Damaged { path, why: "the key beside it is gone".into() })?;
        Ok(kept)
    }

    fn identity(&self, name: &str) -> Option<NodeIdentity> {
        let certificate = self.certificates.get(name)?.clone();
        Some(NodeIdentity { node: name.into(), certificate, key: self.key.clone(), ca: self.ca.clone() })
    }

    fn add(&mut self, joined: &[NodeIdentity]) {
        for identity in joined {
            self.ca = identity.ca.clone();
            self.certificates.insert(identity.node.clone(), identity.certificate.clone());
        }
    }

    fn save(&self, dir: &Path) -> Result<(), FleetError> {
        let path = dir.join(CERTIFICATES);
        let failed = |source| FleetError::File { path: path.clone(), source };
        let beside = dir.join(format!("{CERTIFICATES}.tmp"));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(failed)?;
        let text = serde_json::to_string(self).map_err(|e| failed(std::io::Error::other(e)))?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)
    }
}

fn read(path: &Path) -> Result<Option<String>, FleetError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FleetError::File { path: path.into(), source }),
    }
}

/// Simulated pods have no network.
struct NoNetwork;

#[async_trait]
impl NodeNetwork for NoNetwork {
    async fn set_pod_cidr(&self, _cidr: &str) -> RuntimeResult<()> {
        Ok(())
    }

    async fn set_peers(&self, _peers: &[(String, IpAddr)]) -> RuntimeResult<()> {
        Ok(())
    }
}
