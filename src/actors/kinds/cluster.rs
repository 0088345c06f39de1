//! How a write reaches the owner of its kind.
use super::{DeleteOptions, KindMessage, Kinds, Part, Patch, Served, WriteOp, WriteRequest, Written, prepare_create};
use crate::actors::base::AskError;
use crate::protocol::codec::Checked;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::time;
use serde_json::Value;
use std::time::Duration;

/// Bounds of the write path.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    /// Letters waiting at one kind actor.
    pub mailbox: usize,
    /// How long a writer waits for its commit.
    pub patience: Duration,
}

impl Default for WriteLimits {
    fn default() -> Self {
        WriteLimits { mailbox: 4096, patience: Duration::from_secs(30) }
    }
}

/// How often a name is made up anew when it is taken already, as upstream does.
const GENERATED_NAME_TRIES: usize = 8;

impl Kinds {
    /// Creates an object from a decoded body; answers once it is durable.
    pub async fn create(&self, served: &Served, namespace: &str, body: Value, dry_run: bool) -> Result<Written, ApiError> {
        let meta = &body["metadata"];
        let given = |field: &str| meta[field].as_str().is_some_and(|t| !t.is_empty());
        let generated = !given("name") && given("generateName");
        for _ in 1..GENERATED_NAME_TRIES {
            if !generated {
                break;
            }
            match self.create_once(served, namespace, body.clone(), dry_run).await {
                Err(error) if error.reason == "AlreadyExists" => {}
                outcome => return outcome,
            }
        }
        self.create_once(served, namespace, body, dry_run).await
    }

    async fn create_once(&self, served: &Served, namespace: &str, body: Value, dry_run: bool) -> Result<Written, ApiError> {
        let (uid, random) = fresh_identity()?;
        let now = time::rfc3339(time::now());
        let object = prepare_create(&served.kind, namespace, body, &now, &uid, random)?;
        self.write(served, WriteOp::Create(Box::new(object)), dry_run).await
    }

    /// Replaces an object (or one of its parts) with a decoded body.
    pub async fn update(&self, served: &Served, key: ObjectKey, part: Part, body: Value, dry_run: bool) -> Result<Written, ApiError> {
        self.write(served, WriteOp::Update { key, part, body: Box::new(body) }, dry_run).await
    }

    /// Patches an object (or one of its parts). `strict` refuses unknown fields.
    pub async fn patch(
        &self,
        served: &Served,
        key: ObjectKey,
        part: Part,
        patch: Patch,
        strict: bool,
        dry_run: bool,
    ) -> Result<Written, ApiError> {
        self.write(served, WriteOp::Patch { key, part, patch, strict }, dry_run).await
    }

    /// Deletes an object, or marks it.
    pub async fn delete(&self, served: &Served, key: ObjectKey, options: DeleteOptions, dry_run: bool) -> Result<Written, ApiError> {
        self.write(served, WriteOp::Delete { key, options }, dry_run).await
    }

    async fn write(&self, served: &Served, op: WriteOp, dry_run: bool) -> Result<Written, ApiError> {
        let ask = served.mailbox.ask(self.limits.patience, |reply| KindMessage::Write(Box::new(WriteRequest { op, dry_run, reply })));
        match ask.await {
            Ok(result) => result,
            Err(error @ AskError::Full(_)) => Err(ApiError::new(429, "TooManyRequests", error.to_string())),
            Err(error @ AskError::Timeout(_)) => Err(ApiError::timeout(error.to_string())),
            Err(error) => Err(ApiError::unavailable(format!("{error}; nothing was acknowledged, try again"))),
        }
    }
}

impl Served {
    /// Decodes a body of this kind, with the API's errors.
    pub fn decode(&self, body: &[u8]) -> Result<Checked, ApiError> {
        self.kind.check(body).map_err(|e| super::actor::decode_error(&e))
    }

    /// The error that `fieldValidation=Strict` makes of a body with unknown or duplicate fields.
    pub fn strict(&self, checked: &Checked) -> Option<ApiError> {
        self.kind.strict_error(checked).map(|e| ApiError::bad_request(e.to_string()))
    }

    /// What `fieldValidation=Warn` says about it.
    pub fn warnings(&self, checked: &Checked) -> Vec<String> {
        checked.findings()
    }
}

/// A random UUID (version 4) and five random bytes for a generated name.
fn fresh_identity() -> Result<(String, [u8; 5]), ApiError> {
    let mut bytes = [0u8; 21];
    getrandom::fill(&mut bytes).map_err(|e| ApiError::internal(format!("no randomness to be had: {e}")))?;
    let mut uid = [0u8; 16];
    uid.copy_from_slice(&bytes[..16]);
    uid[6] = (uid[6] & 0x0f) | 0x40;
    uid[8] = (uid[8] & 0x3f) | 0x80;
    let hex = hex::encode(uid);
    let uid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    let mut random = [0u8; 5];
    random.copy_from_slice(&bytes[16..]);
    Ok((uid, random))
}
