//! Between the version that an object is stored in and the one that it is asked for in.
use super::conversion::ConversionError;
use super::family::{Family, Version};
use serde_json::Value;
use std::sync::Arc;

/// How one version of a custom kind relates to what is stored. What is read is first completed by the defaults of the version that it
/// was stored in, and only then converted; defaults of the version that is asked for are for those who write.
pub struct Reading {
    family: Arc<Family>,
    /// `example.com/v2`
    api_version: String,
    has_defaults: bool,
}

impl Reading {
    pub(super) fn new(family: Arc<Family>, own: &Version) -> Self {
        Reading { api_version: own.api_version.clone(), has_defaults: own.has_defaults, family }
    }

    /// All versions of the kind.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Whether stored objects may have to change before this version can show them.
    pub fn converts(&self) -> bool {
        self.family.versions().len() > 1 || self.has_defaults
    }

    /// Whether somebody else has to be asked to convert objects.
    pub fn asks(&self) -> bool {
        self.family.asks()
    }

    /// Whether objects are stored in this version.
    pub fn is_storage(&self) -> bool {
        self.api_version == self.family.storage()
    }

    /// A stored object as this version shows it, as far as that needs nobody else: an object that only a webhook can convert keeps its
    /// version.
    pub fn show_now(&self, mut object: Value) -> Value {
        self.family.default(&mut object);
        if object["apiVersion"] == self.api_version.as_str() {
            return object;
        }
        match self.family.renamed(object, &self.api_version) {
            Ok(mut renamed) => {
                self.family.prune(&mut renamed);
                renamed
            }
            Err(other) => other,
        }
    }

    /// Whether a stored object can be served as it is. `body`: its canonical JSON, which says `kind` and `apiVersion` first.
    pub fn is_plain(&self, body: &[u8]) -> bool {
        // The first one counts: whose fields are managed tells versions as well, further behind.
        const FIELD: &[u8] = b"\"apiVersion\":\"";
        let value = body.windows(FIELD.len()).position(|window| window == FIELD).and_then(|at| body.get(at + FIELD.len()..));
        let ours = value.and_then(|rest| rest.strip_prefix(self.api_version.as_bytes())).is_some_and(|rest| rest.first() == Some(&b'"'));
        !self.has_defaults && ours
    }

    /// Stored objects, as this version shows them.
    pub async fn show(&self, mut stored: Vec<Value>) -> Result<Vec<Value>, ConversionError> {
        stored.iter_mut().for_each(|object| self.family.default(object));
        self.fitted(stored, &self.api_version).await
    }

    /// An object of this version, as it is stored.
    pub async fn store(&self, object: Value) -> Result<Value, ConversionError> {
        let mut stored = self.fitted(vec![object], self.family.storage()).await?;
        stored.pop().ok_or(ConversionError::Count { sent: 1, got: 0 })
    }

    /// Converts those that are of another version, and drops what the new version doesn't know of them.
    async fn fitted(&self, objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ConversionError> {
        let other: Vec<bool> = objects.iter().map(|object| object["apiVersion"] != to).collect();
        let mut turned = self.family.turned(objects, to).await?;
        turned.iter_mut().zip(other).filter(|(_, other)| *other).for_each(|(object, _)| self.family.prune(object));
        Ok(turned)
    }
}
