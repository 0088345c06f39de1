//! Webhook configurations of `admissionregistration.k8s.io/v1beta1`: other defaults.
use super::fields::{default, default_text, each};
use serde_json::{Value, json};

/// Fills in what the old version meant by leaving fields out.
///
/// Today `sideEffects` must promise that dry runs do no harm. The old default, `Unknown`, promised nothing; it is taken for
/// `NoneOnDryRun`, since a configuration of that age could not be used at all otherwise. `Some` stays, and is refused.
pub(super) fn to_today(configuration: &mut Value) {
    for webhook in each(configuration, "webhooks") {
        if webhook.as_object().is_none() {
            continue;
        }
        default_text(webhook, "failurePolicy", "Ignore");
        default_text(webhook, "matchPolicy", "Exact");
        default(webhook, "timeoutSeconds", 30);
        default(webhook, "admissionReviewVersions", json!(["v1beta1"]));
        default_text(webhook, "sideEffects", "NoneOnDryRun");
        if webhook["sideEffects"] == "Unknown" {
            webhook["sideEffects"] = "NoneOnDryRun".into();
        }
    }
}
