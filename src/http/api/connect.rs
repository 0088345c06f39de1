//! What has to be asked before somebody is connected to a pod, a service or a node.
use super::gateway::Gateway;
use super::options::Query;
use super::path::Target;
use crate::actors::kinds::{Attributes, Operation};
use crate::http::auth::User;
use crate::protocol::meta::ObjectKey;
use crate::protocol::resource::Resource;
use crate::protocol::status::ApiError;
use serde_json::{Value, json};

/// Parameters that are lists, and those that are yes or no, in the options of `exec`, `attach` and their like.
const LISTS: [&str; 2] = ["command", "ports"];
const FLAGS: [&str; 4] = ["stdin", "stdout", "stderr", "tty"];

impl Gateway {
    /// Asks webhooks and policies whether a `CONNECT` may be. As upstream does it, they see the options that the query makes up,
    /// and what mutating ones change of them has no effect.
    ///
    /// # Errors
    /// Their refusal.
    pub async fn connect(&self, user: &User, target: &Target, query: &Query) -> Result<(), ApiError> {
        let served = self.find(target)?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let attributes = Attributes {
            kind: &served.kind,
            operation: Operation::Connect,
            subresource: &target.subresource,
            key: &key,
            user,
            dry_run: false,
        };
        let admission = self.kinds.admission();
        if !admission.asks(&attributes) {
            return Ok(());
        }
        let object = options(&served.kind.resource, target, query);
        admission.ask_mutating(attributes, object.clone(), None).await?;
        admission.ask_validating(attributes, Some(&object), None).await.map(|_| ())
    }
}

/// `PodExecOptions` and the like.
fn options(resource: &Resource, target: &Target, query: &Query) -> Value {
    let kind = resource.subresource(&target.subresource).map_or("", |s| s.kind);
    let mut options = json!({ "kind": kind, "apiVersion": "v1" });
    for name in LISTS.into_iter().filter(|name| !query.get(name).is_empty()) {
        options[name] = query.all(name).into();
    }
    for name in FLAGS.into_iter().filter(|name| query.flag(name)) {
        options[name] = true.into();
    }
    for name in ["container", "path"].into_iter().filter(|name| !query.get(name).is_empty()) {
        options[name] = query.get(name).into();
    }
    options
}
