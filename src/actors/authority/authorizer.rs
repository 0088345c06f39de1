//! The authorizers in turn. The first that allows decides; when none does, the reasons of all are told.
use super::graph::{NodeGraph, node_of};
use super::index::{RbacIndex, Why};
use super::node::{self, Relations};
use super::references::{self, Thing};
use crate::protocol::authority::{Attributes, PolicyRule};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::user::{MASTERS, User};
use crate::storage::{Entry, Shelf, Shelves};
use arc_swap::ArcSwap;
use std::sync::{Arc, OnceLock};

/// Paths that anybody may get, whatever the roles say, as upstream's default is: whoever watches over the server must
/// not depend on its objects.
const ALWAYS_ALLOWED: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// What was decided.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// With the binding, when there was one.
    Allowed(Option<Why>),
    /// Nobody allowed it; the reasons may be empty.
    Refused(String),
}

/// Somebody outside who is asked when none of the others allows it. Answers from memory.
pub trait Elsewhere: Send + Sync {
    /// Whether it is allowed, or why not; `None` when that is not known yet.
    fn known(&self, user: &User, wanted: &Attributes<'_>) -> Option<Result<(), String>>;
}

/// Decides, from memory.
pub struct Authorizer {
    elsewhere: OnceLock<Arc<dyn Elsewhere>>,
    pub(super) rbac: ArcSwap<RbacIndex>,
    pub(super) graph: ArcSwap<NodeGraph>,
    pub(super) shelves: Arc<Shelves>,
    pub(super) pods: Arc<Shelf>,
}

impl Authorizer {
    /// An authorizer over the objects as they are now; [`super::start`] lets it follow them.
    pub fn new(shelves: Arc<Shelves>) -> Arc<Authorizer> {
        let pods = shelves.shelf("pods");
        let authorizer = Authorizer { elsewhere: OnceLock::new(), rbac: ArcSwap::default(), graph: ArcSwap::default(), shelves, pods };
        authorizer.refresh();
        Arc::new(authorizer)
    }

    /// Who is asked when nobody here allows it.
    pub fn ask_elsewhere(&self, elsewhere: Arc<dyn Elsewhere>) {
        let _ = self.elsewhere.set(elsewhere);
    }

    /// Takes in everything there is, at once: for the time before anybody follows the store.
    pub fn refresh(&self) {
        super::keeper::take_in_all(self);
    }

    /// May this user do that?
    pub fn decide(&self, user: &User, wanted: &Attributes<'_>) -> Verdict {
        let health = wanted.path.is_some_and(|path| ALWAYS_ALLOWED.contains(&path));
        if health || user.is_in(MASTERS) {
            return Verdict::Allowed(None);
        }
        let mut reasons = String::new();
        if let Some(node) = user.node() {
            match node::decide(node, wanted, &Present { graph: &self.graph.load(), pods: &self.pods }) {
                Ok(()) => return Verdict::Allowed(None),
                Err(reason) => reasons = reason,
            }
        }
        match self.rbac.load().allows(user, wanted) {
            Ok(why) => Verdict::Allowed(Some(why)),
            Err(trouble) => {
                let mut say = |why: String| {
                    let line = if reasons.is_empty() { "" } else { "\n" };
                    reasons.push_str(&format!("{line}{why}"));
                };
                if !trouble.is_empty() {
                    say(format!("RBAC: {trouble}"));
                }
                match self.elsewhere.get().and_then(|elsewhere| elsewhere.known(user, wanted)) {
                    Some(Ok(())) => return Verdict::Allowed(None),
                    Some(Err(why)) if !why.is_empty() => say(why),
                    _ => {}
                }
                Verdict::Refused(reasons)
            }
        }
    }

    /// `Ok`, or 403 in upstream's words.
    pub fn authorize(&self, user: &User, wanted: &Attributes<'_>) -> Result<(), ApiError> {
        match self.decide(user, wanted) {
            Verdict::Allowed(_) => Ok(()),
            Verdict::Refused(reason) => Err(wanted.forbidden(&user.name, &reason)),
        }
    }

    /// The rules that a user has in a namespace, and what is wrong with the list, empty when it is whole.
    pub fn rules_of(&self, user: &User, namespace: &str) -> (Vec<PolicyRule>, String) {
        let (mut rules, mut trouble) = self.rbac.load().rules_of(user, namespace);
        if user.is_in(MASTERS) {
            rules.splice(0..0, PolicyRule::everything());
        }
        if user.node().is_some() {
            trouble = ["node authorizer does not support user rule resolution".to_string(), trouble].join("\n").trim().to_string();
        }
        (rules, trouble)
    }
}

/// The graph, and what it has not taken in yet: a node hears of a new pod as soon as anybody does, and asks at once.
struct Present<'a> {
    graph: &'a NodeGraph,
    pods: &'a Shelf,
}

impl Present<'_> {
    fn newer(&self, node: &str, namespace: &str, found: impl Fn(&Entry) -> bool) -> bool {
        let snapshot = self.pods.snapshot();
        if snapshot.revision <= self.graph.revision {
            return false;
        }
        let newer = |pod: &&Arc<Entry>| pod.revision > self.graph.revision && node_of(pod).is_some_and(|n| **n == *node);
        snapshot.iter_namespace(namespace).filter(newer).any(|pod| found(pod))
    }
}

impl Relations for Present<'_> {
    fn needs(&self, node: &str, thing: &Thing) -> bool {
        let refers = |pod: &Entry| references::of_pod(&pod.parse()).contains(thing);
        self.graph.needs(node, thing) || self.newer(node, &thing.key.namespace, refers)
    }

    fn needs_volume(&self, node: &str, volume: &str) -> bool {
        self.graph.needs_volume(node, volume)
    }

    fn has_pod(&self, node: &str, pod: &ObjectKey) -> bool {
        self.graph.has_pod(node, pod) || self.newer(node, &pod.namespace, |held| held.key == *pod)
    }
}
