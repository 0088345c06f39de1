//! The audit log: who did what, when, and what came of it; `audit.k8s.io/v1` events by a policy file, to a file or a webhook.
mod event;
mod policy;
mod sink;

#[cfg(test)]
mod tests;

pub use event::{Record, Request, fresh_id};
pub use policy::{Level, Policy, PolicyError, Stage};
pub use sink::{FileSettings, Sinks, WebhookSettings};

use crate::protocol::user::User;
use std::sync::Arc;

/// Decides by the policy what is recorded, and hands records to the sinks.
pub struct Audit {
    policy: Policy,
    sinks: Arc<Sinks>,
}

impl Audit {
    pub fn new(policy: Policy, sinks: Sinks) -> Self {
        Audit { policy, sinks: Arc::new(sinks) }
    }

    /// Begins the record of a request, unless the policy wants none.
    pub fn begin(&self, user: &User, request: Request) -> Option<Record> {
        let decision = self.policy.decide(user, &request);
        (decision.level != Level::None).then(|| Record::begin(user, request, decision, self.sinks.clone()))
    }
}
