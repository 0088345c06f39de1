//! Entries of `metadata.managedFields`.
use super::super::fieldset::{self, FieldsError, Set};
use super::super::typed::reconcile;
use super::{Converted, Rules};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How a manager came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// What is wrong with a list of entries, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("metadata.managedFields must be a list of objects")]
    Shape,
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    #[error("apiVersion must not be empty")]
    ApiVersion,
    #[error("missing fieldsType in managed fields entry {0}")]
    NoFieldsType(usize),
    #[error("invalid fieldsType {1:?} in managed fields entry {0}")]
    FieldsType(usize, String),
    #[error("error decoding versioned set from managed fields entry {0}: error decoding set: {1}")]
    Fields(usize, FieldsError),
}

/// The fields of an entry: as they stand in the object, until somebody has to look into them.
#[derive(Clone, Debug)]
pub(super) enum Fields {
    Json(Value),
    Set(Set),
}

/// A manager and what it owns.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub manager: String,
    pub operation: Operation,
    pub api_version: String,
    pub subresource: String,
    pub time: Option<String>,
    pub fields: Fields,
}

impl Entry {
    /// The same manager: one who applies is the same in every version.
    pub fn is_same(&self, other: &Entry) -> bool {
        self.operation == other.operation
            && self.manager == other.manager
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// What the manager owns. Reading can't fail for what a server wrote; if it does, nothing is owned.
    pub fn set(&self) -> Cow<'_, Set> {
        match &self.fields {
            Fields::Json(json) => Cow::Owned(fieldset::from_value(json).unwrap_or_default()),
            Fields::Set(set) => Cow::Borrowed(set),
        }
    }

    pub fn is_empty(&self) -> bool {
        match &self.fields {
            Fields::Set(set) => set.is_empty(),
            Fields::Json(json) => json.as_object().is_none_or(Map::is_empty),
        }
    }

    /// Seconds since the epoch, 0 without a time.
    pub fn seconds(&self) -> i64 {
        self.time.as_deref().and_then(crate::time::parse_seconds).unwrap_or(0)
    }

    /// The manager as upstream names it internally, where names decide an order.
    pub fn identity(&self) -> String {
        let version = if self.operation == Operation::Apply { "" } else { &self.api_version };
        let parts = [
            ("manager", &*self.manager),
            ("operation", self.operation.as_str()),
            ("apiVersion", version),
            ("subresource", &self.subresource),
        ];
        let said = parts.iter().filter(|(_, value)| !value.is_empty());
        let texts: Vec<String> = said.map(|(name, value)| format!("\"{name}\":{}", Value::from(*value))).collect();
        format!("{{{}}}", texts.join(","))
    }
}

/// Whether entries that somebody sent are well formed.
pub fn check(entries: &Value) -> Result<(), DecodeError> {
    decode(entries.clone(), true).map(|_| ())
}

/// The entries of an object. With `read`, every set is read, so that none is taken over that doesn't parse.
pub(super) fn decode(entries: Value, read: bool) -> Result<Vec<Entry>, DecodeError> {
    let entries = match entries {
        Value::Array(entries) => entries,
        Value::Null => return Ok(Vec::new()),
        _ => return Err(DecodeError::Shape),
    };
    let mut out: Vec<Entry> = Vec::with_capacity(entries.len());
    for (i, entry) in entries.into_iter().enumerate() {
        let Value::Object(mut map) = entry else { return Err(DecodeError::Shape) };
        let mut text = |name: &str| match map.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err(DecodeError::Operation),
        };
        let (api_version, fields_type) = (text("apiVersion"), text("fieldsType"));
        if api_version.is_empty() {
            return Err(DecodeError::ApiVersion);
        }
        match fields_type.as_str() {
            "FieldsV1" => {}
            "" => return Err(DecodeError::NoFieldsType(i)),
            _ => return Err(DecodeError::FieldsType(i, fields_type)),
        }
        let (manager, subresource, time) = (text("manager"), text("subresource"), text("time"));
        let json = map.remove("fieldsV1").unwrap_or_default();
        let fields =
            if read { Fields::Set(fieldset::from_value(&json).map_err(|e| DecodeError::Fields(i, e))?) } else { Fields::Json(json) };
        let entry = Entry { manager, operation, api_version, subresource, time: (!time.is_empty()).then_some(time), fields };
        match out.iter_mut().find(|old| old.is_same(&entry)) {
            Some(old) => *old = entry,
            None => out.push(entry),
        }
    }
    Ok(out)
}

/// The entries as they stand in an object, in upstream's order. `None` when there are none.
pub(super) fn encode(mut entries: Vec<Entry>) -> Option<Value> {
    if entries.is_empty() {
        return None;
    }
    let text = |e: &Entry| (e.manager.clone(), e.api_version.clone(), e.subresource.clone());
    entries.sort_by(|a, b| {
        let order = a.operation.cmp(&b.operation).then_with(|| a.seconds().cmp(&b.seconds()));
        order.then_with(|| text(a).cmp(&text(b)))
    });
    Some(entries.into_iter().map(encode_one).collect())
}

fn encode_one(entry: Entry) -> Value {
    let mut out = Map::new();
    let fields = match entry.fields {
        Fields::Json(json) => json,
        Fields::Set(set) => fieldset::to_value(&set),
    };
    out.insert("apiVersion".into(), entry.api_version.into());
    out.insert("fieldsType".into(), "FieldsV1".into());
    out.insert("fieldsV1".into(), fields);
    if !entry.manager.is_empty() {
        out.insert("manager".into(), entry.manager.into());
    }
    out.insert("operation".into(), entry.operation.as_str().into());
    if !entry.subresource.is_empty() {
        out.insert("subresource".into(), entry.subresource.into());
    }
    out.extend(entry.time.map(|time| ("time".to_string(), time.into())));
    out.into()
}

/// Brings the sets up to the schemas of a custom kind, which may have changed since they were written: each to that of its version.
/// `object` is one of the writer's version `own`. Sets of versions that are no more are dropped.
pub(super) fn bring_up_to(rules: &Rules<'_>, object: &Value, own: &str, entries: &mut Vec<Entry>) {
    if !rules.schema.is_custom() {
        return;
    }
    entries.retain_mut(|entry| {
        let other = match rules.convert.filter(|_| entry.api_version != own).map(|convert| convert(object, &entry.api_version)) {
            Some(Converted::Missing) => return false,
            Some(Converted::Other(_, schema)) => Some(schema),
            Some(Converted::Same) | None => None,
        };
        let set = entry.set().into_owned();
        entry.fields = Fields::Set(reconcile(other.as_ref().unwrap_or(rules.schema), &set).unwrap_or(set));
        true
    });
}

/// `metadata.managedFields` of an object.
pub(super) fn of(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

/// Takes `metadata.managedFields` out of an object.
pub(super) fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

/// Puts `metadata.managedFields` into an object; `None` takes it out.
pub(super) fn put(object: &mut Value, entries: Option<Value>) {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
    match entries {
        Some(entries) => _ = metadata.insert("managedFields".into(), entries),
        None => _ = metadata.remove("managedFields"),
    }
}
