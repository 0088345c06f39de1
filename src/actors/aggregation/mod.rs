//! Extension API servers: an APIService with a Service behind it makes this server pass requests for its group and version on.
//!
//! Routes come from the stored APIServices. Whether the server behind one answers is found out by [`probe`], judged by
//! [`available`], and lies in the object's `Available` condition, which is what routes go by.
pub mod autoregister;
pub mod available;
mod content;
mod probe;
mod remote;
mod route;
#[cfg(test)]
mod tests;

pub use content::{Cleared, RemoteContent};
pub use probe::{Discovered, KUBE_AGGREGATOR, identity_headers};
pub use remote::{Dial, Duplex, Remote};
pub use route::Route;

use super::admission::derived::Derived;
use super::base::Mailbox;
use super::controllers::runner::{Key, Message};
use crate::protocol::discovery::RemoteVersion;
use crate::protocol::meta::ObjectKey;
use crate::protocol::user::User;
use crate::storage::Shelves;
use crate::storage::pki::FrontProxy;
use bytes::Bytes;
use route::routes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The shelf of APIServices.
pub const SHELF: &str = "apiservices.apiregistration.k8s.io";

/// A server that answered is asked again after this long, as upstream does.
const RECHECK: Duration = Duration::from_secs(30);
/// One that didn't, sooner.
const RETRY: Duration = Duration::from_secs(5);

/// What the server knows of extension API servers. Shared by the door, discovery and the controllers.
pub struct Aggregation {
    routes: Derived<Vec<Arc<Route>>>,
    pub remote: Remote,
    findings: Mutex<HashMap<String, Finding>>,
    /// By namespace.
    contents: Mutex<HashMap<String, content::Progress>>,
    judge: OnceLock<Mailbox<Message>>,
    namespaces: OnceLock<Mailbox<Message>>,
}

/// What asking a server came to.
struct Finding {
    /// What the question rested on: the APIService's spec, the Service and its endpoints.
    basis: String,
    at: Option<Instant>,
    outcome: Result<(), String>,
    /// What it said when it answered last.
    discovered: Option<Arc<Discovered>>,
    asking: bool,
}

impl Aggregation {
    pub fn new(shelves: &Shelves, identity: Arc<FrontProxy>) -> Arc<Self> {
        Arc::new(Aggregation {
            routes: Derived::new(shelves.shelf(SHELF), routes),
            remote: Remote::new(identity),
            findings: Mutex::default(),
            contents: Mutex::default(),
            judge: OnceLock::new(),
            namespaces: OnceLock::new(),
        })
    }

    /// Where requests for a group and version go; `None` when this server answers them itself.
    pub fn route(&self, group: &str, version: &str) -> Option<Arc<Route>> {
        if self.routes.is_empty() {
            return None;
        }
        self.routes.get().iter().find(|r| r.group == group && r.version == version).cloned()
    }

    /// The groups and versions of others, for discovery.
    pub fn versions(&self) -> Vec<RemoteVersion> {
        let routes = self.routes.get();
        let findings = self.findings();
        let version = |route: &Arc<Route>| {
            let discovered = findings.get(&route.name).and_then(|f| f.discovered.clone());
            RemoteVersion {
                group: route.group.clone(),
                version: route.version.clone(),
                group_priority: route.group_priority,
                version_priority: route.version_priority,
                resources: discovered.as_ref().map(|d| d.resources.clone()).unwrap_or_default(),
                openapi: discovered.and_then(|d| d.openapi.clone()),
                stale: !route.available,
            }
        };
        routes.iter().map(version).collect()
    }

    /// Asks the server of a route something on behalf of a user. Answers the status and the body.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, route: &Route, path: &str, user: &User) -> Result<(u16, Bytes), String> {
        probe::call(&self.remote, route, "GET", path, user).await
    }

    /// A request to a server failed: it is asked anew whether it is there.
    pub fn suspect(&self, name: &str) {
        if let Some(finding) = self.findings().get_mut(name) {
            finding.at = None;
        }
        self.look(name);
    }

    /// Told when a server was asked: the controller of the conditions.
    pub fn tell_judge(&self, mailbox: Mailbox<Message>) {
        let _ = self.judge.set(mailbox);
    }

    /// Told when the contents of a namespace were cleared: the controller of namespaces.
    pub fn tell_namespaces(&self, mailbox: Mailbox<Message>) {
        let _ = self.namespaces.set(mailbox);
    }

    fn look(&self, name: &str) {
        if let Some(judge) = self.judge.get() {
            // A letter that finds no room is made up for by the next look.
            let _ = judge.tell(Message::Look(Key::of(SHELF, &ObjectKey::new("", name))));
        }
    }

    fn findings(&self) -> MutexGuard<'_, HashMap<String, Finding>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a server, and when to look again. `None`: it is being asked, and the judge is told when there is an answer.
    fn judged(self: &Arc<Self>, route: &Arc<Route>, basis: &str) -> Option<(Result<(), String>, Duration)> {
        let mut findings = self.findings();
        let finding = findings.entry(route.name.clone()).or_insert_with(|| Finding {
            basis: String::new(),
            at: None,
            outcome: Ok(()),
            discovered: None,
            asking: false,
        });
        if finding.asking {
            return None;
        }
        let patience = if finding.outcome.is_ok() { RECHECK } else { RETRY };
        if let Some(age) = finding.at.filter(|_| finding.basis == basis).map(|at| at.elapsed())
            && age < patience
        {
            return Some((finding.outcome.clone(), patience - age));
        }
        finding.asking = true;
        finding.basis = basis.to_string();
        let (me, route) = (self.clone(), route.clone());
        tokio::spawn(async move {
            let outcome = probe::discover(&me.remote, &route).await;
            me.learn(&route.name, outcome);
        });
        None
    }

    fn learn(&self, name: &str, outcome: Result<Discovered, String>) {
        if let Some(finding) = self.findings().get_mut(name) {
            finding.asking = false;
            finding.at = Some(Instant::now());
            finding.outcome = outcome.map(|discovered| finding.discovered = Some(Arc::new(discovered)));
        }
        self.look(name);
    }

    fn forget(&self, name: &str) {
        self.findings().remove(name);
    }
}
