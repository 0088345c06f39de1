//! What the doors share to find out who asks and whether they may.
use super::webhook::Webhooks;
use super::{Action, Authenticator, User};
use crate::actors::admission::notes::{is_noting, note_over};
use crate::actors::authority::tokens::AccountTokens;
use crate::actors::authority::{Authorizer, Verdict};
use crate::protocol::status::ApiError;
use std::sync::Arc;

/// Who somebody is, and what they may do.
pub struct Access {
    pub authenticator: Authenticator,
    pub authorizer: Arc<Authorizer>,
    pub tokens: Arc<AccountTokens>,
    /// Who knows users and rights that we don't.
    pub webhooks: Webhooks,
}

impl Access {
    /// Has something decided that may rest on what only webhooks know. `decide` must do the same however often it is called.
    pub async fn deciding<T>(&self, decide: impl FnMut() -> Result<T, ApiError>) -> Result<T, ApiError> {
        self.webhooks.deciding(decide).await
    }

    /// `Ok`, or 403 in upstream's words.
    pub fn authorize(&self, user: &User, action: &Action<'_>) -> Result<(), ApiError> {
        let wanted = action.attributes();
        let (allowed, reason) = match self.authorizer.decide(user, &wanted) {
            Verdict::Allowed(why) => (true, why.filter(|_| is_noting()).map_or_else(String::new, |why| why.to_string())),
            Verdict::Refused(reason) => (false, reason),
        };
        if is_noting() {
            note_over("authorization.k8s.io/decision", if allowed { "allow" } else { "forbid" });
            note_over("authorization.k8s.io/reason", reason.as_str());
        }
        if allowed { Ok(()) } else { Err(wanted.forbidden(&user.name, &reason)) }
    }
}
