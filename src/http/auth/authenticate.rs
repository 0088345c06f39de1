//! Client certificates and static tokens.
use super::User;
use crate::protocol::status::ApiError;
use crate::storage::pki::identity_of;
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

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
    tokens: HashMap<Vec<u8>, Arc<User>>,
    /// Certificates whose names were read before: reading one takes longer than the rest of a small request. Whether a
    /// certificate is good was decided in the TLS handshake, so nothing here can go stale.
    certificates: RwLock<HashMap<Vec<u8>, Arc<User>>>,
}

/// Certificates remembered; above that all are forgotten and read anew.
const MAX_CERTIFICATES: usize = 1024;

impl Authenticator {
    pub fn new(users: impl IntoIterator<Item = StaticUser>) -> Self {
        let tokens = users.into_iter().map(|u| (digest_of(&u.token), Arc::new(User::new(u.name, u.groups))));
        Authenticator { tokens: tokens.collect(), certificates: RwLock::default() }
    }

    /// The user behind a connection's certificate or a request's `Authorization` header. A wrong token is refused even
    /// where anonymous requests are allowed, as upstream does.
    pub fn user(&self, certificate: Option<&[u8]>, authorization: Option<&str>) -> Result<Arc<User>, ApiError> {
        if let Some(certificate) = certificate {
            return self.certified(certificate);
        }
        let Some(header) = authorization else { return Ok(Arc::new(User::anonymous())) };
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Err(ApiError::unauthorized());
        }
        self.tokens.get(&digest_of(token.trim())).cloned().ok_or_else(ApiError::unauthorized)
    }

    fn certified(&self, certificate: &[u8]) -> Result<Arc<User>, ApiError> {
        if let Some(user) = self.certificates.read().unwrap_or_else(PoisonError::into_inner).get(certificate) {
            return Ok(user.clone());
        }
        let identity = identity_of(certificate).map_err(|_| ApiError::unauthorized())?;
        let user = Arc::new(User::new(identity.common_name, identity.organizations));
        let mut known = self.certificates.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CERTIFICATES {
            known.clear();
        }
        known.insert(certificate.to_vec(), user.clone());
        Ok(user)
    }
}

fn digest_of(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
