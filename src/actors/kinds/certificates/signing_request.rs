//! `certificates.k8s.io/v1 CertificateSigningRequest`.
//!
//! The main resource never changes once it is made: `status` takes the certificate and the conditions of signers, `approval` takes
//! the conditions `Approved` and `Denied`, and only those.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name, or_none};
use crate::actors::kinds::findings::{READ_WRITE, items, list, text};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CERTIFICATE_SIGNING_REQUEST;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::table::human_duration;
use crate::protocol::time;
use crate::protocol::user::User;
use crate::storage::pki::{ParsedRequest, check_certificates};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Signs certificates with which somebody shows the API server who they are.
pub const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// The same for node agents; approved without asking when a node asks for its own.
pub const KUBELET_CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Signs certificates that node agents show.
pub const KUBELET_SERVING_SIGNER: &str = "kubernetes.io/kubelet-serving";
/// Of the time when requests named no signer; `v1` does not take new ones.
pub const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";

const GROUP: &str = "certificates.k8s.io";
const KIND_NAME: &str = "CertificateSigningRequest";

pub static KIND: Kind = Kind {
    resource: Resource {
        group: GROUP,
        version: "v1",
        kind: KIND_NAME,
        plural: "certificatesigningrequests",
        singular: "certificatesigningrequest",
        namespaced: false,
        short_names: &["csr"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[
            Subresource { name: "approval", group: GROUP, version: "v1", kind: KIND_NAME, verbs: READ_WRITE },
            Subresource { name: "status", group: GROUP, version: "v1", kind: KIND_NAME, verbs: READ_WRITE },
        ],
    },
    body: Body::Typed(&CERTIFICATE_SIGNING_REQUEST),
    schema: KIND_NAME,
    rules: Rules {
        // Upstream takes any name.
        name: |_, _| Vec::new(),
        create,
        requester: set_requester,
        update: |new, old| new["spec"] = old["spec"].clone(),
        update_status: |new, old| set_condition_times(new, old, &time::rfc3339(time::now())),
        validate,
        validate_status,
        fields: &["spec.signerName"],
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    AGE,
    column("SignerName", "string", 0, "Which signer is asked, a qualified name."),
    column("Requestor", "string", 0, "Who asks."),
    column("RequestedDuration", "string", 0, "How long the certificate is wanted for; the signer may give less."),
    column("Condition", "string", 0, "Approved, denied, failed, issued."),
];

/// What a request may ask the certificate to be good for, sorted as upstream prints it.
const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Shortest life that may be asked for.
const EXPIRATION_MIN_SECONDS: i64 = 600;
/// Conditions that can only be true, and never go away.
const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];
/// Conditions that only `approval` sets.
const APPROVAL: [&str; 2] = ["Approved", "Denied"];

/// Who asks is not for the writer to say: the fields are emptied here and filled by [`set_requester`].
fn create(object: &mut Value) {
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for field in ["username", "uid", "groups", "extra"] {
            spec.remove(field);
        }
    }
    object["status"] = json!({});
}

/// Writes down who asks. To be called after the strategy of a create, with the user of the request.
pub fn set_requester(object: &mut Value, user: &User) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let mut set = |field: &str, value: Value| spec.insert(field.into(), value);
    set("username", user.name.clone().into());
    if !user.uid.is_empty() {
        set("uid", user.uid.clone().into());
    }
    set("groups", user.groups.clone().into());
    if !user.extra.is_empty() {
        let extra: Map<String, Value> = user.extra.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        set("extra", extra.into());
    }
}

/// The sentence of the admission rule CertificateSubjectRestriction: nobody becomes an administrator by a signed request.
pub fn restricted_subject(object: &Value) -> Option<&'static str> {
    let spec = &object["spec"];
    let parsed = ParsedRequest::from_pem(&decoded(&spec["request"])).ok()?;
    let masters = text(spec, "signerName") == CLIENT_SIGNER && parsed.organizations.iter().any(|o| o == "system:masters");
    masters.then_some("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed")
}

/// The object after a body was written to `approval`: of the body only the conditions count. `now` is RFC 3339.
pub fn merge_approval(old: &Value, body: &Value, now: &str) -> Value {
    let mut new = old.clone();
    // Upstream's strategy takes the metadata along; what nobody may change was seen to before.
    if let Some(metadata) = body.get("metadata") {
        new["metadata"] = metadata.clone();
    }
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    if let Some(status) = new["status"].as_object_mut() {
        match body["status"].get("conditions") {
            Some(conditions) => status.insert("conditions".into(), conditions.clone()),
            None => status.remove("conditions"),
        };
    }
    set_condition_times(&mut new, old, now);
    new
}

/// Gives conditions the times that their writer left out, as upstream's strategies for `status` and `approval` do.
pub fn set_condition_times(new: &mut Value, old: &Value, now: &str) {
    let Some(conditions) = new.pointer_mut("/status/conditions").and_then(Value::as_array_mut) else { return };
    let absent = |condition: &Value, field: &str| text(condition, field).is_empty();
    for condition in conditions {
        if absent(condition, "lastTransitionTime") {
            let same = |c: &&Value| c["type"] == condition["type"] && c["status"] == condition["status"];
            let held = list(&old["status"]["conditions"]).iter().find(same).map(|c| text(c, "lastTransitionTime"));
            condition["lastTransitionTime"] = held.filter(|t| !t.is_empty()).unwrap_or(now).into();
        }
        if absent(condition, "lastUpdateTime") {
            condition["lastUpdateTime"] = now.into();
        }
    }
}

