//! Filling memory from the store at start. Only the metadata of each object is parsed, and what the kind's index asks for.
use super::entry::Entry;
use super::record::Record;
use super::snapshot::Snapshot;
use super::store::{Store, StoreError};
use crate::protocol::light::Light;
use crate::protocol::meta::{Meta, ObjectKey, OwnerRef};
use crate::protocol::time::parse_seconds;
use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Everything stored, by shelf, and the last revision.
pub(super) fn load(
    store: &mut dyn Store,
    indexer: &dyn Fn(&str, &[u8]) -> Light,
) -> Result<(u64, HashMap<Arc<str>, Snapshot>), StoreError> {
    let mut shelves: HashMap<Arc<str>, Snapshot> = HashMap::new();
    let mut words = Words::default();
    let mut broken = None;
    let revision = store.load(&mut |shelf, key, record| match entry(shelf, key, record, indexer, &mut words) {
        Ok(entry) => match shelves.get_mut(shelf) {
            Some(snapshot) => snapshot.put(Arc::new(entry)),
            None => {
                let mut snapshot = Snapshot::default();
                snapshot.put(Arc::new(entry));
                shelves.insert(shelf.into(), snapshot);
            }
        },
        Err(error) => broken = broken.take().or(Some(error)),
    })?;
    match broken {
        Some(error) => Err(error),
        None => Ok((revision, shelves)),
    }
}

fn entry(
    shelf: &str,
    key: ObjectKey,
    record: Record,
    indexer: &dyn Fn(&str, &[u8]) -> Light,
    words: &mut Words,
) -> Result<Entry, StoreError> {
    let meta = parse_meta(&record.body, words).map_err(|e| StoreError::Corrupt(format!("{shelf} {key} has no readable metadata: {e}")))?;
    let light = indexer(shelf, &record.body);
    let key = ObjectKey { namespace: words.shared(&key.namespace), name: key.name };
    // Loaded states need tokens too; their revisions are unique, and new tokens start behind the last one.
    Ok(Entry { key, body: record.body, splice: record.splice, revision: record.revision, token: record.revision, meta, light })
}

/// Words that many objects share (namespaces, labels, owners' kinds) are kept once.
#[derive(Default)]
struct Words(HashSet<Arc<str>>);

impl Words {
    fn shared(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.0.get(word) {
            return known.clone();
        }
        let word: Arc<str> = word.into();
        self.0.insert(word.clone());
        word
    }
}

/// Text that is borrowed from the body where it has no escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaFields<'a> {
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    labels: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(borrow)]
    owner_references: Option<Vec<OwnerFields<'a>>>,
    #[serde(borrow)]
    finalizers: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    creation_timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    deletion_timestamp: Option<Text<'a>>,
    generation: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerFields<'a> {
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    uid: Text<'a>,
    controller: Option<bool>,
    block_owner_deletion: Option<bool>,
}

/// Looks for `metadata` and leaves the object there: specs and statuses, which follow it, are never looked at.
struct Finder<'s, 'de>(&'s mut Option<MetaFields<'de>>);

impl<'de> Visitor<'de> for Finder<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.0 == "metadata" {
                *self.0 = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Err(A::Error::custom("metadata is missing"))
    }
}

fn parse_meta(body: &[u8], words: &mut Words) -> Result<Meta, serde_json::Error> {
    let mut fields = None;
    let visited = serde_json::Deserializer::from_slice(body).deserialize_map(Finder(&mut fields));
    // Leaving early is an error to the deserializer; what was found counts.
    let Some(fields) = fields else { return Err(visited.err().unwrap_or_else(|| serde_json::Error::custom("metadata is missing"))) };
    let seconds = |time: &Option<Text<'_>>| time.as_ref().and_then(|t| parse_seconds(&t.0));
    let owner = |words: &mut Words, o: &OwnerFields<'_>| OwnerRef {
        api_version: words.shared(&o.api_version.0),
        kind: words.shared(&o.kind.0),
        name: words.shared(&o.name.0),
        uid: words.shared(&o.uid.0),
        controller: o.controller.unwrap_or(false),
        block_owner_deletion: o.block_owner_deletion.unwrap_or(false),
    };
    Ok(Meta {
        uid: fields.uid.map_or_else(|| "".into(), |uid| uid.0.into()),
        labels: fields.labels.iter().flatten().map(|(k, v)| (words.shared(&k.0), words.shared(&v.0))).collect(),
        owners: fields.owner_references.iter().flatten().map(|o| owner(words, o)).collect(),
        finalizers: fields.finalizers.iter().flatten().map(|f| words.shared(&f.0)).collect(),
        created: seconds(&fields.creation_timestamp).unwrap_or(0),
        deleting: seconds(&fields.deletion_timestamp),
        generation: fields.generation.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_found_wherever_it_is_and_the_rest_is_left_alone() {
        let body = br#"{"data":{"metadata":"{\"metadata\":{\"uid\":\"no\"}}"},"metadata":{"creationTimestamp":"2026-11-21T04:00:00Z",
            "deletionTimestamp":"2026-11-21T04:00:30Z","finalizers":["a/b"],"generation":3,"labels":{"z":"1","a":"x\"y"},"managedFields":[{}],
            "name":"n","ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u2","controller":true}],"uid":"u1"},
            "spec":{ this is not looked at"#;
        let meta = parse_meta(body, &mut Words::default()).unwrap();
        assert_eq!((&*meta.uid, meta.generation, &*meta.finalizers[0]), ("u1", 3, "a/b"));
        assert_eq!((meta.label("a"), meta.label("z")), (Some("x\"y"), Some("1")));
        assert_eq!(meta.deleting.map(|d| d - meta.created), Some(30));
        assert_eq!(meta.controller().map(|o| (&*o.kind, &*o.uid, o.block_owner_deletion)), Some(("ReplicaSet", "u2", false)));
        assert_eq!(parse_meta(br#"{"metadata":{"creationTimestamp":null}}"#, &mut Words::default()).unwrap(), Meta::default());
        assert!(parse_meta(br#"{"kind":"Pod"}"#, &mut Words::default()).unwrap_err().to_string().contains("metadata is missing"));
        assert!(parse_meta(br#"{"metadata":{"uid":7}}"#, &mut Words::default()).is_err());
    }
}
