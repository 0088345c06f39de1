//! Connections to objects: nothing is written, but admission has a say.
use super::{Attributes, Kinds, Operation, Served, Writer};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use serde_json::Value;

impl Kinds {
    /// Asks webhooks and policies about a connection through a subresource. What mutating ones would change in the options is not
    /// taken over.
    pub async fn connect(
        &self,
        served: &Served,
        key: &ObjectKey,
        subresource: &str,
        options: Value,
        writer: &Writer,
    ) -> Result<(), ApiError> {
        let attributes =
            Attributes { kind: &served.kind, operation: Operation::Connect, subresource, key, user: &writer.user, dry_run: false };
        if !self.admission.asks(&attributes) {
            return Ok(());
        }
        let (options, _) = self.admission.ask_mutating(attributes, options, None).await?;
        self.admission.ask_validating(attributes, Some(&options), None).await.map(|_| ())
    }
}
