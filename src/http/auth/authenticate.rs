//! Client certificates, and bearer tokens of all sorts.
use super::User;
use super::bootstrap;
use super::oidc::Provider;
use super::webhook::TokenWebhook;
use crate::actors::authority::tokens::AccountTokens;
use crate::protocol::status::ApiError;
use crate::protocol::time;
use crate::storage::Shelf;
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

/// Somebody whose token is good.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub user: Arc<User>,
    /// Those of the audiences asked for that the token is good for.
    pub audiences: Vec<String>,
}

/// Recognises users. Static tokens are looked up by digest, so that a lookup says nothing about them by its time.
#[derive(Default)]
pub struct Authenticator {
    tokens: HashMap<Vec<u8>, Arc<User>>,
    accounts: Option<Arc<AccountTokens>>,
    /// Where bootstrap tokens lie.
    secrets: Option<Arc<Shelf>>,
    providers: Vec<Arc<Provider>>,
    webhook: Option<Arc<TokenWebhook>>,
    /// Certificates whose names were read before: reading one takes longer than the rest of a small request. Whether a
    /// certificate is good was decided in the TLS handshake, so nothing here can go stale.
    certificates: RwLock<HashMap<Vec<u8>, Arc<User>>>,
}

/// Certificates remembered; above that all are forgotten and read anew.
const MAX_CERTIFICATES: usize = 1024;
/// Longer tokens are nobody's.
const MAX_TOKEN: usize = 64 * 1024;

impl Authenticator {
    /// Recognises certificates and static tokens.
    pub fn new(users: impl IntoIterator<Item = StaticUser>) -> Self {
        let tokens = users.into_iter().map(|u| (digest_of(&u.token), Arc::new(User::new(u.name, u.groups))));
        Authenticator { tokens: tokens.collect(), ..Default::default() }
    }

    /// Tokens of service accounts as well.
    pub fn with_accounts(mut self, accounts: Arc<AccountTokens>) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// Bootstrap tokens as well: `secrets` is the shelf of Secrets.
    pub fn with_bootstrap_tokens(mut self, secrets: Arc<Shelf>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// Tokens of OpenID Connect providers as well.
    pub fn with_providers(mut self, providers: Vec<Arc<Provider>>) -> Self {
        self.providers = providers;
        self
    }

    /// What a webhook knows of tokens that nobody here does.
    pub fn with_webhook(mut self, webhook: Option<Arc<TokenWebhook>>) -> Self {
        self.webhook = webhook;
        self
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
        match self.token(token.trim(), &self.api_audiences()) {
            Ok(Some(found)) => Ok(found.user),
            Ok(None) => Err(ApiError::unauthorized()),
            Err(why) => {
                tracing::debug!(why, "a token was refused");
                Err(ApiError::unauthorized())
            }
        }
    }

    /// What the API answers to.
    pub fn api_audiences(&self) -> Vec<String> {
        self.accounts.as_ref().map(|a| a.api_audiences()).unwrap_or_default()
    }

    /// Whose token this is: nobody's, somebody's, or why it is not good.
    pub fn token(&self, token: &str, audiences: &[String]) -> Result<Option<Authenticated>, String> {
        if token.len() > MAX_TOKEN {
            return Ok(None);
        }
        let api = self.api_audiences();
        // Tokens that say nothing about audiences are good for the API.
        let for_api = || -> Vec<String> { audiences.iter().filter(|a| api.contains(a)).cloned().collect() };
        let plain = |user: Arc<User>| {
            let good = for_api();
            (api.is_empty() || !good.is_empty()).then_some(Authenticated { user, audiences: good })
        };
        if let Some(user) = self.tokens.get(&digest_of(token)) {
            return Ok(plain(user.clone()));
        }
        let now = time::now().as_second();
        if let Some(outcome) = self.accounts.as_ref().and_then(|accounts| accounts.recognise(token, audiences, now)) {
            let accepted = outcome.map_err(|e| e.to_string())?;
            return Ok(Some(Authenticated { user: Arc::new(accepted.user), audiences: accepted.audiences }));
        }
        if let Some(user) = self.secrets.as_ref().and_then(|secrets| bootstrap::recognise(secrets, token, now)) {
            return Ok(plain(Arc::new(user)));
        }
        for provider in &self.providers {
            if let Some(outcome) = provider.recognise(token, now) {
                return outcome.map(|user| plain(Arc::new(user))).map_err(|e| e.to_string());
            }
        }
        self.webhook.as_ref().map_or(Ok(None), |webhook| webhook.known(token, audiences))
    }

    fn certified(&self, certificate: &[u8]) -> Result<Arc<User>, ApiError> {
        if let Some(user) = self.certificates.read().unwrap_or_else(PoisonError::into_inner).get(certificate) {
            return Ok(user.clone());
        }
        let identity = identity_of(certificate).map_err(|_| ApiError::unauthorized())?;
        let mut user = User::new(identity.common_name, identity.organizations);
        let fingerprint = hex::encode(digest(&SHA256, certificate));
        user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec![format!("X509SHA256={fingerprint}")]);
        let user = Arc::new(user);
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
