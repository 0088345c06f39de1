//! The supervision tree of a server, on one page.
//!
//! ```text
//! server                              the process
//! ├─ committer                        one thread, the only writer of the store; publishes snapshots and events
//! ├─ arbiter "kinds"
//! │  └─ server/kinds/<resource>       one KindActor for each kind: decides every write to its objects
//! ├─ arbiter "scheduler"
//! │  └─ server/scheduler              assigns pods to nodes
//! ├─ arbiter "control"
//! │  ├─ server/authority/rbac         keeps the indexes of rights
//! │  ├─ server/metrics                asks nodes what they use, while somebody wants to know
//! │  └─ server/controllers/<name>     replication, garbage, namespace, service-account, node-lifecycle
//! ├─ mesh                             QUIC endpoint: one task per connected node, one per call
//! └─ HTTPS workers                    reads from snapshots, writes by asking the kinds
//! node                                the agent; in this process for a single node, elsewhere after `impresario node`
//! └─ node/<name>                      registers the Node, watches its pods
//!    └─ node/<name>/pods/<uid>        one Pod actor: sandbox, containers, probes, status
//! ```
//!
//! A role that panics is rebuilt from the store by its guardian; one that keeps panicking ends the process, so that
//! whoever started it starts it anew.
use super::base::{Guardian, Registry, RestartPolicy};
use super::kinds::{Admission, Kinds, WriteLimits};
use crate::storage::{Committer, Shelves};
use actix_rt::{Arbiter, ArbiterHandle};
use std::sync::Arc;

/// The exit code of a server whose actor could not be kept alive.
pub const EXIT_ESCALATED: i32 = 70;

/// The actors that every server runs, before anything is let in.
pub struct ControlPlane {
    pub guardian: Guardian,
    pub kinds: Arc<Kinds>,
    pub control: ArbiterHandle,
}

/// Starts the kinds. Controllers and the scheduler follow once the first objects are in place.
pub fn start_kinds(committer: &Committer, shelves: Arc<Shelves>, admission: Arc<dyn Admission>) -> ControlPlane {
    let guardian = Guardian::new(Registry::default(), RestartPolicy::default(), |path, panic| {
        tracing::error!(actor = path, panic, "an actor keeps panicking; ending the process");
        std::process::exit(EXIT_ESCALATED);
    });
    let kinds_arbiter = Arbiter::new().handle();
    let control = Arbiter::new().handle();
    let kinds = Kinds::start(&guardian, &kinds_arbiter, committer, shelves, WriteLimits::default(), admission);
    ControlPlane { guardian, kinds, control }
}
