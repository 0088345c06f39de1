//! Where the requests for a group and version go, as its APIService says.
use crate::storage::Snapshot;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::Arc;

/// An APIService that has a Service behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The APIService's name: `v1alpha1.wardle.example.com`.
    pub name: String,
    pub group: String,
    pub version: String,
    pub namespace: String,
    pub service: String,
    pub port: u16,
    /// PEM; empty for the machine's own roots.
    pub ca: Vec<u8>,
    /// Any certificate is taken.
    pub insecure: bool,
    /// The condition says that it answers.
    pub available: bool,
    pub group_priority: i64,
    pub version_priority: i64,
}

impl Route {
    /// `None` for an APIService that this server answers itself.
    pub fn parse(object: &Value) -> Option<Route> {
        let spec = &object["spec"];
        let service = spec["service"].as_object().map(|_| &spec["service"])?;
        Some(Route {
            name: text(&object["metadata"], "name").into(),
            group: text(spec, "group").into(),
            version: text(spec, "version").into(),
            namespace: text(service, "namespace").into(),
            service: text(service, "name").into(),
            port: service["port"].as_u64().and_then(|p| u16::try_from(p).ok()).unwrap_or(443),
            ca: STANDARD.decode(text(spec, "caBundle")).unwrap_or_default(),
            insecure: spec["insecureSkipTLSVerify"] == true,
            available: is_available(object),
            group_priority: spec["groupPriorityMinimum"].as_i64().unwrap_or(0),
            version_priority: spec["versionPriority"].as_i64().unwrap_or(0),
        })
    }

    /// The name that the server's certificate must have.
    pub fn server_name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// `/apis/wardle.example.com/v1alpha1`
    pub fn path(&self) -> String {
        if self.group.is_empty() { format!("/api/{}", self.version) } else { format!("/apis/{}/{}", self.group, self.version) }
    }
}

/// Whether the condition says that the group and version answer.
pub fn is_available(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|list| list.iter().any(|c| c["type"] == "Available" && c["status"] == "True"))
}

/// The routes of a shelf of APIServices.
pub(super) fn routes(snapshot: &Snapshot) -> Vec<Arc<Route>> {
    snapshot.iter().filter_map(|entry| Route::parse(&entry.parse())).map(Arc::new).collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
