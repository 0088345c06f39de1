//! One writer: creates, replaces, patches and deletes its own objects, and keeps the ledger honest.
use super::ledger::{COLLECTION, Ledger, State, payload};
use crate::https::{Answer, Client};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// Objects of each writer; few, so that they are written again and again.
const OBJECTS: u64 = 24;

/// A small random number generator (xorshift): the seed is printed, so a failure can be played again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 up to `limit`, without it.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }
}

/// Writes until an answer fails to come or the round is over.
pub fn write(client: &mut Client, ledger: &mut Ledger, mut dice: Dice, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let name = format!("w{}-{}", ledger.writer, dice.below(OBJECTS));
        let object = ledger.objects.entry(name.clone()).or_default();
        let version = object.acknowledged.version + 1;
        let exists = object.acknowledged.exists;
        let deletes = exists && dice.below(8) == 0;
        let path = format!("{COLLECTION}/{name}");
        object.pending = Some(State { version, exists: !deletes });
        let outcome = match (exists, deletes, dice.below(2)) {
            (false, _, _) => client.post(COLLECTION, &body(&name, version)),
            (true, true, _) => client.delete(&path),
            (true, false, 0) => client.put(&path, &body(&name, version)),
            (true, false, _) => {
                let patch = json!({ "data": body(&name, version)["data"] }).to_string();
                client.request("PATCH", &path, "application/merge-patch+json", patch.as_bytes())
            }
        };
        // Without an answer the write stays pending: it may or may not have happened.
        let Ok(answer) = outcome else { return };
        if outcome_unknown(&answer) {
            return;
        }
        assert!(matches!(answer.status, 200 | 201), "{name} version {version}: {} {}", answer.status, answer.text());
        object.acknowledged = State { version, exists: !deletes };
        object.pending = None;
        object.fresh += 1;
        object.revision =
            if deletes { String::new() } else { answer.json()["metadata"]["resourceVersion"].as_str().unwrap_or_default().into() };
    }
}

/// 5xx: the server says that it does not know the outcome.
fn outcome_unknown(answer: &Answer) -> bool {
    answer.status >= 500
}

fn body(name: &str, version: u64) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name },
        "data": { "version": version.to_string(), "payload": payload(name, version) },
    })
}
