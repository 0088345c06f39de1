//! All kind actors together: who owns what, and how a write reaches its owner.
use super::{DeleteOptions, Kind, KindActor, KindMessage, Part, Patch, WriteOp, WriteRequest, Written, prepare_create};
use crate::actors::base::{AskError, Guardian, Mailbox};
use crate::protocol::codec::Checked;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::time;
use crate::storage::{Committer, Shelf, Shelves};
use actix_rt::ArbiterHandle;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
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

/// The kinds that are served, with their actors. Shared by the API, the controllers and the mesh.
pub struct Kinds {
    /// By plural name, then by group.
    by_resource: HashMap<&'static str, Vec<Arc<Served>>>,
    in_order: Vec<Arc<Served>>,
    pub shelves: Arc<Shelves>,
    limits: WriteLimits,
}

/// A kind, where its objects are read, and where writes to it go.
pub struct Served {
    pub kind: Arc<Kind>,
    pub shelf: Arc<Shelf>,
    mailbox: Mailbox<KindMessage>,
}

impl Kinds {
    /// Starts an actor for every kind on `arbiter`.
    pub fn start(
        guardian: &Guardian,
        arbiter: &ArbiterHandle,
        committer: &Committer,
        shelves: Arc<Shelves>,
        limits: WriteLimits,
    ) -> Arc<Kinds> {
        let namespaces = shelves.shelf("namespaces");
        let mut kinds = Kinds { by_resource: HashMap::new(), in_order: Vec::new(), shelves: shelves.clone(), limits };
        for kind in super::all() {
            let kind = Arc::new(kind.clone());
            let shelf = shelves.shelf(&kind.shelf());
            let mailbox = Mailbox::new(format!("server/kinds/{}", kind.shelf()));
            let (actor_kind, actor_shelf, actor_namespaces) = (kind.clone(), shelf.clone(), namespaces.clone());
            let actor_committer = committer.clone();
            guardian.start(arbiter, &mailbox, limits.mailbox, move || {
                KindActor::new(actor_kind.clone(), actor_shelf.clone(), actor_namespaces.clone(), actor_committer.clone())
            });
            let plural = kind.resource.plural;
            let served = Arc::new(Served { kind, shelf, mailbox });
            kinds.by_resource.entry(plural).or_default().push(served.clone());
            kinds.in_order.push(served);
        }
        Arc::new(kinds)
    }

    /// The kind served as this resource.
    pub fn find(&self, group: &str, plural: &str) -> Option<&Arc<Served>> {
        self.by_resource.get(plural)?.iter().find(|served| served.kind.resource.group == group)
    }

    /// The kind whose shelf has this name (`pods`, `replicasets.apps`).
    pub fn by_shelf(&self, shelf: &str) -> Option<&Arc<Served>> {
        let (plural, group) = shelf.split_once('.').unwrap_or((shelf, ""));
        self.find(group, plural)
    }

    /// Every kind, in the order of discovery.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.in_order.iter()
    }

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
