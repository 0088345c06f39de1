//! The node's actor: registers the machine, says that it is alive, and keeps one actor for each pod that is bound to it.
use super::agent_tasks::{background, remove_orphan};
use super::control_plane::{ControlPlane, WatchOf, until_connected};
use super::events::Events;
use super::machine::Machine;
use super::network::{NodeFacts, NodeNetwork, Nodes};
use super::object::PodObject;
use super::pod::{Pod, PodMessage, Seed};
use super::register::register;
use super::spec::Places;
use super::start::Surroundings;
use super::watch::{Seen, follow};
use crate::actors::base::{Guardian, Mailbox, Role, Scope};
use crate::protocol::mesh::WatchKind;
use crate::runtime::api::{Container, ContainerExited, Result as RuntimeResult, Runtime, Sandbox};
use actix_rt::ArbiterHandle;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

const MAILBOX: usize = 4096;
const POD_MAILBOX: usize = 256;
/// How often the whole status is written, when nothing else asks for it.
const STATUS: Duration = Duration::from_secs(300);
/// Between attempts to register.
const AGAIN: Duration = Duration::from_secs(1);

/// What the agent must be told of its node.
#[derive(Clone)]
pub struct AgentConfig {
    pub name: String,
    pub address: IpAddr,
    pub max_pods: u32,
    pub labels: BTreeMap<String, String>,
    /// `kubeletVersion`: what the API calls its own version.
    pub version: String,
    pub data_dir: PathBuf,
    /// The cluster's DNS server, when there is one.
    pub dns_server: Option<String>,
    pub cluster_domain: String,
    /// Told which addresses the pods get, and where other nodes are.
    pub network: Arc<dyn NodeNetwork>,
}

/// What the node's actor is told.
pub enum AgentMessage {
    /// What the runtime had when the agent started.
    Found(RuntimeResult<(Vec<Sandbox>, Vec<Container>)>),
    /// A step of the watch on this node's pods.
    Pods(Seen),
    /// A step of the watch on all nodes.
    Nodes(Seen),
    /// The network has the node's own part of the addresses, or could not be made.
    NetworkReady(RuntimeResult<()>),
    /// The actors of all pods.
    All(oneshot::Sender<Vec<Mailbox<PodMessage>>>),
    Registered(bool),
    /// The status is to be written now.
    WriteStatus,
    /// Nobody has asked for the status for a while.
    StatusDue {
        round: u64,
    },
    Exited(ContainerExited),
    PodFinished {
        uid: String,
    },
    /// The actor of a pod, by namespace and name, and by uid when that is not empty.
    Find {
        namespace: String,
        name: String,
        uid: String,
        reply: oneshot::Sender<Option<Mailbox<PodMessage>>>,
    },
}

struct Handle {
    mailbox: Mailbox<PodMessage>,
    seed: Arc<Seed>,
    namespace: String,
    name: String,
}

/// The role at `node/<name>`.
pub struct NodeAgent {
    config: AgentConfig,
    machine: Machine,
    around: Arc<Surroundings>,
    guardian: Guardian,
    arbiter: ArbiterHandle,
    kept: Kept,
    /// Where `kept` is while a panicked role is replaced by a fresh one.
    keep: Arc<Mutex<Kept>>,
}

/// What a fresh role after a panic must not find out anew: which actors and tasks are there already.
#[derive(Default)]
struct Kept {
    pods: BTreeMap<String, Handle>,
    /// Left by the agent before this one, by pod, until its pod is seen.
    found: BTreeMap<String, Vec<Container>>,
    /// While the pods are listed: those named so far.
    listing: Option<BTreeSet<String>>,
    nodes: Nodes,
    network: NetworkState,
    watching_pods: bool,
    registering: bool,
    /// Which timer for the next status counts.
    status_round: u64,
}

impl Drop for NodeAgent {
    fn drop(&mut self) {
        *self.keep.lock().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut self.kept);
    }
}

/// Whether pods can have addresses.
#[derive(Clone, Debug, Default, PartialEq)]
enum NetworkState {
    #[default]
    /// `spec.podCIDR` is not assigned yet.
    Waiting,
    Making,
    Ready,
}

/// The agent's address, before it is started: what serves the server's calls needs it first.
pub fn agent_mailbox(node: &str) -> Mailbox<AgentMessage> {
    Mailbox::new(format!("node/{node}"))
}

