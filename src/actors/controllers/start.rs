//! Which controllers a server runs.
use super::bootstrap::{self, Bootstrap, FlowSchemas};
use super::certificates::{Certificates, approver};
use super::cluster::Cluster;
use super::cron_job::CronJobs;
use super::custom_resources::{CustomResources, KindRegistry};
use super::daemon_set::DaemonSets;
use super::deployment::Deployments;
use super::disruption::Disruption;
use super::endpoints::Endpoints;
use super::ephemeral_volume::EphemeralVolumes;
use super::event_expiry::EventExpiry;
use super::garbage::Garbage;
use super::horizontal_pod_autoscaler::{Fetcher, HorizontalPodAutoscalers};
use super::job::Jobs;
use super::namespace::Namespaces;
use super::node_ipam::Cidr;
use super::node_lifecycle::{Heartbeats, NodeLifecycle};
use super::node_ttl::NodeTtl;
use super::pod_gc::FinishedPods;
use super::replication::{Flavour, Replication};
use super::resource_claim::ResourceClaims;
use super::resource_quota::ResourceQuotas;
use super::runner::{Controller, Message, Runner};
use super::service_account::ServiceAccounts;
use super::stateful_set::StatefulSets;
use super::steady;
use super::storage_protection::StorageProtection;
use super::volume_binder::VolumeBinder;
use super::volume_expand::VolumeExpand;
use crate::actors::aggregation::Aggregation;
use crate::actors::aggregation::autoregister::{self, Autoregister};
use crate::actors::aggregation::available::Availability;
use crate::actors::base::{Guardian, Mailbox};
use crate::actors::kinds::Kinds;
use crate::actors::metrics::Metrics;
use crate::actors::scheduler::role::{CAPACITY, Message as SchedulerMessage, Rules, Scheduler};
use crate::protocol::authority::Authorize;
use crate::storage::DecisionLog;
use crate::storage::pki::Pki;
use actix_rt::ArbiterHandle;
use std::sync::Arc;
use std::time::Duration;

/// Letters that may wait for one controller.
const MAILBOX: usize = 16 * 1024;

/// What the controllers need to know about the cluster.
#[derive(Clone)]
pub struct ControllerSettings {
    /// The pods' address range; every node gets a /24 of it.
    pub pod_cidr: Cidr,
    /// The cluster's CA, PEM.
    pub ca: String,
    /// Fed by the mesh.
    pub heartbeats: Heartbeats,
    /// Who may have certificates without a person looking at the request.
    pub authorizer: Arc<dyn Authorize>,
    /// Signs certificates.
    pub pki: Arc<Pki>,
    /// What is known of extension API servers.
    pub aggregation: Arc<Aggregation>,
    /// What nodes and pods use.
    pub metrics: Metrics,
    /// Takes what is decided, and why.
    pub decisions: DecisionLog,
    /// What the cluster keeps in place.
    pub bootstrap: bootstrap::Settings,
    /// How long events live after their last write; `None`: for good.
    pub event_ttl: Option<Duration>,
    /// How pods are given their nodes.
    pub scheduling: Arc<Rules>,
}

