//! OpenID Connect: tokens of somebody else's issuer. Its keys are fetched over HTTPS and kept; a token is judged from memory.
mod fetch;
#[cfg(test)]
mod tests;

use super::User;
use crate::config::Oidc;
use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Keys are fetched anew after this long.
const KEPT: Duration = Duration::from_secs(3600);
/// Pause after a failure, and between fetches that unknown keys ask for.
const PAUSE: Duration = Duration::from_secs(10);

/// Why a token of the provider is not good.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("oidc: authenticator not initialized")]
    NoKeys,
    #[error("oidc: verify token: {0}")]
    Unverified(String),
    #[error("oidc: the claim {0} is missing or of the wrong type")]
    Claim(String),
    #[error("oidc: email not verified")]
    Email,
    #[error("oidc: required claim {0} is missing or has another value")]
    Required(String),
    #[error("cannot fetch {url}: {why}")]
    Fetch { url: String, why: String },
}

/// One provider, and its keys as last fetched.
pub struct Provider {
    settings: Oidc,
    algorithms: Vec<Algorithm>,
    keys: ArcSwapOption<JwkSet>,
    /// Somebody came with a key that is not known.
    unknown: Notify,
}

impl Provider {
    /// A provider without keys yet; [`Provider::keep_keys`] fetches them.
    pub fn new(settings: Oidc) -> Arc<Provider> {
        let algorithms = settings.signing_algorithms.iter().filter_map(|name| name.parse().ok()).collect();
        Arc::new(Provider { settings, algorithms, keys: ArcSwapOption::empty(), unknown: Notify::new() })
    }

    /// Fetches the keys now, hourly, and when a token was signed with one that is not known. Never returns.
    pub async fn keep_keys(self: Arc<Self>) {
        loop {
            match fetch::keys(&self.settings).await {
                Ok(keys) => {
                    self.keys.store(Some(Arc::new(keys)));
                    let _ = tokio::time::timeout(KEPT, self.unknown.notified()).await;
                }
                Err(error) => tracing::warn!(issuer = self.settings.issuer, %error, "the keys of the token issuer could not be fetched"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Who holds this token; `None` when it does not even claim to be of this issuer. `now` in seconds since the epoch.
    pub fn recognise(&self, token: &str, now: i64) -> Option<Result<User, OidcError>> {
        let claims = unverified(token)?;
        if claims["iss"] != self.settings.issuer.as_str() {
            return None;
        }
        Some(self.verified(token).and_then(|claims| user_of(&self.settings, &claims, now)))
    }

    fn verified(&self, token: &str) -> Result<Value, OidcError> {
        let keys = self.keys.load_full().ok_or(OidcError::NoKeys)?;
        let wrong = |e: jsonwebtoken::errors::Error| OidcError::Unverified(e.to_string());
        let header = jsonwebtoken::decode_header(token).map_err(wrong)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(OidcError::Unverified(format!("the algorithm {:?} is not allowed", header.alg)));
        }
        let mut validation = Validation::new(header.alg);
        // Times and audiences are judged by our own clock and rules.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let named = |id: &String| keys.keys.iter().find(|k| k.common.key_id.as_ref() == Some(id));
        let candidates: Vec<_> = match &header.kid {
            Some(id) => named(id).into_iter().collect(),
            None => keys.keys.iter().collect(),
        };
        if candidates.is_empty() {
            self.unknown.notify_one();
        }
        let mut last = OidcError::Unverified("failed to verify id token signature".into());
        for key in candidates {
            let decoded = DecodingKey::from_jwk(key).and_then(|key| jsonwebtoken::decode::<Value>(token, &key, &validation));
            match decoded {
                Ok(token) => return Ok(token.claims),
                Err(error) => last = wrong(error),
            }
        }
        Err(last)
    }

    #[cfg(test)]
    fn set_keys(&self, keys: JwkSet) {
        self.keys.store(Some(Arc::new(keys)));
    }
}

/// What a token claims, unchecked.
pub(crate) fn unverified(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The user that verified claims are about.
fn user_of(settings: &Oidc, claims: &Value, now: i64) -> Result<User, OidcError> {
    if claims["exp"].as_f64().is_none_or(|end| end <= now as f64) {
        return Err(OidcError::Unverified("token is expired".into()));
    }
    if claims["nbf"].as_f64().is_some_and(|start| start > now as f64 + 300.0) {
        return Err(OidcError::Unverified("token is not valid yet".into()));
    }
    let held = texts(&claims["aud"]);
    if !held.iter().any(|a| settings.audiences.contains(a)) {
        return Err(OidcError::Unverified(format!("expected audience in {:?} got {held:?}", settings.audiences)));
    }
    for (key, value) in &settings.required_claims {
        if claims[key] != value.as_str() {
            return Err(OidcError::Required(key.clone()));
        }
    }
    let claim = settings.username_claim.as_str();
    let name = claims[claim].as_str().filter(|n| !n.is_empty()).ok_or_else(|| OidcError::Claim(claim.into()))?;
    if claim == "email" && claims.get("email_verified").is_some_and(|verified| *verified != true) {
        return Err(OidcError::Email);
    }
    let prefix = match settings.username_prefix.as_deref() {
        Some("-") => String::new(),
        Some(prefix) => prefix.to_string(),
        // Addresses are unique by themselves; other names belong to their issuer.
        None if claim == "email" => String::new(),
        None => format!("{}#", settings.issuer),
    };
    let groups = if settings.groups_claim.is_empty() { Vec::new() } else { texts(&claims[&settings.groups_claim]) };
    let groups = groups.into_iter().map(|group| format!("{}{group}", settings.groups_prefix));
    let mut user = User::new(format!("{prefix}{name}"), groups);
    if let Some(id) = claims["jti"].as_str() {
        user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec![format!("JTI={id}")]);
    }
    Ok(user)
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(|v| v.as_str().map(String::from)).collect(),
        _ => Vec::new(),
    }
}
