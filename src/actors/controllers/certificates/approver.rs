//! Approves what nodes ask for themselves, as upstream's csrapproving does: the request must be a node's client certificate,
//! and whoever asks must have the right to `create` the subresource `selfnodeclient` (or `nodeclient`) of requests.
use super::super::plan::{Action, Plan};
use super::signer::check_kubelet_client;
use super::{conditions_and, has, is_issued, patch, usages};
use crate::actors::kinds::certificates::signing_request::{KUBELET_CLIENT_SIGNER, decoded};
use crate::protocol::authority::{Attributes, Authorize};
use crate::protocol::user::User;
use crate::storage::entry::Entry;
use crate::storage::pki::ParsedRequest;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Whether a user may create this subresource of `certificatesigningrequests.certificates.k8s.io`.
pub type MayRequest = Arc<dyn Fn(&User, &str) -> bool + Send + Sync>;

/// What may be approved, in the order that it is tried: the subresource that it takes the right to, whether the name in the
/// request must be that of whoever asks, and what the condition says.
const RECOGNIZED: [(&str, bool, &str); 2] = [
    ("selfnodeclient", true, "Auto approving self kubelet client certificate after SubjectAccessReview."),
    ("nodeclient", false, "Auto approving kubelet client certificate after SubjectAccessReview."),
];

/// A request of somebody without the right is looked at again: roles may come later. At first after this, in the end as seldom as that.
const PATIENCE: (i64, i64) = (1, 1000);

/// What the cluster's authorizers say.
pub fn rights(authorizer: Arc<dyn Authorize>) -> MayRequest {
    Arc::new(move |user, subresource| {
        let wanted = Attributes {
            verb: "create",
            group: "certificates.k8s.io",
            version: "*",
            resource: "certificatesigningrequests",
            subresource,
            ..Attributes::default()
        };
        authorizer.decide(user, &wanted).allowed
    })
}

/// Decides about one request.
pub fn plan(entry: &Entry, object: &Value, now: Timestamp, may: &dyn Fn(&User, &str) -> bool) -> Plan {
    let mut plan = Plan::quiet();
    let spec = &object["spec"];
    if is_issued(object) || has(object, "Approved") || has(object, "Denied") || spec["signerName"] != KUBELET_CLIENT_SIGNER {
        return plan;
    }
    let Ok(request) = ParsedRequest::from_pem(&decoded(&spec["request"])) else { return plan };
    if check_kubelet_client(&request, &usages(object)).is_err() {
        return plan;
    }
    let user = requester(spec);
    let found = RECOGNIZED.into_iter().find(|(right, own, _)| (!own || user.name == request.common_name) && may(&user, right));
    let Some((right, _, message)) = found else {
        plan.why = format!("request {}: {} may not have it approved", entry.key.name, user.name);
        let age = (now.as_second() - entry.meta.created).clamp(PATIENCE.0, PATIENCE.1);
        plan.requeue(Duration::from_secs(age.unsigned_abs()));
        return plan;
    };
    let condition = json!({ "type": "Approved", "status": "True", "reason": "AutoApproved", "message": message });
    plan.why = format!("request {}: {} has the right to {right}", entry.key.name, user.name);
    plan.actions.push(Action::Patch(patch(entry, "approval", conditions_and(object, condition))));
    plan
}

/// Whoever made the request, as the API server wrote it down.
fn requester(spec: &Value) -> User {
    let texts =
        |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().filter_map(Value::as_str).map(String::from).collect() };
    let extra = spec["extra"].as_object().into_iter().flatten();
    User {
        name: spec["username"].as_str().unwrap_or_default().to_string(),
        uid: spec["uid"].as_str().unwrap_or_default().to_string(),
        groups: texts(&spec["groups"]),
        extra: extra.map(|(key, values)| (key.clone(), texts(values))).collect(),
    }
}
