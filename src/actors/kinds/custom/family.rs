//! All versions of one definition: what each of them looks like, and the way from one to another.
use super::conversion::{ConversionError, Converter};
use crate::protocol::apply;
use crate::protocol::resource::Resource;
use crate::protocol::structural::{Additional, Structural, apply_defaults, prune};
use serde_json::Value;
use std::sync::Arc;

/// See the module.
pub struct Family {
    versions: Vec<Arc<Version>>,
    /// `example.com/v2`: the version that new states are stored in.
    storage: String,
    converter: Arc<dyn Converter>,
}

/// One version of a definition, as others need to know it.
pub struct Version {
    pub resource: Resource,
    pub(super) api_version: String,
    pub(super) schema: Structural,
    /// How its objects are merged by server-side apply.
    pub managed: apply::Schema,
    /// The schema has defaults: stored objects may be older than these.
    pub(super) has_defaults: bool,
}

impl Version {
    /// From an entry of `spec.versions`.
    pub(super) fn new(resource: Resource, version: &Value) -> Result<Self, String> {
        let (schema, managed) = match &version["schema"]["openAPIV3Schema"] {
            Value::Null => (Structural { preserve: true, ..Structural::default() }, apply::Schema::untyped()),
            given => (Structural::parse(given).map_err(|e| e.to_string())?, apply::custom(given)),
        };
        let has_defaults = has_defaults(&schema);
        Ok(Version { api_version: resource.api_version(), resource, schema, managed, has_defaults })
    }

    /// Fills in the schema's defaults.
    pub fn default(&self, object: &mut Value) {
        if self.has_defaults {
            apply_defaults(object, &self.schema);
        }
    }
}

impl Family {
    pub(super) fn new(versions: Vec<Arc<Version>>, storage: String, converter: Arc<dyn Converter>) -> Self {
        Family { versions, storage, converter }
    }

    /// In the order of the definition, whether they are served or not.
    pub fn versions(&self) -> &[Arc<Version>] {
        &self.versions
    }

    /// The version that is called so: `example.com/v1`.
    pub fn version(&self, api_version: &str) -> Option<&Version> {
        self.versions.iter().map(|version| &**version).find(|version| version.api_version == api_version)
    }

    pub(super) fn storage(&self) -> &str {
        &self.storage
    }

    /// Whether somebody else has to be asked to convert objects.
    pub(super) fn asks(&self) -> bool {
        self.versions.len() > 1 && !self.converter.is_renaming()
    }

    /// The object in another version, where that needs nobody else.
    pub fn renamed(&self, mut object: Value, to: &str) -> Result<Value, Value> {
        if object["apiVersion"] != to {
            if !self.converter.is_renaming() {
                return Err(object);
            }
            object["apiVersion"] = to.into();
        }
        Ok(object)
    }

    /// Objects in another version; the order stays. Fields that the version doesn't know stay as well, if the conversion leaves them: see
    /// [`Family::prune`].
    pub async fn turned(&self, mut objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ConversionError> {
        let other: Vec<usize> = objects.iter().enumerate().filter(|(_, object)| object["apiVersion"] != to).map(|(at, _)| at).collect();
        if other.is_empty() {
            return Ok(objects);
        }
        let sent: Vec<Value> = other.iter().filter_map(|at| objects.get_mut(*at).map(Value::take)).collect();
        let got = self.converter.convert(sent, to).await?;
        for (at, object) in other.into_iter().zip(got) {
            if let Some(place) = objects.get_mut(at) {
                *place = object;
            }
        }
        Ok(objects)
    }

    /// Drops what the object's own version doesn't know: upstream does so after every conversion for the store and from it.
    pub(super) fn prune(&self, object: &mut Value) {
        let version = object["apiVersion"].as_str().and_then(|name| self.version(name));
        if let Some(version) = version {
            prune(object, &version.schema, true, &mut Vec::new(), 0);
        }
    }

    /// Fills in the defaults of the object's own version.
    pub(super) fn default(&self, object: &mut Value) {
        let version = object["apiVersion"].as_str().and_then(|name| self.version(name));
        if let Some(version) = version {
            version.default(object);
        }
    }
}

fn has_defaults(s: &Structural) -> bool {
    s.default.is_some()
        || s.items.as_deref().is_some_and(has_defaults)
        || s.properties.values().any(has_defaults)
        || matches!(&s.additional, Additional::Schema(below) if has_defaults(below))
}
