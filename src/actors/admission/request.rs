//! What plugins need to know about rights: somebody else decides them.
use crate::actors::authority::{Authorizer, Verdict};
use crate::protocol::authority::Attributes;
use crate::protocol::user::{MASTERS, User};

/// A question to the authorizer.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    pub user: &'a User,
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    /// Empty: any.
    pub name: &'a str,
}

/// Knows who may do what.
pub trait Authorize: Send + Sync {
    fn allowed(&self, access: &Access<'_>) -> bool;
}

/// Masters may do everything, others nothing.
pub struct MastersOnly;

impl Authorize for MastersOnly {
    fn allowed(&self, access: &Access<'_>) -> bool {
        access.user.is_in(MASTERS)
    }
}

impl Authorize for Authorizer {
    fn allowed(&self, access: &Access<'_>) -> bool {
        let wanted = Attributes {
            verb: access.verb,
            group: access.group,
            version: "*",
            resource: access.resource,
            subresource: access.subresource,
            namespace: access.namespace,
            name: access.name,
            field_selector: "",
            path: None,
        };
        matches!(self.decide(access.user, &wanted), Verdict::Allowed(_))
    }
}
