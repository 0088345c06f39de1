//! What the doors share to find out who asks and whether they may.
use super::{Action, Authenticator, User};
use crate::actors::authority::Authorizer;
use crate::actors::authority::tokens::AccountTokens;
use crate::protocol::status::ApiError;
use std::sync::Arc;

/// Who somebody is, and what they may do.
pub struct Access {
    pub authenticator: Authenticator,
    pub authorizer: Arc<Authorizer>,
    pub tokens: Arc<AccountTokens>,
}

impl Access {
    /// `Ok`, or 403 in upstream's words.
    pub fn authorize(&self, user: &User, action: &Action<'_>) -> Result<(), ApiError> {
        self.authorizer.authorize(user, &action.attributes())
    }
}
