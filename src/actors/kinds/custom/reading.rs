//! Between the version that an object is stored in and the one that it is asked for in.
use super::conversion::{ConversionError, Converter};
use crate::protocol::structural::{Additional, Structural, apply_defaults};
use serde_json::Value;
use std::sync::Arc;

/// How one version of a custom kind relates to what is stored.
pub struct Reading {
    /// `example.com/v2`
    api_version: String,
    storage: String,
    converter: Arc<dyn Converter>,
    /// Set when the schema has defaults: stored objects may be older than these.
    defaults: Option<Structural>,
    /// The definition has no other version.
    alone: bool,
}

impl Reading {
    pub(super) fn new(api_version: String, storage: String, alone: bool, converter: Arc<dyn Converter>) -> Self {
        Reading { api_version, storage, converter, defaults: None, alone }
    }

    pub(super) fn with_defaults(mut self, schema: &Structural) -> Self {
        self.defaults = has_defaults(schema).then(|| schema.clone());
        self
    }

    /// Whether stored objects may have to change before this version can show them.
    pub fn converts(&self) -> bool {
        !self.alone || self.defaults.is_some()
    }

    /// Whether somebody else has to be asked to convert objects.
    pub fn asks(&self) -> bool {
        !self.converter.is_renaming()
    }

    /// Whether objects are stored in this version.
    pub fn is_storage(&self) -> bool {
        self.api_version == self.storage
    }

    /// A stored object as this version shows it, as far as that needs nobody else: an object that only a webhook can convert keeps its
    /// version.
    pub fn show_now(&self, mut object: Value) -> Value {
        if object["apiVersion"] != self.api_version.as_str() && self.converter.is_renaming() {
            object["apiVersion"] = self.api_version.as_str().into();
        }
        if let Some(schema) = self.defaults.as_ref().filter(|_| object["apiVersion"] == self.api_version.as_str()) {
            apply_defaults(&mut object, schema);
        }
        object
    }

    /// Whether a stored object can be served as it is. `body`: its canonical JSON, which says `kind` and `apiVersion` first.
    pub fn is_plain(&self, body: &[u8]) -> bool {
        // The first one counts: whose fields are managed tells versions as well, further behind.
        const FIELD: &[u8] = b"\"apiVersion\":\"";
        let value = body.windows(FIELD.len()).position(|window| window == FIELD).and_then(|at| body.get(at + FIELD.len()..));
        let ours = value.and_then(|rest| rest.strip_prefix(self.api_version.as_bytes())).is_some_and(|rest| rest.first() == Some(&b'"'));
        self.defaults.is_none() && ours
    }

    /// Stored objects, as this version shows them.
    pub async fn show(&self, stored: Vec<Value>) -> Result<Vec<Value>, ConversionError> {
        let mut shown = self.converted(stored, &self.api_version).await?;
        if let Some(schema) = &self.defaults {
            shown.iter_mut().for_each(|object| apply_defaults(object, schema));
        }
        Ok(shown)
    }

    /// An object of this version, as it is stored.
    pub async fn store(&self, object: Value) -> Result<Value, ConversionError> {
        let mut stored = self.converted(vec![object], &self.storage).await?;
        stored.pop().ok_or(ConversionError::Count { sent: 1, got: 0 })
    }

    /// Converts those that are of another version; the order stays.
    async fn converted(&self, mut objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ConversionError> {
        let other: Vec<usize> = (0..objects.len()).filter(|at| objects[*at]["apiVersion"] != to).collect();
        if other.is_empty() {
            return Ok(objects);
        }
        let sent: Vec<Value> = other.iter().map(|at| objects[*at].take()).collect();
        let got = self.converter.convert(sent, to).await?;
        for (at, object) in other.into_iter().zip(got) {
            objects[at] = object;
        }
        Ok(objects)
    }
}

fn has_defaults(s: &Structural) -> bool {
    s.default.is_some()
        || s.items.as_deref().is_some_and(has_defaults)
        || s.properties.values().any(has_defaults)
        || matches!(&s.additional, Additional::Schema(below) if has_defaults(below))
}
