//! Who decides, and what came of it.
use super::Attributes;
use crate::user::User;

/// Knows who may do what.
pub trait Authorize: Send + Sync {
    fn decide(&self, user: &User, wanted: &Attributes<'_>) -> Decision;

    fn allowed(&self, user: &User, wanted: &Attributes<'_>) -> bool {
        self.decide(user, wanted).allowed
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// Why; may be empty.
    pub reason: String,
    /// What went wrong while deciding; empty when nothing did.
    pub error: String,
}
