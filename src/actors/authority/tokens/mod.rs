//! Service account tokens: signed claims about an account and what the token is bound to. What a token says is checked by its
//! signature once; that the account and the bound object are still there is looked up in the snapshots each time.
mod accounts;
mod claims;
mod controller;
mod keys;
#[cfg(test)]
mod tests;

pub use accounts::{Accepted, AccountTokens};
pub use claims::{Bound, BoundTo, Claims, Order, Reference};
pub use controller::start;
pub use keys::TokenKeys;

/// Why there is no token, or why one is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the signing key cannot be used: {0}")]
    Key(String),
    #[error("the token cannot be signed: {0}")]
    Signing(String),
    #[error("invalid bearer token")]
    Malformed,
    #[error("service account token has expired")]
    Expired,
    #[error("service account token is not valid yet")]
    NotYet,
    #[error("token audiences {held:?} is invalid for the target audiences {wanted:?}")]
    Audience { held: Vec<String>, wanted: Vec<String> },
    #[error("service account token has been invalidated")]
    Invalidated,
}