/// The bytes of a base64 field; none when it is not base64.
pub fn decoded(field: &Value) -> Vec<u8> {
    STANDARD.decode(field.as_str().unwrap_or_default()).unwrap_or_default()
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    if let Err(why) = ParsedRequest::from_pem(&decoded(&spec["request"])) {
        errors.push(FieldError::invalid("spec.request", spec["request"].clone(), why.to_string()));
    }
    if list(&spec["usages"]).is_empty() {
        errors.push(FieldError::required("spec.usages", ""));
    }
    let mut seen = HashSet::new();
    for (path, usage) in items(spec, "spec", "usages") {
        let usage = usage.as_str().unwrap_or_default();
        if !USAGES.contains(&usage) {
            errors.push(FieldError::not_supported(path.clone(), usage, USAGES));
        }
        if !seen.insert(usage) {
            errors.push(FieldError::duplicate(path, usage));
        }
    }
    let signer = text(spec, "signerName");
    if signer == LEGACY_SIGNER {
        errors.push(FieldError::invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version"));
    } else {
        errors.extend(signer_name("spec.signerName", signer));
    }
    if let Some(seconds) = spec["expirationSeconds"].as_i64().filter(|s| *s < EXPIRATION_MIN_SECONDS) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid("spec.expirationSeconds", seconds, why));
    }
    errors
}

/// A signer's name: a domain with at least two parts, a slash, and a path.
fn signer_name(path: &str, name: &str) -> Vec<FieldError> {
    const DOMAIN_MAX: usize = 253;
    if name.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let (Some((domain, rest)), 1) = (name.split_once('/'), name.matches('/').count()) else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return vec![FieldError::invalid(path, name, why)];
    };
    let mut errors = Vec::new();
    if domain.len() > DOMAIN_MAX {
        errors.push(FieldError::too_long(path, DOMAIN_MAX));
    }
    let first_faults = |value: &str, check: fn(&str) -> Vec<String>| {
        let faults = value.split('.').map(|label| (label, check(label))).find(|(_, faults)| !faults.is_empty());
        let (label, faults) = faults.unwrap_or_default();
        let finding = |f: String| FieldError::invalid(path, value, format!("validating label \"{label}\": {f}"));
        faults.into_iter().map(finding).collect::<Vec<_>>()
    };
    errors.extend(first_faults(domain, names::dns1123_label));
    if !domain.contains('.') {
        errors.push(FieldError::invalid(path, domain, "should be a domain with at least two segments separated by dots"));
    }
    errors.extend(first_faults(rest, names::dns1123_subdomain));
    let max = DOMAIN_MAX + 1 + (253 + 63 + 1);
    if name.len() > max {
        errors.push(FieldError::too_long(path, max));
    }
    errors
}

fn validate_status(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = validate_conditions(new, old);
    for type_ in APPROVAL {
        let (held, given) = (of_type(old, type_), of_type(new, type_));
        if given.len() > held.len() {
            errors.push(FieldError::forbidden("status.conditions", format!("updates may not add a condition of type \"{type_}\"")));
        } else if given.len() == held.len() && given != held {
            errors.push(FieldError::forbidden("status.conditions", format!("updates may not modify a condition of type \"{type_}\"")));
        }
    }
    let (given, held) = (&new["status"]["certificate"], &old["status"]["certificate"]);
    if given != held {
        if !held.is_null() {
            errors.push(FieldError::forbidden("status.certificate", "updates may not modify existing certificate content"));
        }
        if let Err(why) = check_certificates(&decoded(given)) {
            errors.push(FieldError::invalid("status.certificate", "<certificate data>", why.to_string()));
        }
    }
    errors
}

/// Rules of the `approval` subresource; `new` comes from [`merge_approval`].
pub fn validate_approval(new: &Value, old: &Value) -> Vec<FieldError> {
    validate_conditions(new, old)
}

fn of_type<'a>(object: &'a Value, type_: &str) -> Vec<&'a Value> {
    list(&object["status"]["conditions"]).iter().filter(|c| c["type"] == type_).collect()
}

fn validate_conditions(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for (path, condition) in items(&new["status"], "status", "conditions") {
        let type_ = text(condition, "type");
        if type_.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
        }
        let allowed: &[&str] = if FINAL.contains(&type_) { &["True"] } else { &["False", "True", "Unknown"] };
        match text(condition, "status") {
            "" => errors.push(FieldError::required(format!("{path}.status"), "")),
            status if !allowed.contains(&status) => {
                errors.push(FieldError::not_supported(format!("{path}.status"), status, allowed));
            }
            _ => {}
        }
        let opposite = match type_ {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !opposite.is_empty() && seen.contains(opposite) {
            let why = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid(format!("{path}.type"), type_, why));
        }
        if !seen.insert(type_) {
            errors.push(FieldError::duplicate(format!("{path}.type"), type_));
        }
    }
    for type_ in FINAL {
        if of_type(new, type_).len() < of_type(old, type_).len() {
            errors.push(FieldError::forbidden("status.conditions", format!("updates may not remove a condition of type \"{type_}\"")));
        }
    }
    errors
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let duration = spec["expirationSeconds"].as_i64().map_or_else(|| "<none>".to_string(), human_duration);
    vec![name(o), age(o, now), or_none(text(spec, "signerName")), spec["username"].as_str().unwrap_or_default().into(), duration.into(), {
        let has = |type_: &str| !of_type(o, type_).is_empty();
        let mut text = if has("Denied") {
            "Denied"
        } else if has("Approved") {
            "Approved"
        } else {
            "Pending"
        }
        .to_string();
        if has("Failed") {
            text += ",Failed";
        }
        if status["certificate"].as_str().is_some_and(|c| !c.is_empty()) {
            text += ",Issued";
        }
        text.into()
    }]
}
