//! What the writers know: for each object the last acknowledged state, and the one write whose answer never came.
use super::Tally;
use crate::https::Client;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Where the writers' objects live.
pub const COLLECTION: &str = "/api/v1/namespaces/default/configmaps";

/// A state of an object. Every write that is acknowledged, or found kept after a crash, has a version of its own; deletions too.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    pub version: u64,
    pub exists: bool,
}

/// One writer's objects.
pub struct Ledger {
    pub writer: usize,
    pub objects: HashMap<String, Object>,
}

/// What is known about one object.
#[derive(Clone, Debug, Default)]
pub struct Object {
    pub acknowledged: State,
    /// The last write, when its outcome is unknown.
    pub pending: Option<State>,
    /// `metadata.resourceVersion` of the last acknowledged write, empty when not known.
    pub revision: String,
    /// Acknowledged since the last look.
    pub fresh: usize,
}

impl Ledger {
    pub fn new(writer: usize) -> Ledger {
        Ledger { writer, objects: HashMap::new() }
    }
}

/// What a reader was shown: it must be true for ever.
#[derive(Default)]
pub struct Shown {
    versions: HashMap<String, u64>,
    revision: u64,
}

impl Shown {
    /// Remembers a list, and checks that it does not take back what was shown before.
    pub fn note(&mut self, list: &Value) {
        let revision = number(&list["metadata"]["resourceVersion"]);
        assert!(revision >= self.revision, "the revision went back from {} to {revision}", self.revision);
        self.revision = revision;
        for item in items(list) {
            let (name, version) = (name(item), version_of(item));
            let before = self.versions.insert(name.to_string(), version).unwrap_or(0);
            assert!(version >= before, "{name} was shown at version {before}, then at {version}");
        }
    }
}

/// The content that belongs to a version; its length varies, so that records fall on different pages.
pub fn payload(name: &str, version: u64) -> String {
    let word = format!("{name}:{version};");
    word.repeat(1 + (version as usize * 7 + name.len()) % 60)
}

/// Compares what the server has after a restart with what is known, and makes that the new knowledge.
pub fn settle(client: &mut Client, ledgers: &mut [Ledger], shown: &mut Shown, tally: &mut Tally) {
    let answer = client.get(COLLECTION).expect("the restarted server answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json();
    let mut found: BTreeMap<&str, &Value> = items(&list).map(|item| (name(item), item)).collect();
    for ledger in ledgers {
        for (name, object) in &mut ledger.objects {
            let item = found.remove(name.as_str());
            settle_one(name, object, item, shown.versions.get(name).copied().unwrap_or(0), tally);
        }
    }
    let phantoms: Vec<&&str> = found.keys().filter(|name| **name != "kube-root-ca.crt").collect();
    assert!(phantoms.is_empty(), "nobody wrote {phantoms:?}");
    shown.note(&list);
}

fn settle_one(name: &str, object: &mut Object, item: Option<&Value>, shown: u64, tally: &mut Tally) {
    tally.acknowledged += std::mem::take(&mut object.fresh);
    let kept = match item {
        Some(item) => {
            let version = version_of(item);
            assert_eq!(item["data"]["payload"], payload(name, version), "{name} is torn at version {version}");
            State { version, exists: true }
        }
        None => State { exists: false, ..State::default() },
    };
    let same = |known: State| known.exists == kept.exists && (!kept.exists || known.version == kept.version);
    let settled = match object.pending.take() {
        Some(pending) => {
            tally.unanswered += 1;
            tally.unanswered_kept += usize::from(same(pending));
            [pending, object.acknowledged].into_iter().find(|known| same(*known))
        }
        None => Some(object.acknowledged).filter(|known| same(*known)),
    };
    let Some(settled) = settled else { panic!("{name}: the server has {kept:?}, known is {object:?}") };
    assert!(settled.version >= shown, "{name} was shown at version {shown}, but kept at {}", settled.version);
    if let Some(item) = item {
        let revision = item["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let unchanged = settled == object.acknowledged && !object.revision.is_empty();
        assert!(!unchanged || revision == object.revision, "{name}: acknowledged at {}, now at {revision}", object.revision);
        object.revision = revision.to_string();
    }
    object.acknowledged = settled;
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn name(item: &Value) -> &str {
    item["metadata"]["name"].as_str().unwrap_or_default()
}

fn version_of(item: &Value) -> u64 {
    number(&item["data"]["version"])
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|v| v.parse().ok()).unwrap_or(0)
}