/// Starts the agent behind `mailbox` (from [`agent_mailbox`]).
pub fn start_agent(
    mailbox: &Mailbox<AgentMessage>,
    config: AgentConfig,
    runtime: Arc<dyn Runtime>,
    control: Arc<dyn ControlPlane>,
    guardian: &Guardian,
    arbiter: &ArbiterHandle,
) {
    let machine = Machine::read(&config.data_dir);
    let (events, posting) = Events::new(control.clone(), &config.name);
    arbiter.spawn(posting);
    let places = Places {
        data_dir: config.data_dir.clone(),
        dns_server: config.dns_server.clone(),
        cluster_domain: config.cluster_domain.clone(),
        host_dns: machine.dns.clone(),
    };
    let around = Arc::new(Surroundings {
        node_name: config.name.clone(),
        host_ip: config.address.to_string(),
        places,
        cpu_milli: i64::try_from(machine.cpus).unwrap_or(0).saturating_mul(1000),
        memory: i64::try_from(machine.memory).unwrap_or(i64::MAX),
        runtime: runtime.clone(),
        control: control.clone(),
        events,
        tokens: super::tokens::Tokens::default(),
    });
    background(mailbox, &config, runtime, control, arbiter);
    let keep = Arc::new(Mutex::new(Kept::default()));
    let (guardian_inside, arbiter_inside) = (guardian.clone(), arbiter.clone());
    guardian.start(arbiter, mailbox, MAILBOX, move || NodeAgent {
        config: config.clone(),
        machine: machine.clone(),
        around: around.clone(),
        guardian: guardian_inside.clone(),
        arbiter: arbiter_inside.clone(),
        kept: std::mem::take(&mut *keep.lock().unwrap_or_else(PoisonError::into_inner)),
        keep: keep.clone(),
    });
}

impl NodeAgent {
    fn look(&self, scope: &Scope<'_, Self>) {
        let runtime = self.around.runtime.clone();
        scope.run(async move {
            let all = async { Ok((runtime.sandboxes().await?, runtime.containers().await?)) };
            AgentMessage::Found(all.await)
        });
    }

    fn found(&mut self, found: RuntimeResult<(Vec<Sandbox>, Vec<Container>)>, scope: &Scope<'_, Self>) {
        match found {
            Ok((sandboxes, containers)) => {
                self.kept.found = sandboxes.into_iter().map(|s| (s.spec.uid, Vec::new())).collect();
                for container in containers {
                    self.kept.found.entry(container.spec.pod_uid.clone()).or_default().push(container);
                }
                self.watch_pods(scope);
            }
            Err(error) => {
                tracing::error!(%error, "cannot ask the runtime what it has");
                let runtime = self.around.runtime.clone();
                scope.run(async move {
                    tokio::time::sleep(AGAIN).await;
                    let all = async { Ok((runtime.sandboxes().await?, runtime.containers().await?)) };
                    AgentMessage::Found(all.await)
                });
            }
        }
    }

    /// Begins once the pods' network is there and the runtime was asked what it has.
    fn watch_pods(&mut self, scope: &Scope<'_, Self>) {
        if std::mem::replace(&mut self.kept.watching_pods, true) {
            return;
        }
        let of = WatchOf { resource: "pods".into(), field_selector: format!("spec.nodeName={}", self.config.name), ..Default::default() };
        let (to, control) = (scope.mailbox().clone(), self.around.control.clone());
        actix_rt::spawn(follow(control, of, move |seen| {
            let to = to.clone();
            async move { to.deliver(AgentMessage::Pods(seen)).await }
        }));
    }

    fn pods(&mut self, seen: Seen, scope: &Scope<'_, Self>) {
        match seen {
            Seen::Anew => self.kept.listing = Some(BTreeSet::new()),
            Seen::Object { kind, object } => match PodObject::parse(&object) {
                Ok(pod) if kind == WatchKind::Deleted => self.vanished(&pod.uid),
                Ok(pod) => self.observe(Arc::new(pod), scope),
                Err(error) => tracing::error!(%error, "the server sent a pod that makes no sense"),
            },
            Seen::Listed => self.listed(),
        }
    }

    fn observe(&mut self, object: Arc<PodObject>, scope: &Scope<'_, Self>) {
        if let Some(listing) = &mut self.kept.listing {
            listing.insert(object.uid.clone());
        }
        if let Some(handle) = self.kept.pods.get(&object.uid) {
            handle.seed.update(object);
            handle.mailbox.post(PodMessage::Changed);
            return;
        }
        let uid = object.uid.clone();
        let found = self.kept.found.remove(&uid).unwrap_or_default();
        let mailbox = Mailbox::new(format!("{}/pods/{uid}", scope.mailbox().path()));
        let (namespace, name) = (object.namespace.clone(), object.name.clone());
        let seed = Arc::new(Seed::new(object, found));
        let (around, agent, inside) = (self.around.clone(), scope.mailbox().clone(), seed.clone());
        self.guardian.start(&self.arbiter, &mailbox, POD_MAILBOX, move || Pod::new(around.clone(), agent.clone(), inside.clone()));
        scope.decided(format!("{namespace}/{name} runs here"));
        self.kept.pods.insert(uid, Handle { mailbox, seed, namespace, name });
    }

    fn vanished(&self, uid: &str) {
        if let Some(handle) = self.kept.pods.get(uid) {
            handle.mailbox.post(PodMessage::Vanished);
        }
    }

    /// What was not named no longer exists: pods end, and so does what an earlier agent left behind.
    fn listed(&mut self) {
        let Some(named) = self.kept.listing.take() else { return };
        for uid in self.kept.pods.keys().filter(|uid| !named.contains(*uid)) {
            self.vanished(uid);
        }
        for (uid, containers) in std::mem::take(&mut self.kept.found) {
            actix_rt::spawn(remove_orphan(self.around.clone(), uid, containers));
        }
    }

