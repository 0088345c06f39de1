//! Tokens of service accounts over the objects as they are: made here, and recognised here.
use super::keys::claims_issuer;
use super::{Claims, Order, TokenError, TokenKeys};
use crate::protocol::meta::ObjectKey;
use crate::protocol::user::User;
use crate::storage::{Entry, Shelves};
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Tokens remembered: a signature takes longer to check than the rest of a small request. Above that all are forgotten.
const REMEMBERED: usize = 4096;

/// Somebody whose token is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub user: User,
    /// Those of the audiences asked for that the token is good for.
    pub audiences: Vec<String>,
}

/// Makes and recognises the tokens of service accounts.
pub struct AccountTokens {
    pub keys: TokenKeys,
    shelves: Arc<Shelves>,
    /// Whose signature was checked, by digest.
    checked: RwLock<HashMap<Vec<u8>, Arc<Claims>>>,
}

impl AccountTokens {
    pub fn new(keys: TokenKeys, shelves: Arc<Shelves>) -> Self {
        AccountTokens { keys, shelves, checked: RwLock::default() }
    }

    /// What the API answers to: the issuer itself.
    pub fn api_audiences(&self) -> Vec<String> {
        vec![self.keys.issuer().to_string()]
    }

    /// An object by shelf.
    pub fn get(&self, shelf: &str, key: &ObjectKey) -> Option<Arc<Entry>> {
        self.shelves.shelf(shelf).snapshot().get(key).cloned()
    }

    /// A new token, and what it says.
    ///
    /// # Errors
    /// See [`TokenKeys::sign`].
    pub fn issue(&self, order: Order<'_>, now: i64) -> Result<(String, Claims), TokenError> {
        let claims = Claims::new(order, self.keys.issuer(), now);
        Ok((self.keys.sign(&claims)?, claims))
    }

    /// Who a token is of; `None` when it does not even claim to be one of ours.
    pub fn recognise(&self, token: &str, audiences: &[String], now: i64) -> Option<Result<Accepted, TokenError>> {
        let key = digest(&SHA256, token.as_bytes()).as_ref().to_vec();
        let known = self.checked.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let claims = match known {
            Some(claims) => claims,
            None if !claims_issuer(token, self.keys.issuer()) => return None,
            None => match self.keys.read(token) {
                Ok(claims) => self.remember(key, claims),
                Err(error) => return Some(Err(error)),
            },
        };
        let judged = claims.judge(token, audiences, now, |shelf, key| self.get(shelf, key));
        Some(judged.map(|(user, audiences)| Accepted { user, audiences }))
    }

    fn remember(&self, key: Vec<u8>, claims: Claims) -> Arc<Claims> {
        let claims = Arc::new(claims);
        let mut checked = self.checked.write().unwrap_or_else(PoisonError::into_inner);
        if checked.len() >= REMEMBERED {
            checked.clear();
        }
        checked.insert(key, claims.clone());
        claims
    }
}
