//! `serviceaccounts/token`: a token for an account, bound to what its bearer lives in.
use super::super::gateway::Gateway;
use super::super::path::Target;
use super::{text, texts};
use crate::actors::authority::Written;
use crate::actors::authority::tokens::{BoundTo, Order, Reference};
use crate::http::auth::User;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::{ApiError, FieldError};
use crate::protocol::time;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Seconds that a token lives when nobody says how long, and at least and at most.
const USUAL: i64 = 3600;
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

impl Gateway {
    pub(super) fn token_request(&self, user: &User, target: &Target, request: &mut Value, dry_run: bool) -> Result<(), ApiError> {
        let tokens = &self.access.tokens;
        let account = tokens.get("serviceaccounts", &ObjectKey::new(target.namespace.as_str(), target.name.as_str()));
        let account = account.ok_or_else(|| ApiError::not_found("", "serviceaccounts", &target.name))?;
        for (field, wanted) in [("name", &target.name), ("namespace", &target.namespace)] {
            let given = text(&request["metadata"], field);
            if !given.is_empty() && given != wanted.as_str() {
                let why = format!("the {field} of the provided object does not match the {field} sent on the request");
                return Err(ApiError::bad_request(why));
            }
        }
        request["metadata"] = json!({
            "name": target.name, "namespace": target.namespace, "creationTimestamp": time::rfc3339(time::now()),
        });
        let spec = &mut request["spec"];
        if spec["expirationSeconds"].is_null() {
            spec["expirationSeconds"] = USUAL.into();
        }
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or(USUAL);
        check_seconds(seconds)?;
        if texts(&spec["audiences"]).is_empty() {
            spec["audiences"] = tokens.api_audiences().into();
        }
        let audiences = texts(&spec["audiences"]);
        self.access.authorizer.check_write(
            user,
            &Written {
                operation: "CREATE",
                group: "",
                resource: "serviceaccounts",
                subresource: "token",
                namespace: &target.namespace,
                name: &target.name,
                object: Some(request),
                old: None,
            },
        )?;
        let bound = self.bound_to(target, &request["spec"]["boundObjectRef"])?;
        let for_api = audiences.iter().all(|a| tokens.api_audiences().contains(a));
        let order = Order { account: &account, audiences, seconds, bound, for_api, id: fresh_id()? };
        let (token, claims) = tokens.issue(order, time::now().as_second()).map_err(ApiError::internal)?;
        // What lives longer than asked for shall not be told: its bearer would not come back in time.
        let end = claims.bound.as_ref().and_then(|b| b.warnafter).or(claims.exp).unwrap_or_default();
        let end = Timestamp::from_second(end).map_err(ApiError::internal)?;
        let token = if dry_run { String::new() } else { token };
        request["status"] = json!({ "token": token, "expirationTimestamp": time::rfc3339(end) });
        Ok(())
    }

    /// The object that the token shall end with; it must exist.
    fn bound_to(&self, target: &Target, wanted: &Value) -> Result<BoundTo, ApiError> {
        if !wanted.is_object() {
            return Ok(BoundTo::Account);
        }
        let (kind, name, uid) = (text(wanted, "kind"), text(wanted, "name"), text(wanted, "uid"));
        let get = |plural: &str, namespace: &str| {
            let held = self.access.tokens.get(plural, &ObjectKey::new(namespace, name));
            let held = held.ok_or_else(|| ApiError::not_found("", plural, name))?;
            if !uid.is_empty() && *held.meta.uid != *uid {
                let why = format!(
                    "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
                );
                return Err(ApiError::conflict("", plural, name, &why));
            }
            Ok(held)
        };
        match (text(wanted, "apiVersion"), kind) {
            ("v1", "Pod") => {
                let pod = get("pods", &target.namespace)?;
                if pod.parse()["spec"]["serviceAccountName"] != target.name.as_str() {
                    let account = &target.name;
                    let why =
                        format!("cannot bind token for serviceaccount \"{account}\" to pod running with different serviceaccount name.");
                    return Err(ApiError::bad_request(why));
                }
                let node = match &pod.light {
                    Light::Pod(light) if !light.node.is_empty() => Some(light.node.clone()),
                    _ => None,
                };
                let held = node.as_ref().and_then(|n| self.access.tokens.get("nodes", &ObjectKey::new("", n.clone())));
                let node = node.map(|name| Reference {
                    name: name.to_string(),
                    uid: held.map(|entry| entry.meta.uid.to_string()).unwrap_or_default(),
                });
                Ok(BoundTo::Pod { pod: Reference::to(&pod), node })
            }
            ("v1", "Secret") => Ok(BoundTo::Secret(Reference::to(&*get("secrets", &target.namespace)?))),
            ("v1", "Node") => Ok(BoundTo::Node(Reference::to(&*get("nodes", "")?))),
            (version, kind) => {
                let (group, version) = version.split_once('/').unwrap_or(("", version));
                Err(ApiError::bad_request(format!("cannot bind token to object of type {group}/{version}, Kind={kind}")))
            }
        }
    }
}

fn check_seconds(seconds: i64) -> Result<(), ApiError> {
    let why = if seconds < SHORTEST {
        "may not specify a duration less than 10 minutes"
    } else if seconds > LONGEST {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    let error = FieldError::invalid("spec.expirationSeconds", seconds, why);
    Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &[error]))
}

/// A random UUID (version 4).
fn fresh_id() -> Result<String, ApiError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| ApiError::internal(format!("no randomness to be had: {e}")))?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
