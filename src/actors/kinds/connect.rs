//! Requests that store nothing, but admission has a say: connections to objects, and what is created below them or for the answer alone.
use super::{Attributes, Kind, Kinds, Operation, Served, Writer};
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
        self.judged(&served.kind, Operation::Connect, key, subresource, options, writer).await.map(|_| ())
    }

    /// Asks webhooks and policies about something that is created and not stored: an eviction, a token, a review. Answers it as they
    /// want it, with their warnings.
    pub async fn judge_created(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        subresource: &str,
        object: Value,
        writer: &Writer,
    ) -> Result<(Value, Vec<String>), ApiError> {
        self.judged(kind, Operation::Create, key, subresource, object, writer).await
    }

    async fn judged(
        &self,
        kind: &Kind,
        operation: Operation,
        key: &ObjectKey,
        subresource: &str,
        object: Value,
        writer: &Writer,
    ) -> Result<(Value, Vec<String>), ApiError> {
        let (user, dry_run, options) = (&*writer.user, writer.dry_run, &*writer.options);
        let attributes = Attributes { kind, operation, subresource, key, user, dry_run, options };
        if !self.admission.asks(&attributes) {
            return Ok((object, Vec::new()));
        }
        let (object, mut warnings) = self.admission.ask_mutating(attributes, object, None).await?;
        warnings.extend(self.admission.ask_validating(attributes, Some(&object), None).await?.1);
        Ok((object, warnings))
    }
}
