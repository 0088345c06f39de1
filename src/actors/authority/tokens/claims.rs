//! What a token says, and what follows from it. Pure: the time and the look-ups are arguments.
use super::TokenError;
use crate::protocol::authority::{account_groups, account_user};
use crate::protocol::meta::ObjectKey;
use crate::protocol::user::User;
use crate::storage::Entry;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The issuer of tokens that lie in Secrets.
pub const LEGACY: &str = "kubernetes/serviceaccount";
/// How long a deleted account or pod still vouches for its tokens, seconds.
const LEEWAY: i64 = 60;
/// What an agent asks for that means an hour; such a token lives a year, as old clients never read a fresh one.
const EXTENDED_FROM: i64 = 3607;
const EXTENDED_TO: i64 = 365 * 24 * 3600;

/// An object by name and uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub name: String,
    #[serde(default)]
    pub uid: String,
}

/// The claim `kubernetes.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    pub namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    pub serviceaccount: Reference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// The claims of a service account token. Times are seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    pub iss: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    #[serde(rename = "kubernetes.io", default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    pub sub: String,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace", default, skip_serializing_if = "String::is_empty")]
    pub legacy_namespace: String,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name", default, skip_serializing_if = "String::is_empty")]
    pub legacy_secret: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name", default, skip_serializing_if = "String::is_empty")]
    pub legacy_account: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid", default, skip_serializing_if = "String::is_empty")]
    pub legacy_uid: String,
}

/// What a token shall end with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BoundTo {
    #[default]
    Account,
    Pod {
        pod: Reference,
        node: Option<Reference>,
    },
    Secret(Reference),
    Node(Reference),
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    pub account: &'a Entry,
    pub audiences: Vec<String>,
    /// Of life.
    pub seconds: i64,
    pub bound: BoundTo,
    /// The API itself is among the audiences.
    pub for_api: bool,
    /// Unique.
    pub id: String,
}

impl Reference {
    pub fn to(entry: &Entry) -> Reference {
        Reference { name: entry.key.name.to_string(), uid: entry.meta.uid.to_string() }
    }
}

impl Claims {
    /// The claims of a token that is made now.
    pub fn new(order: Order<'_>, issuer: &str, now: i64) -> Claims {
        let (namespace, name) = (&order.account.key.namespace, &order.account.key.name);
        let mut bound = Bound { namespace: namespace.to_string(), serviceaccount: Reference::to(order.account), ..Default::default() };
        let mut seconds = order.seconds;
        match order.bound {
            BoundTo::Account => {}
            BoundTo::Pod { pod, node } => {
                if order.for_api && seconds == EXTENDED_FROM {
                    bound.warnafter = Some(now + seconds);
                    seconds = EXTENDED_TO;
                }
                (bound.pod, bound.node) = (Some(pod), node);
            }
            BoundTo::Secret(secret) => bound.secret = Some(secret),
            BoundTo::Node(node) => bound.node = Some(node),
        }
        Claims {
            aud: order.audiences,
            exp: Some(now.saturating_add(seconds)),
            iat: Some(now),
            nbf: Some(now),
            iss: issuer.into(),
            jti: order.id,
            sub: account_user(namespace, name),
            bound: Some(bound),
            ..Default::default()
        }
    }

    /// The claims of a token that lies in a Secret and never ends by itself.
    pub fn legacy(account: &Entry, secret: &str) -> Claims {
        Claims {
            iss: LEGACY.into(),
            sub: account_user(&account.key.namespace, &account.key.name),
            legacy_namespace: account.key.namespace.to_string(),
            legacy_secret: secret.into(),
            legacy_account: account.key.name.to_string(),
            legacy_uid: account.meta.uid.to_string(),
            ..Default::default()
        }
    }

