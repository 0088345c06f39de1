//! Discovery: what an API server says about which groups, versions and resources it serves.
//!
//! All functions are pure: resources in, document out. `legacy` is the old form, one document per version;
//! `aggregated` is everything in one document. Clients prefer the latter since 1.26.
mod aggregated;
mod legacy;
mod priority;
mod remote;
#[cfg(test)]
mod tests;

pub use aggregated::{Version, aggregated_api, aggregated_apis, wants_aggregated};
pub use legacy::{api_group, api_group_list, api_resource_list, api_versions};
pub use remote::{RemoteVersion, add_to_aggregated, add_to_group, add_to_groups};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A discovery document, ready to be served.
#[derive(Clone, Debug)]
pub struct Body {
    pub json: Bytes,
    pub content_type: &'static str,
    /// Quoted, as it goes into the `ETag` header; a request whose `If-None-Match` holds it is answered with 304.
    pub etag: String,
}

impl Body {
    /// A document in the plain form of discovery.
    pub fn plain(document: &Value) -> Self {
        Self::new(document, "application/json")
    }

    /// A document in the aggregated form.
    pub fn aggregated(document: &Value, version: Version) -> Self {
        Self::new(document, version.content_type())
    }

    fn new(document: &Value, content_type: &'static str) -> Self {
        let json = Bytes::from(document.to_string());
        let digest: String = Sha256::digest(&json).iter().map(|byte| format!("{byte:02X}")).collect();
        Body { json, content_type, etag: format!("\"{digest}\"") }
    }
}