    fn write_status(&mut self, scope: &Scope<'_, Self>) {
        if std::mem::replace(&mut self.kept.registering, true) {
            return;
        }
        let (around, config, machine) = (self.around.clone(), self.config.clone(), self.machine.clone());
        scope.run(async move {
            until_connected(&*around.control).await;
            let images = around.runtime.images().await.unwrap_or_default();
            let outcome = register(&*around.control, &config, &machine, &images).await;
            if let Err(error) = &outcome {
                tracing::warn!(%error, "the node could not write its status");
                tokio::time::sleep(AGAIN).await;
            }
            AgentMessage::Registered(outcome.is_ok())
        });
    }

    fn nodes(&mut self, seen: Seen, scope: &Scope<'_, Self>) {
        let Seen::Object { kind, object } = seen else { return };
        let Some((name, facts)) = NodeFacts::parse(&object) else { return };
        if kind == WatchKind::Deleted {
            return self.kept.nodes.forget(&name);
        }
        if name == self.config.name {
            self.own_node(&facts, scope);
        } else if self.kept.nodes.note(name, facts) && self.kept.network == NetworkState::Ready {
            self.tell_peers();
        }
    }

    fn own_node(&mut self, facts: &NodeFacts, scope: &Scope<'_, Self>) {
        if !facts.pod_cidr.is_empty() && self.kept.network == NetworkState::Waiting {
            self.kept.network = NetworkState::Making;
            let (network, cidr) = (self.config.network.clone(), facts.pod_cidr.clone());
            scope.run(async move { AgentMessage::NetworkReady(network.set_pod_cidr(&cidr).await) });
        }
        if !facts.ready {
            self.write_status(scope);
        }
    }

    fn network_ready(&mut self, outcome: RuntimeResult<()>, scope: &Scope<'_, Self>) {
        match outcome {
            Ok(()) => {
                self.kept.network = NetworkState::Ready;
                self.tell_peers();
                self.look(scope);
            }
            Err(error) => {
                tracing::error!(%error, "the pod network cannot be made");
                // The next write of the node's own status brings its object, and with it the next attempt.
                self.kept.network = NetworkState::Waiting;
                scope.after(AGAIN, AgentMessage::WriteStatus);
            }
        }
    }

    fn tell_peers(&self) {
        let (network, peers) = (self.config.network.clone(), self.kept.nodes.peers(&self.config.name));
        actix_rt::spawn(async move {
            if let Err(error) = network.set_peers(&peers).await {
                tracing::warn!(%error, "the way to other nodes' pods is not complete");
            }
        });
    }

    fn find(&self, namespace: &str, name: &str, uid: &str) -> Option<Mailbox<PodMessage>> {
        let fits =
            |(own, handle): &(&String, &Handle)| handle.namespace == namespace && handle.name == name && (uid.is_empty() || *own == uid);
        self.kept.pods.iter().find(fits).map(|(_, handle)| handle.mailbox.clone())
    }
}

impl Role for NodeAgent {
    type Message = AgentMessage;

    fn started(&mut self, scope: &mut Scope<'_, Self>) {
        self.write_status(scope);
    }

    fn handle(&mut self, message: AgentMessage, scope: &mut Scope<'_, Self>) {
        match message {
            AgentMessage::Found(found) => self.found(found, scope),
            AgentMessage::Pods(seen) => self.pods(seen, scope),
            AgentMessage::Nodes(seen) => self.nodes(seen, scope),
            AgentMessage::NetworkReady(outcome) => self.network_ready(outcome, scope),
            AgentMessage::All(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.kept.pods.values().map(|h| h.mailbox.clone()).collect());
            }
            AgentMessage::Registered(done) => {
                self.kept.registering = false;
                if done {
                    self.kept.status_round += 1;
                    scope.after(STATUS, AgentMessage::StatusDue { round: self.kept.status_round });
                } else {
                    self.write_status(scope);
                }
            }
            AgentMessage::WriteStatus => self.write_status(scope),
            AgentMessage::StatusDue { round } if round == self.kept.status_round => self.write_status(scope),
            AgentMessage::StatusDue { .. } => {}
            AgentMessage::Exited(exited) => {
                if let Some(handle) = self.kept.pods.get(&exited.pod_uid) {
                    handle.mailbox.post(PodMessage::Exited(exited));
                } else if let Some(container) =
                    self.kept.found.get_mut(&exited.pod_uid).into_iter().flatten().find(|c| c.spec.id == exited.id)
                {
                    container.phase = crate::runtime::api::ContainerPhase::Exited(exited.exit);
                }
            }
            AgentMessage::PodFinished { uid } => {
                self.kept.pods.remove(&uid);
            }
            AgentMessage::Find { namespace, name, uid, reply } => {
                // Whoever asked may have gone.
                let _ = reply.send(self.find(&namespace, &name, &uid));
            }
        }
    }
}
