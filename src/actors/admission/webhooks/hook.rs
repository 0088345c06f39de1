//! A webhook, as its configuration describes it.
use crate::actors::admission::expressions::Compiled;
use crate::actors::admission::matching::{Match, conditions};
use crate::actors::admission::refusal::{list, text};
use crate::storage::Snapshot;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::time::Duration;

/// See the module.
pub struct Hook {
    pub name: String,
    /// The object that it stands in.
    pub configuration: String,
    pub mutating: bool,
    pub place: Place,
    /// PEM; empty for the machine's own roots.
    pub ca: Vec<u8>,
    pub matching: Match,
    pub conditions: Vec<Compiled>,
    /// Whether a request fails when the webhook cannot be asked.
    pub fail: bool,
    pub timeout: Duration,
    /// Whether asking does something elsewhere, also for a dry run.
    pub side_effects: bool,
    /// Asked once more when something was changed after it.
    pub reinvoke: bool,
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Url(String),
    Service { namespace: String, name: String, path: String, port: u16 },
}

/// The webhooks of a shelf of configurations: by the configurations' names, then in their order.
pub fn hooks(snapshot: &Snapshot) -> Vec<Hook> {
    let parsed = snapshot.iter().map(|entry| entry.parse());
    parsed.flat_map(|c| list(&c, "webhooks").iter().map(|w| hook(w, &c)).collect::<Vec<_>>()).collect()
}

fn hook(w: &Value, configuration: &Value) -> Hook {
    let client = &w["clientConfig"];
    let service = &client["service"];
    let place = if service.is_object() {
        Place::Service {
            namespace: text(service, "namespace").into(),
            name: text(service, "name").into(),
            path: text(service, "path").into(),
            port: service["port"].as_u64().and_then(|p| u16::try_from(p).ok()).unwrap_or(443),
        }
    } else {
        Place::Url(text(client, "url").into())
    };
    Hook {
        name: text(w, "name").into(),
        configuration: text(&configuration["metadata"], "name").into(),
        mutating: configuration["kind"] == "MutatingWebhookConfiguration",
        place,
        ca: STANDARD.decode(text(client, "caBundle")).unwrap_or_default(),
        matching: Match::parse(w, "rules"),
        conditions: conditions(w),
        fail: text(w, "failurePolicy") != "Ignore",
        timeout: Duration::from_secs(w["timeoutSeconds"].as_u64().unwrap_or(10).clamp(1, 30)),
        side_effects: !matches!(text(w, "sideEffects"), "None" | "NoneOnDryRun"),
        reinvoke: text(w, "reinvocationPolicy") == "IfNeeded",
    }
}
