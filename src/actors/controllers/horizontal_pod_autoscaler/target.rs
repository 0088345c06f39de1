//! What an autoscaler scales: any kind with a scale subresource.
use crate::actors::kinds::{Kinds, Served, scale_of};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use serde_json::Value;
use std::sync::Arc;

/// `spec.scaleTargetRef`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub api_version: String,
    pub kind: String,
    pub name: String,
}

impl Reference {
    pub fn parse(reference: &Value) -> Reference {
        let text = |field: &str| reference[field].as_str().unwrap_or_default().to_string();
        Reference { api_version: text("apiVersion"), kind: text("kind"), name: text("name") }
    }

    /// The group of the kind.
    ///
    /// # Errors
    /// When that is no API version.
    pub fn group(&self) -> Result<&str, String> {
        match self.api_version.split('/').collect::<Vec<_>>().as_slice() {
            [_] => Ok(""),
            [group, _] => Ok(group),
            _ => Err(format!("unexpected GroupVersion string: {}", self.api_version)),
        }
    }
}

/// A target's scale at a moment, and where it is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub shelf: Arc<str>,
    pub key: ObjectKey,
    pub uid: Arc<str>,
    pub revision: u64,
    /// Asked for.
    pub replicas: i64,
    /// There.
    pub running: i64,
    /// The pods', as text; empty when it is not told.
    pub selector: String,
}

/// Finds targets.
pub trait Targets: Send + Sync {
    /// # Errors
    /// Why there is no scale, in upstream's words.
    fn find(&self, reference: &Reference, namespace: &str) -> Result<Target, String>;

    /// The resource of a kind as the custom metrics API names it: `services`, `deployments.apps`.
    fn resource(&self, group: &str, kind: &str) -> Option<String>;
}

/// Who serves a kind, in this version if there are several.
pub fn serving(kinds: &Kinds, group: &str, kind: &str, version: &str) -> Option<Arc<Served>> {
    kinds
        .iter()
        .filter(|s| s.kind.resource.kind == kind && s.kind.resource.group == group)
        .min_by_key(|s| s.kind.resource.version != version)
}

/// The scale of an object of a kind that has this subresource; `None` when there is no such object.
pub fn read(served: &Served, key: ObjectKey) -> Option<Target> {
    let entry = served.shelf.snapshot().get(&key).cloned()?;
    let mut object = served.kind.read(&entry);
    served.kind.show(&mut object);
    let scale = scale_of(&served.kind, &object);
    Some(Target {
        shelf: served.kind.shelf().into(),
        key,
        uid: entry.meta.uid.clone(),
        revision: entry.revision,
        replicas: scale["spec"]["replicas"].as_i64().unwrap_or_default(),
        running: scale["status"]["replicas"].as_i64().unwrap_or_default(),
        selector: scale["status"]["selector"].as_str().unwrap_or_default().into(),
    })
}

impl Targets for Kinds {
    fn find(&self, reference: &Reference, namespace: &str) -> Result<Target, String> {
        let group = reference.group()?;
        let version = reference.api_version.rsplit('/').next().unwrap_or_default();
        let Some(served) = serving(self, group, &reference.kind, version) else {
            return Err(format!("no matches for kind \"{}\" in group \"{group}\"", reference.kind));
        };
        let resource = &served.kind.resource;
        if !resource.namespaced || resource.subresource("scale").is_none() {
            return Err("the server could not find the requested resource".into());
        }
        let key = ObjectKey::new(namespace, reference.name.as_str());
        read(&served, key).ok_or_else(|| ApiError::not_found(group, resource.plural, &reference.name).message)
    }

    fn resource(&self, group: &str, kind: &str) -> Option<String> {
        let served = self.iter().find(|s| s.kind.resource.kind == kind && s.kind.resource.group == group)?;
        Some(served.kind.resource.qualified())
    }
}
