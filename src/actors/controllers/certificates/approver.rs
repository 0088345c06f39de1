//! Approves what nodes ask for themselves, as upstream's csrapproving does: the request must be a node's client certificate,
//! and whoever asks must have the right to `create` the subresource `selfnodeclient` (or `nodeclient`) of requests.
use super::super::plan::{Action, Plan};
use super::signer::check_kubelet_client;
use super::{conditions_and, has, is_issued, patch, usages};
use crate::actors::kinds::certificates::signing_request::{KUBELET_CLIENT_SIGNER, decoded};
use crate::protocol::user::{MASTERS, NODES, User};
use crate::storage::entry::Entry;
use crate::storage::pki::ParsedRequest;
use serde_json::{Value, json};
use std::sync::Arc;

/// Whether a user may create this subresource of `certificatesigningrequests.certificates.k8s.io`.
pub type MayRequest = Arc<dyn Fn(&User, &str) -> bool + Send + Sync>;

/// The group of bearers of bootstrap tokens for nodes, as kubeadm names it.
const BOOTSTRAPPERS: &str = "system:bootstrappers:kubeadm:default-node-token";

/// What may be approved, in the order that it is tried: the subresource that it takes the right to, whether the name in the
/// request must be that of whoever asks, and what the condition says.
const RECOGNIZED: [(&str, bool, &str); 2] = [
    ("selfnodeclient", true, "Auto approving self kubelet client certificate after SubjectAccessReview."),
    ("nodeclient", false, "Auto approving kubelet client certificate after SubjectAccessReview."),
];

/// The rights that kubeadm gives: nodes renew their own certificate, and who has a bootstrap token gets a first one.
pub fn usual_rights(user: &User, subresource: &str) -> bool {
    let group = match subresource {
        "selfnodeclient" => NODES,
        "nodeclient" => BOOTSTRAPPERS,
        _ => return false,
    };
    user.is_in(MASTERS) || user.is_in(group)
}

/// Decides about one request.
pub fn plan(entry: &Entry, object: &Value, may: &dyn Fn(&User, &str) -> bool) -> Plan {
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
