//! The kinds that are served, with their actors. Built-in ones are there from the start; those of definitions come and go. Readers see
//! an immutable table, which is swapped as a whole.
use super::allocation::Shares;
use super::{Admission, Allocator, Kind, KindActor, KindMessage, WriteLimits, Writer};
use crate::actors::base::{Guardian, Mailbox, SendError};
use crate::storage::{Committer, Shelf, Shelves};
use actix_rt::ArbiterHandle;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The kinds that are served, with their actors. Shared by the API, the controllers and the mesh.
pub struct Kinds {
    table: ArcSwap<Table>,
    /// One change of the table at a time.
    changing: Mutex<()>,
    changed: watch::Sender<u64>,
    launch: Launch,
    pub shelves: Arc<Shelves>,
    pub(super) limits: WriteLimits,
    pub(super) admission: Arc<dyn Admission>,
    /// The writer of what nobody asked for from outside.
    pub(super) server: Writer,
}

/// What it takes to start the actor of a kind.
pub struct Launch {
    pub guardian: Guardian,
    pub arbiter: ArbiterHandle,
    pub committer: Committer,
}

/// All kinds at one moment.
#[derive(Default)]
struct Table {
    /// By plural name; the first one of a group and plural is the one that objects are stored as.
    by_resource: HashMap<&'static str, Vec<Arc<Served>>>,
    in_order: Vec<Arc<Served>>,
}

/// A kind, where its objects are read, and where writes to it go.
pub struct Served {
    pub kind: Arc<Kind>,
    pub shelf: Arc<Shelf>,
    /// Whether the API knows it. A version in which objects are stored need not be served.
    pub listed: bool,
    pub(super) mailbox: Mailbox<KindMessage>,
    /// What the actor takes up when it starts anew after a panic.
    latest: Arc<ArcSwap<Kind>>,
    shares: Shares,
}

impl Table {
    fn of(all: Vec<Arc<Served>>) -> Table {
        let mut table = Table { in_order: all, ..Table::default() };
        for served in &table.in_order {
            table.by_resource.entry(served.kind.resource.plural).or_default().push(served.clone());
        }
        table
    }
}

impl Served {
    fn is(&self, group: &str, plural: &str) -> bool {
        self.kind.resource.group == group && self.kind.resource.plural == plural
    }
}

impl Kinds {
    /// Starts an actor for every kind on `arbiter`.
    pub fn start(
        guardian: &Guardian,
        arbiter: &ArbiterHandle,
        committer: &Committer,
        shelves: Arc<Shelves>,
        limits: WriteLimits,
        admission: Arc<dyn Admission>,
    ) -> Arc<Kinds> {
        let launch = Launch { guardian: guardian.clone(), arbiter: arbiter.clone(), committer: committer.clone() };
        let kinds = Kinds {
            table: ArcSwap::default(),
            changing: Mutex::default(),
            changed: watch::Sender::new(0),
            launch,
            shelves,
            limits,
            admission,
            server: Writer::internal("kube-controller-manager"),
        };
        let mut all: Vec<Arc<Served>> = Vec::new();
        for kind in super::all() {
            let kind = Arc::new(kind.clone());
            // What is stored as another kind is written by that kind's actor.
            let owner = all.iter().find(|s| *s.shelf.name == *kind.shelf()).cloned();
            all.push(Arc::new(kinds.served(kind, owner.as_deref(), true)));
        }
        kinds.table.store(Arc::new(Table::of(all)));
        Arc::new(kinds)
    }

    /// A kind with its actor: the owner's, or a new one.
    fn served(&self, kind: Arc<Kind>, owner: Option<&Served>, listed: bool) -> Served {
        if let Some(owner) = owner {
            let (shelf, mailbox) = (owner.shelf.clone(), owner.mailbox.clone());
            return Served { kind, shelf, listed, mailbox, latest: owner.latest.clone(), shares: owner.shares.clone() };
        }
        let shelf = self.shelves.shelf(&kind.shelf());
        let mailbox = Mailbox::new(format!("server/kinds/{}", kind.shelf()));
        let latest = Arc::new(ArcSwap::new(kind.clone()));
        let (held, actor_shelf, namespaces) = (latest.clone(), shelf.clone(), self.shelves.shelf("namespaces"));
        let (committer, admission) = (self.launch.committer.clone(), self.admission.clone());
        let shares = Shares::default();
        let actor_shares = shares.clone();
        self.launch.guardian.start(&self.launch.arbiter, &mailbox, self.limits.mailbox, move || {
            KindActor::new(
                held.load_full(),
                actor_shelf.clone(),
                namespaces.clone(),
                committer.clone(),
                admission.clone(),
                actor_shares.clone(),
            )
        });
        Served { kind, shelf, listed, mailbox, latest, shares }
    }

