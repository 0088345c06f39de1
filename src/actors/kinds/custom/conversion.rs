//! Conversion between the versions of a custom kind.
use crate::protocol::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

/// Turns objects of one version into objects of another.
#[async_trait]
pub trait Converter: Send + Sync {
    /// As many objects as were given, in their order, all with `apiVersion` `to`.
    async fn convert(&self, objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ConversionError>;

    /// Whether conversion changes nothing but the name of the version.
    fn is_renaming(&self) -> bool {
        false
    }
}

/// Why a conversion failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    #[error("conversion webhook for {kind} failed: {why}")]
    Webhook { kind: String, why: String },
    #[error("conversion webhook returned {got} objects, expected {sent}")]
    Count { sent: usize, got: usize },
    #[error("conversion webhook returned invalid converted object at index {at}: {why}")]
    Object { at: usize, why: String },
}

impl From<ConversionError> for ApiError {
    fn from(error: ConversionError) -> Self {
        ApiError::internal(error)
    }
}

/// Strategy `None`: all versions have the same shape, and only the name of the version changes.
pub struct SameShape;

#[async_trait]
impl Converter for SameShape {
    async fn convert(&self, mut objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ConversionError> {
        for object in &mut objects {
            object["apiVersion"] = to.into();
        }
        Ok(objects)
    }

    fn is_renaming(&self) -> bool {
        true
    }
}

/// What a converter may not touch: everything in `metadata` but labels and annotations.
pub(super) fn check_converted(before: &Value, after: &mut Value, to: &str) -> Result<(), String> {
    if after["apiVersion"] != to {
        return Err(format!("invalid apiVersion: expected {to}, got {}", after["apiVersion"].as_str().unwrap_or_default()));
    }
    if after["kind"] != before["kind"] {
        let kind = |v: &Value| v["kind"].as_str().unwrap_or_default().to_string();
        return Err(format!("invalid kind: expected {}, got {}", kind(before), kind(after)));
    }
    for field in ["name", "namespace", "uid"] {
        let text = |v: &Value| v["metadata"][field].as_str().unwrap_or_default().to_string();
        if text(before) != text(after) {
            return Err(format!("metadata.{field} must not be changed: expected {:?}, got {:?}", text(before), text(after)));
        }
    }
    let mut metadata = before["metadata"].clone();
    for field in ["labels", "annotations"] {
        match (after["metadata"].get(field), metadata.as_object_mut()) {
            (Some(given), Some(kept)) => _ = kept.insert(field.into(), given.clone()),
            (None, Some(kept)) => _ = kept.remove(field),
            _ => {}
        }
    }
    after["metadata"] = metadata;
    Ok(())
}
