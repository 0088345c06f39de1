//! What plugins need to know about rights: somebody else decides them.
use crate::actors::authority::{Authorizer, Verdict};
use crate::protocol::authority::{Attributes, Authorize, Decision};
use crate::protocol::user::{MASTERS, User};

/// Masters may do everything, others nothing.
pub struct MastersOnly;

impl Authorize for MastersOnly {
    fn decide(&self, user: &User, _: &Attributes<'_>) -> Decision {
        Decision { allowed: user.is_in(MASTERS), ..Decision::default() }
    }
}

impl Authorize for Authorizer {
    fn decide(&self, user: &User, wanted: &Attributes<'_>) -> Decision {
        match Authorizer::decide(self, user, wanted) {
            Verdict::Allowed(why) => {
                Decision { allowed: true, reason: why.map_or_else(String::new, |why| why.to_string()), ..Decision::default() }
            }
            Verdict::Refused(reason) => Decision { reason, ..Decision::default() },
        }
    }
}