    /// Gives a kind an allocator, which first learns of every object that is there. To be called before anything is written.
    pub fn allocate(&self, shelf: &str, mut allocator: Box<dyn Allocator>) -> Result<(), &'static str> {
        let served = self.by_shelf(shelf).ok_or("the kind is not served")?;
        served.shelf.snapshot().iter().for_each(|entry| allocator.observe(None, Some(&entry.parse())));
        served.shares.set(allocator)
    }

    /// The kind served as this resource; of several versions the one that objects are stored as.
    pub fn find(&self, group: &str, plural: &str) -> Option<Arc<Served>> {
        self.table.load().by_resource.get(plural)?.iter().find(|served| served.kind.resource.group == group).cloned()
    }

    /// The kind that the API serves as this version of a resource.
    pub fn find_version(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Served>> {
        let table = self.table.load();
        let mut named = table.by_resource.get(plural)?.iter().filter(|s| s.listed && s.kind.resource.group == group);
        named.find(|served| served.kind.resource.version == version).cloned()
    }

    /// The kind whose shelf has this name (`pods`, `replicasets.apps`).
    pub fn by_shelf(&self, shelf: &str) -> Option<Arc<Served>> {
        let (plural, group) = shelf.split_once('.').unwrap_or((shelf, ""));
        self.find(group, plural)
    }

    /// Every kind and version that the API serves, in the order of discovery.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Served>> + use<> {
        let all: Vec<Arc<Served>> = self.table.load().in_order.iter().filter(|s| s.listed).cloned().collect();
        all.into_iter()
    }

    /// Every shelf once, with the kind that its objects are stored as.
    pub fn stored(&self) -> Vec<Arc<Served>> {
        let mut seen = std::collections::HashSet::new();
        self.table.load().in_order.iter().filter(|s| seen.insert(s.shelf.name.clone())).cloned().collect()
    }

    /// Counts the changes of the table. Whoever derives something from all kinds waits for this, or compares it.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Serves a resource in these versions, the one that is stored first; `listed` tells which of them the API knows. Versions of the
    /// same resource that were served before are replaced, and go on with the same actor and shelf.
    pub fn replace(&self, versions: Vec<(Arc<Kind>, bool)>) {
        let Some((first, _)) = versions.first() else { return };
        let (group, plural) = (first.resource.group, first.resource.plural);
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut owner = self.find(group, plural);
        if let Some(owner) = &owner {
            owner.latest.store(first.clone());
            self.tell(owner, KindMessage::Renew(first.clone()));
        }
        let mut all: Vec<Arc<Served>> = self.table.load().in_order.iter().filter(|s| !s.is(group, plural)).cloned().collect();
        for (kind, listed) in versions {
            let served = Arc::new(self.served(kind, owner.as_deref(), listed));
            owner.get_or_insert_with(|| served.clone());
            all.push(served);
        }
        self.swap(all);
    }

    /// Serves a resource no longer: its actor ends, and so do its watches. What it stored is the caller's to delete before.
    pub fn remove(&self, group: &str, plural: &str) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(owner) = self.find(group, plural) else { return };
        self.swap(self.table.load().in_order.iter().filter(|s| !s.is(group, plural)).cloned().collect());
        self.tell(&owner, KindMessage::Stop);
        owner.shelf.hub().end_all();
    }

    /// Leaves a message that must not be lost: when the mailbox is full, as soon as there is room.
    fn tell(&self, served: &Served, message: KindMessage) {
        let Err(SendError::Full(message)) = served.mailbox.try_tell(message) else { return };
        let mailbox = served.mailbox.clone();
        self.launch.arbiter.spawn(async move {
            mailbox.deliver(message).await;
        });
    }

    fn swap(&self, all: Vec<Arc<Served>>) {
        self.table.store(Arc::new(Table::of(all)));
        self.changed.send_modify(|generation| *generation += 1);
    }
}
