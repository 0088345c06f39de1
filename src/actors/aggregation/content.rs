//! What extension API servers keep in a namespace that goes: it is theirs to delete, and ours to ask them for.
use super::{Aggregation, Route, probe};
use crate::actors::controllers::runner::{Key, Message};
use crate::protocol::meta::ObjectKey;
use crate::protocol::user::User;
use serde_json::Value;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// On whose behalf contents are deleted.
const CONTROLLER: &str = "system:serviceaccount:kube-system:namespace-controller";
/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(5);
/// Namespaces remembered; above that all are forgotten and asked about anew.
const REMEMBERED: usize = 1024;

/// How far a namespace is cleared at extension API servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// Nothing is left there.
    Clean,
    /// They are being asked.
    Pending,
    /// What is left, as `flunders.wardle.example.com has 2 resource instances`, or why that is not known.
    Left(Vec<String>),
}

/// Clears what others keep in a namespace.
pub trait RemoteContent: Send + Sync {
    /// Asks them to delete it, unless that was done just now.
    fn clear(&self, namespace: &str) -> Cleared;
    /// The namespace is gone.
    fn forget(&self, namespace: &str);
}

/// What asking for one namespace came to.
pub(super) struct Progress {
    at: Instant,
    cleared: Cleared,
}

impl RemoteContent for Arc<Aggregation> {
    fn clear(&self, namespace: &str) -> Cleared {
        let routes: Vec<Arc<Route>> = self.routes.get().iter().filter(|r| r.available).cloned().collect();
        if routes.is_empty() {
            return Cleared::Clean;
        }
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = contents.get(namespace) {
            let running = held.cleared == Cleared::Pending;
            if running || held.at.elapsed() < FRESH {
                return held.cleared.clone();
            }
        }
        if contents.len() >= REMEMBERED {
            contents.clear();
        }
        contents.insert(namespace.into(), Progress { at: Instant::now(), cleared: Cleared::Pending });
        let (me, namespace) = (self.clone(), namespace.to_string());
        tokio::spawn(async move {
            let mut left = Vec::new();
            for route in &routes {
                left.extend(me.clear_at(route, &namespace).await);
            }
            let cleared = if left.is_empty() { Cleared::Clean } else { Cleared::Left(left) };
            let mut contents = me.contents.lock().unwrap_or_else(PoisonError::into_inner);
            contents.insert(namespace.clone(), Progress { at: Instant::now(), cleared });
            drop(contents);
            if let Some(mailbox) = me.namespaces.get() {
                let _ = mailbox.tell(Message::Look(Key::of("namespaces", &ObjectKey::new("", namespace))));
            }
        });
        Cleared::Pending
    }

    fn forget(&self, namespace: &str) {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace);
    }
}

impl Aggregation {
    /// Deletes what one server has in a namespace; answers what is left, or what went wrong.
    async fn clear_at(&self, route: &Route, namespace: &str) -> Vec<String> {
        let discovered = self.findings().get(&route.name).and_then(|f| f.discovered.clone());
        let account = User::new(CONTROLLER, ["system:serviceaccounts".to_string(), "system:serviceaccounts:kube-system".to_string()]);
        let mut left = Vec::new();
        for resource in discovered.iter().flat_map(|d| &d.resources).filter(|r| is_cleared(r)) {
            let name = resource["name"].as_str().unwrap_or_default();
            let path = format!("{}/namespaces/{namespace}/{name}", route.path());
            let deleted = probe::call(&self.remote, route, "DELETE", &path, &account).await;
            let outcome = match deleted {
                Ok((200..300, _)) => probe::call(&self.remote, route, "GET", &path, &account).await,
                other => other,
            };
            match outcome {
                Ok((200..300, body)) => {
                    let list: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let count = list["items"].as_array().map_or(0, Vec::len);
                    if count > 0 {
                        left.push(format!("{name}.{} has {count} resource instances", route.group));
                    }
                }
                Ok((404, _)) => {}
                Ok((status, _)) => left.push(format!("{name}.{}: the server answered {status}", route.group)),
                Err(why) => left.push(format!("{name}.{}: {why}", route.group)),
            }
        }
        left
    }
}

/// Whether objects of a resource lie in namespaces and can be listed and deleted all together.
fn is_cleared(resource: &Value) -> bool {
    let can = |verb: &str| resource["verbs"].as_array().is_some_and(|verbs| verbs.iter().any(|v| v == verb));
    resource["namespaced"] == true && can("list") && can("deletecollection")
}
