//! The role that keeps the indexes up to date: it follows the shelves of roles, bindings, pods and volumes.
use super::aggregation::Aggregation;
use super::authorizer::Authorizer;
use super::graph::NodeGraph;
use super::index::RbacIndex;
use crate::actors::base::{Guardian, Mailbox, Role, Scope};
use crate::actors::controllers::cluster::Cluster;
use crate::actors::controllers::runner;
use crate::actors::kinds::Kinds;
use crate::storage::{Delivery, Entry, EventKind, Next, Start};
use actix_rt::ArbiterHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::oneshot;

/// A shelf that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    Roles,
    Bindings,
    Pods,
    Volumes,
}

/// Which shelf holds what.
const SHELVES: [(&str, Followed); 6] = [
    ("roles.rbac.authorization.k8s.io", Followed::Roles),
    ("clusterroles.rbac.authorization.k8s.io", Followed::Roles),
    ("rolebindings.rbac.authorization.k8s.io", Followed::Bindings),
    ("clusterrolebindings.rbac.authorization.k8s.io", Followed::Bindings),
    ("pods", Followed::Pods),
    ("persistentvolumes", Followed::Volumes),
];
/// Changes that may wait; beyond that everything is read anew.
const QUEUE: usize = 64 * 1024;
/// At most one letter of each shelf is under way.
const MAILBOX: usize = 64;

/// What the keeper is told.
pub enum News {
    /// The feed goes on when `taken` is answered.
    Changes { life: u64, of: Followed, changes: Vec<Delivery>, taken: oneshot::Sender<()> },
    /// A feed was too slow, and has ended.
    Lost { life: u64 },
}

/// Keeps the indexes of an [`Authorizer`].
pub struct Keeper {
    authorizer: Arc<Authorizer>,
    rbac: RbacIndex,
    graph: NodeGraph,
    life: u64,
}

static LIVES: AtomicU64 = AtomicU64::new(1);

/// Starts the keeper at `server/authority/rbac`, and the controller of aggregated roles.
pub fn start(guardian: &Guardian, arbiter: &ArbiterHandle, kinds: &Arc<Kinds>, authorizer: &Arc<Authorizer>) {
    let mailbox: Mailbox<News> = Mailbox::new("server/authority/rbac");
    let kept = authorizer.clone();
    guardian.start(arbiter, &mailbox, MAILBOX, move || Keeper {
        authorizer: kept.clone(),
        rbac: RbacIndex::default(),
        graph: NodeGraph::default(),
        life: 0,
    });
    let mailbox: Mailbox<runner::Message> = Mailbox::new("server/controllers/clusterrole-aggregation");
    let cluster = Arc::new(Cluster::new(kinds.clone()));
    guardian.start(arbiter, &mailbox, runner::CAPACITY, move || runner::Runner::new(Aggregation, cluster.clone(), cluster.clone()));
}

/// Reads everything there is into an authorizer.
pub(super) fn take_in_all(authorizer: &Authorizer) {
    let (mut rbac, mut graph) = (RbacIndex::default(), NodeGraph::default());
    for (shelf, of) in SHELVES {
        let snapshot = authorizer.shelves.shelf(shelf).snapshot();
        snapshot.iter().for_each(|entry| take_in(&mut rbac, &mut graph, of, entry, false));
    }
    authorizer.rbac.store(Arc::new(rbac));
    authorizer.graph.store(Arc::new(graph));
}

fn take_in(rbac: &mut RbacIndex, graph: &mut NodeGraph, of: Followed, entry: &Entry, deleted: bool) {
    let object = || (!deleted).then(|| entry.parse());
    match of {
        Followed::Roles => rbac.set_role(&entry.key, object().as_ref()),
        Followed::Bindings => rbac.set_binding(&entry.key, object().as_ref()),
        Followed::Pods => graph.set_pod(entry, deleted),
        Followed::Volumes => graph.set_volume(&entry.key.name, object().as_ref()),
    }
}

impl Keeper {
    /// Begins anew: what is there, and feeds of what comes.
    fn follow(&mut self, mailbox: &Mailbox<News>) {
        self.life = LIVES.fetch_add(1, Relaxed);
        (self.rbac, self.graph) = (RbacIndex::default(), NodeGraph::default());
        for (shelf, of) in SHELVES {
            let Ok(mut feed) = self.authorizer.shelves.shelf(shelf).hub().subscribe(Start::Now, None, None, None, QUEUE) else {
                continue;
            };
            for entry in feed.initial.take().iter().flat_map(|snapshot| snapshot.iter()) {
                take_in(&mut self.rbac, &mut self.graph, of, entry, false);
            }
            let (life, mailbox) = (self.life, mailbox.clone());
            actix_rt::spawn(async move {
                loop {
                    match feed.next().await {
                        Next::Batch(changes) => {
                            let (taken, done) = oneshot::channel();
                            // A dropped reply means that a fresh role has feeds of its own.
                            if !mailbox.deliver(News::Changes { life, of, changes, taken }).await || done.await.is_err() {
                                return;
                            }
                        }
                        Next::Lagged => {
                            mailbox.deliver(News::Lost { life }).await;
                            return;
                        }
                    }
                }
            });
        }
        self.publish(true, true);
    }

    fn publish(&self, rbac: bool, graph: bool) {
        if rbac {
            self.authorizer.rbac.store(Arc::new(self.rbac.clone()));
        }
        if graph {
            self.authorizer.graph.store(Arc::new(self.graph.clone()));
        }
    }
}

impl Role for Keeper {
    type Message = News;

    fn started(&mut self, scope: &mut Scope<'_, Self>) {
        self.follow(scope.mailbox());
    }

    fn handle(&mut self, news: News, scope: &mut Scope<'_, Self>) {
        match news {
            News::Changes { life, of, changes, taken } if life == self.life => {
                for change in &changes {
                    let deleted = change.kind == EventKind::Deleted;
                    take_in(&mut self.rbac, &mut self.graph, of, &change.event.entry, deleted);
                }
                let rbac = matches!(of, Followed::Roles | Followed::Bindings);
                self.publish(rbac, !rbac);
                let _ = taken.send(());
            }
            News::Lost { life } if life == self.life => self.follow(scope.mailbox()),
            // From the feeds of an earlier life.
            News::Changes { .. } | News::Lost { .. } => {}
        }
    }
}
