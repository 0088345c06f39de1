//! Client certificates and static tokens.
use super::User;
use crate::protocol::status::ApiError;
use crate::storage::pki::identity_of;
use ring::digest::{SHA256, digest};
use std::collections::HashMap;

/// A user from the cluster file, known by a bearer token.
#[derive(Clone, Debug)]
pub struct StaticUser {
    pub token: String,
    pub name: String,
    pub groups: Vec<String>,
}

/// Recognises users. Tokens are looked up by digest, so that a lookup says nothing about them by its time.
#[derive(Default)]
pub struct Authenticator {
    tokens: HashMap<Vec<u8>, User>,
}

impl Authenticator {
    pub fn new(users: impl IntoIterator<Item = StaticUser>) -> Self {
        let tokens = users.into_iter().map(|u| (digest_of(&u.token), User::new(u.name, u.groups)));
        Authenticator { tokens: tokens.collect() }
    }

    /// The user behind a connection's certificate or a request's `Authorization` header. A wrong token is refused even
    /// where anonymous requests are allowed, as upstream does.
    pub fn user(&self, certificate: Option<&[u8]>, authorization: Option<&str>) -> Result<User, ApiError> {
        if let Some(certificate) = certificate {
            let identity = identity_of(certificate).map_err(|_| ApiError::unauthorized())?;
            return Ok(User::new(identity.common_name, identity.organizations));
        }
        let Some(header) = authorization else { return Ok(User::anonymous()) };
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Err(ApiError::unauthorized());
        }
        self.tokens.get(&digest_of(token.trim())).cloned().ok_or_else(ApiError::unauthorized)
    }
}

fn digest_of(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
