//! What can go wrong with an image, and the word Kubernetes has for it.
use crate::runtime::api::RuntimeError;
use std::path::Path;

/// An image could not be named, fetched, unpacked or mounted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImageError {
    /// The name is no image reference; the text is what upstream's node agent says.
    #[error("Failed to apply default image tag {name:?}: couldn't parse image name {name:?}: {why}")]
    InvalidName { name: String, why: String },
    /// The registry has no such manifest, or refuses to say.
    #[error("failed to pull and unpack image {name:?}: {why}")]
    Pull { name: String, why: String },
    /// Bytes that are not what their digest, size or media type promised.
    #[error("image content refused: {0}")]
    Content(String),
    /// An archive that is neither an OCI layout nor made by `docker save`.
    #[error("cannot import {path}: {why}")]
    Import { path: String, why: String },
    /// Nothing on the node goes by this id.
    #[error("image {0:?} is not on this node")]
    Unknown(String),
    /// The node's disk or kernel refused.
    #[error("{what}: {why}")]
    Io { what: String, why: String },
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, ImageError>;

impl ImageError {
    /// An operating system error, with what was being done to which file.
    pub fn io(what: &str, path: &Path, error: impl std::fmt::Display) -> Self {
        ImageError::Io { what: format!("{what} {}", path.display()), why: error.to_string() }
    }

    /// A refusal of bytes.
    pub fn content(why: impl std::fmt::Display) -> Self {
        ImageError::Content(why.to_string())
    }
}

impl From<ImageError> for RuntimeError {
    fn from(error: ImageError) -> Self {
        let reason = match &error {
            ImageError::InvalidName { .. } => "InvalidImageName",
            ImageError::Unknown(_) => "CreateContainerError",
            _ => "ErrImagePull",
        };
        RuntimeError::new(reason, error)
    }
}
