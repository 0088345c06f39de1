//! Versions that differ from today's in a field or two.
use super::fields::{annotate, default_text, each, object, put, rename, take, take_annotation};
use serde_json::{Value, json};

/// Versions whose objects look like today's.
pub(super) fn same(_: &mut Value) {}

/// `node.k8s.io/v1alpha1`: everything was in `spec`, and the handler had a longer name.
pub(super) fn runtime_class_to_today(class: &mut Value) {
    let Some(mut spec) = take(class, "spec") else { return };
    put(class, "handler", take(&mut spec, "runtimeHandler"));
    for field in ["overhead", "scheduling"] {
        put(class, field, take(&mut spec, field));
    }
}

pub(super) fn runtime_class_from_today(class: &mut Value) {
    let mut spec = json!({});
    put(&mut spec, "runtimeHandler", take(class, "handler"));
    for field in ["overhead", "scheduling"] {
        put(&mut spec, field, take(class, field));
    }
    put(class, "spec", Some(spec));
}

/// `certificates.k8s.io/v1beta1`: the signer could be left out, usages too, and conditions had no status.
pub(super) fn signing_request_to_today(request: &mut Value) {
    if let Some(spec) = object(request, "spec") {
        default_text(spec, "signerName", "kubernetes.io/legacy-unknown");
        if spec["usages"].as_array().is_none_or(Vec::is_empty) {
            put(spec, "usages", Some(json!(["digital signature", "key encipherment"])));
        }
    }
    if let Some(status) = request.get_mut("status") {
        each(status, "conditions").filter(|c| c.is_object()).for_each(|c| default_text(c, "status", "True"));
    }
}

/// `authorization.k8s.io/v1beta1`: a list of groups under a name in the singular.
pub(super) fn access_review_to_today(review: &mut Value) {
    if let Some(spec) = review.get_mut("spec") {
        rename(spec, "group", "groups");
    }
}

pub(super) fn access_review_from_today(review: &mut Value) {
    if let Some(spec) = review.get_mut("spec") {
        rename(spec, "groups", "group");
    }
}

/// Says to `v1beta3` that zero shares are meant, not left out.
const ZERO_SHARES: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
/// What was meant by leaving them out, and by zero.
const SHARES: i64 = 30;

/// `flowcontrol.apiserver.k8s.io/v1beta1` and `v1beta2`: shares were assured, not nominal.
pub(super) fn priority_level_to_today(level: &mut Value) {
    let Some(limited) = limited(level) else { return };
    rename(limited, "assuredConcurrencyShares", "nominalConcurrencyShares");
    if limited["nominalConcurrencyShares"].as_i64().unwrap_or(0) == 0 {
        limited["nominalConcurrencyShares"] = SHARES.into();
    }
}

pub(super) fn priority_level_from_today(level: &mut Value) {
    if let Some(limited) = limited(level) {
        rename(limited, "nominalConcurrencyShares", "assuredConcurrencyShares");
    }
}

pub(super) fn priority_level_v1beta3_to_today(level: &mut Value) {
    let zero = take_annotation(level, ZERO_SHARES).is_some();
    let Some(limited) = limited(level) else { return };
    if !zero && limited["nominalConcurrencyShares"].as_i64().unwrap_or(0) == 0 {
        limited["nominalConcurrencyShares"] = SHARES.into();
    }
}

pub(super) fn priority_level_v1beta3_from_today(level: &mut Value) {
    if limited(level).is_some_and(|l| l["nominalConcurrencyShares"] == 0) {
        annotate(level, ZERO_SHARES, String::new());
    }
}

fn limited(level: &mut Value) -> Option<&mut Value> {
    level.get_mut("spec")?.get_mut("limited").filter(|l| l.is_object())
}