/// Starts every controller and the scheduler on one arbiter.
pub fn start(
    guardian: &Guardian,
    arbiter: &ArbiterHandle,
    kinds: &Arc<Kinds>,
    registry: &Arc<KindRegistry>,
    settings: &ControllerSettings,
) {
    let cluster = Arc::new(Cluster::new(kinds.clone()).recording(settings.decisions.clone()));
    let run = Run { guardian, arbiter, kinds, cluster: &cluster };
    let registry = registry.clone();
    run.controller("customresources", move || CustomResources { register: registry.clone() });
    run.controller("replicationcontroller", || Replication { flavour: Flavour::ReplicationController });
    run.controller("replicaset", || Replication { flavour: Flavour::ReplicaSet });
    run.controller("deployment", || Deployments);
    run.controller("statefulset", || StatefulSets);
    run.controller("daemonset", DaemonSets::default);
    run.controller("job", || Jobs);
    run.controller("cronjob", || CronJobs);
    let fetcher = Fetcher::new(kinds.clone(), settings.metrics.clone(), settings.aggregation.clone());
    let (targets, meters) = (kinds.clone(), fetcher.clone());
    let autoscalers = run.controller("horizontalpodautoscaler", move || {
        HorizontalPodAutoscalers::new(targets.clone(), Box::new(meters.clone()), Box::new(|_| steady::now()))
    });
    fetcher.tell(autoscalers);
    run.controller("endpoints", Endpoints::default);
    let scales = kinds.clone();
    run.controller("disruption", move || Disruption::new(Box::new(scales.clone())));
    run.controller("finishedpods", FinishedPods::default);
    run.controller("garbage", Garbage::default);
    let remote = settings.aggregation.clone();
    let namespaces = run.controller("namespace", move || Namespaces { remote: Some(Arc::new(remote.clone())) });
    settings.aggregation.tell_namespaces(namespaces);
    let aggregation = settings.aggregation.clone();
    let judge = run.controller("apiserviceavailability", move || Availability { aggregation: aggregation.clone() });
    settings.aggregation.tell_judge(judge);
    let built_in = autoregister::built_in(kinds);
    run.controller("autoregister", move || Autoregister::new(built_in.clone()));
    run.controller("resourcequota", ResourceQuotas::default);
    run.controller("storageprotection", || StorageProtection);
    run.controller("persistentvolumebinder", VolumeBinder::default);
    run.controller("ephemeralvolume", || EphemeralVolumes);
    run.controller("persistentvolumeexpander", VolumeExpand::default);
    run.controller("resourceclaim", ResourceClaims::default);
    if let Some(ttl) = settings.event_ttl {
        run.controller("eventexpiry", move || EventExpiry::new(ttl));
    }
    let (pki, may_request) = (settings.pki.clone(), approver::rights(settings.authorizer.clone()));
    run.controller("certificates", move || Certificates { pki: pki.clone(), may_request: may_request.clone() });
    let wanted = settings.bootstrap.clone();
    run.controller("bootstrap", move || Bootstrap::new(&wanted));
    run.controller("flowschemas", || FlowSchemas);
    let ca = settings.ca.clone();
    run.controller("serviceaccount", move || ServiceAccounts { ca: ca.clone() });
    let (heartbeats, pods) = (settings.heartbeats.clone(), settings.pod_cidr);
    run.controller("nodelifecycle", move || NodeLifecycle::new(heartbeats.clone(), Some(pods), Box::new(|_| steady::now())));
    run.controller("nodettl", NodeTtl::default);
    let mailbox: Mailbox<SchedulerMessage> = Mailbox::new("server/scheduler");
    let (eyes, rules) = (cluster.clone(), settings.scheduling.clone());
    // A stretch of decisions would hold up the controllers, so it has a thread of its own.
    let own = actix_rt::Arbiter::new().handle();
    guardian.start(&own, &mailbox, CAPACITY, move || Scheduler::new(rules.clone(), eyes.clone(), eyes.clone()));
}

struct Run<'a> {
    guardian: &'a Guardian,
    arbiter: &'a ArbiterHandle,
    kinds: &'a Arc<Kinds>,
    cluster: &'a Arc<Cluster>,
}

impl Run<'_> {
    fn controller<C: Controller>(&self, name: &str, build: impl Fn() -> C + Send + 'static) -> Mailbox<Message> {
        let mailbox: Mailbox<Message> = Mailbox::new(format!("server/controllers/{name}"));
        let cluster = self.cluster.clone();
        self.guardian.start(self.arbiter, &mailbox, MAILBOX, move || Runner::new(build(), cluster.clone(), cluster.clone()));
        self.tell_of_kinds(mailbox.clone());
        mailbox
    }

    /// Kinds come and go with their definitions; controllers that follow all of them hear of it.
    fn tell_of_kinds(&self, mailbox: Mailbox<Message>) {
        let mut generation = self.kinds.generation();
        self.arbiter.spawn(async move {
            while generation.changed().await.is_ok() {
                if !mailbox.deliver(Message::KindsChanged).await {
                    return;
                }
            }
        });
    }
}