    /// Who this is and for whom, if the token is good for one of `audiences` and what it is bound to is still there. `get` looks
    /// an object up by shelf; `token` is the token itself, which a Secret must still hold.
    pub fn judge(
        &self,
        token: &str,
        audiences: &[String],
        now: i64,
        get: impl Fn(&str, &ObjectKey) -> Option<Arc<Entry>>,
    ) -> Result<(User, Vec<String>), TokenError> {
        if self.iss == LEGACY {
            return self.judge_legacy(token, audiences, now, get);
        }
        if self.exp.is_none_or(|end| end <= now) {
            return Err(TokenError::Expired);
        }
        if self.nbf.is_some_and(|start| start > now + LEEWAY) {
            return Err(TokenError::NotYet);
        }
        let good: Vec<String> = self.aud.iter().filter(|a| audiences.contains(a)).cloned().collect();
        if good.is_empty() {
            return Err(TokenError::Audience { held: self.aud.clone(), wanted: audiences.to_vec() });
        }
        let bound = self.bound.as_ref().ok_or(TokenError::Malformed)?;
        let alive = |shelf: &str, namespace: &str, wanted: &Reference| {
            let held = get(shelf, &ObjectKey::new(namespace, wanted.name.as_str()));
            held.filter(|e| *e.meta.uid == *wanted.uid && lives(e, now)).ok_or(TokenError::Invalidated)
        };
        let mut user = user_of(&bound.namespace, &bound.serviceaccount, self)?;
        alive("serviceaccounts", &bound.namespace, &bound.serviceaccount)?;
        let mut say = |key: &str, value: &str| user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_string()]);
        if let Some(secret) = &bound.secret {
            alive("secrets", &bound.namespace, secret)?;
        }
        if let Some(pod) = &bound.pod {
            alive("pods", &bound.namespace, pod)?;
            say("pod-name", &pod.name);
            say("pod-uid", &pod.uid);
        }
        if let Some(node) = &bound.node {
            // A pod vouches for its node.
            if bound.pod.is_none() {
                alive("nodes", "", node)?;
            }
            say("node-name", &node.name);
            if !node.uid.is_empty() {
                say("node-uid", &node.uid);
            }
        }
        if !self.jti.is_empty() {
            say("credential-id", &format!("JTI={}", self.jti));
        }
        Ok((user, good))
    }

    /// A token out of a Secret counts for the API alone, for as long as the Secret holds it.
    fn judge_legacy(
        &self,
        token: &str,
        audiences: &[String],
        now: i64,
        get: impl Fn(&str, &ObjectKey) -> Option<Arc<Entry>>,
    ) -> Result<(User, Vec<String>), TokenError> {
        let namespace = self.legacy_namespace.as_str();
        let account = Reference { name: self.legacy_account.clone(), uid: self.legacy_uid.clone() };
        let user = user_of(namespace, &account, self)?;
        let secret = get("secrets", &ObjectKey::new(namespace, self.legacy_secret.as_str())).filter(|s| lives(s, now));
        let holds = |secret: &Entry| {
            let held = secret.parse()["data"]["token"].as_str().map(decoded);
            held.flatten().is_some_and(|held| held == token.as_bytes())
        };
        let held = get("serviceaccounts", &ObjectKey::new(namespace, account.name.as_str())).filter(|e| lives(e, now));
        if !secret.is_some_and(|s| holds(&s)) || held.is_none_or(|e| *e.meta.uid != *account.uid) {
            return Err(TokenError::Invalidated);
        }
        Ok((user, audiences.to_vec()))
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// The object is not on its way out for longer than the leeway.
fn lives(entry: &Entry, now: i64) -> bool {
    entry.meta.deleting.is_none_or(|since| since + LEEWAY > now)
}

fn user_of(namespace: &str, account: &Reference, claims: &Claims) -> Result<User, TokenError> {
    let name = account_user(namespace, &account.name);
    if namespace.is_empty() || account.name.is_empty() || claims.sub != name {
        return Err(TokenError::Malformed);
    }
    let mut user = User::new(name, account_groups(namespace));
    user.uid = account.uid.clone();
    user.extra = BTreeMap::new();
    Ok(user)
}

/// `aud` may be one text.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Given::deserialize(from)? {
        Given::One(one) => vec![one],
        Given::Many(many) => many,
    })
}
