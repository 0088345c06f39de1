//! Tokens of service accounts for pods: asked of the server, kept while they are good, renewed at four fifths of their life.
use super::control_plane::{ControlError, ControlPlane, JSON, request};
use super::object::PodObject;
use crate::protocol::time::{now, parse_seconds};
use k8s_openapi::api::core::v1::ServiceAccountTokenProjection;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a pod that says nothing gets, seconds.
const LIFE: i64 = 3600;
/// No token is used for longer than this before it is renewed, seconds.
const OLDEST: i64 = 24 * 3600;

/// One token of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    uid: String,
    account: String,
    audience: String,
    seconds: i64,
}

#[derive(Clone)]
struct Held {
    token: String,
    renew_at: i64,
    ends: i64,
}

/// The tokens of this node's pods.
#[derive(Default)]
pub struct Tokens {
    held: Mutex<HashMap<Wanted, Held>>,
}

impl Tokens {
    /// The token for a projection of a pod; the one in use, unless it is time for a new one.
    ///
    /// # Errors
    /// When there is none that is still good and the server gives none.
    pub async fn get(
        &self,
        control: &dyn ControlPlane,
        object: &PodObject,
        projection: &ServiceAccountTokenProjection,
    ) -> Result<String, ControlError> {
        let account = object.spec.service_account_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".into());
        let wanted = Wanted {
            uid: object.uid.clone(),
            account,
            audience: projection.audience.clone().unwrap_or_default(),
            seconds: projection.expiration_seconds.unwrap_or(LIFE),
        };
        let clock = now().as_second();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(&wanted).cloned();
        if let Some(held) = held.as_ref().filter(|held| clock < held.renew_at) {
            return Ok(held.token.clone());
        }
        match fetch(control, object, &wanted, clock).await {
            Ok(fresh) => {
                let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                // Tokens of pods that are gone are dropped with their end.
                all.retain(|_, held| held.ends > clock);
                all.insert(wanted, fresh.clone());
                Ok(fresh.token)
            }
            // The old one is good for a while; the next refresh tries again.
            Err(error) => held.filter(|held| clock < held.ends).map(|held| held.token).ok_or(error),
        }
    }
}

async fn fetch(control: &dyn ControlPlane, object: &PodObject, wanted: &Wanted, clock: i64) -> Result<Held, ControlError> {
    let audiences: Vec<&str> = Some(wanted.audience.as_str()).filter(|a| !a.is_empty()).into_iter().collect();
    let body = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": wanted.seconds,
            "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": object.name, "uid": object.uid },
        },
    });
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", object.namespace, wanted.account);
    let answer = request(control, "POST", &path, JSON, Some(&body)).await?;
    held(&answer["status"], clock).ok_or_else(|| ControlError::Malformed("a token request was answered without a token".into()))
}

fn held(status: &Value, clock: i64) -> Option<Held> {
    let token = status["token"].as_str().filter(|t| !t.is_empty())?.to_string();
    let ends = parse_seconds(status["expirationTimestamp"].as_str()?)?;
    let life = (ends - clock).max(0);
    Some(Held { token, renew_at: clock + (life * 4 / 5).min(OLDEST), ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewed_at_four_fifths_of_its_life() {
        let status = json!({ "token": "t", "expirationTimestamp": "1970-01-01T01:00:00Z" });
        let held = held(&status, 0).expect("a token");
        assert_eq!((held.token.as_str(), held.renew_at, held.ends), ("t", 2880, 3600));
        assert!(super::held(&json!({ "token": "", "expirationTimestamp": "1970-01-01T01:00:00Z" }), 0).is_none());
    }
}
