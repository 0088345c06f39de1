//! One writer: creates, replaces, patches and deletes its own objects, and notes what was acknowledged.
use super::checker::Written;
use super::{COLLECTION, revision_of};
use crate::crash::Dice;
use crate::https::{Answer, Client};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Objects of each writer; few, so that they are written again and again.
const OBJECTS: u64 = 12;

/// Writes until told to stop; answers the acknowledged writes that made a state.
pub fn write(mut client: Client, writer: usize, mut dice: Dice, over: &AtomicBool) -> Vec<Written> {
    let (mut there, mut written, mut count) = (HashSet::new(), Vec::new(), 0u64);
    while !over.load(Ordering::Relaxed) {
        let number = dice.below(OBJECTS);
        let name = format!("half-{}-{writer}-{number}", number % 2);
        let path = format!("{COLLECTION}/{name}");
        count += 1;
        let exists = there.contains(&name);
        let deletes = exists && dice.below(6) == 0;
        let outcome = match (exists, deletes, dice.below(3)) {
            (false, _, _) => client.post(COLLECTION, &body(&name, count)),
            (true, true, _) => client.delete(&path),
            (true, false, 0) => {
                let patch = json!({ "data": { "count": count.to_string() } }).to_string();
                client.request("PATCH", &path, "application/merge-patch+json", patch.as_bytes())
            }
            (true, false, _) => client.put(&path, &body(&name, count)),
        };
        let answer = match outcome {
            Ok(answer) if answer.status < 500 => answer,
            // The write may have happened or not: what is there now tells.
            _ => found(&mut client, &path),
        };
        // A deletion is answered with a `Status`.
        let exists = match answer.status {
            200 | 201 => answer.json()["kind"] == "ConfigMap",
            404 => false,
            code => panic!("{name}: {code} {}", answer.text()),
        };
        if exists {
            written.push(Written { name: name.as_str().into(), revision: revision_of(&answer.json()) });
        }
        if exists {
            there.insert(name);
        } else {
            there.remove(&name);
        }
    }
    written
}

/// Makes one of the last objects.
pub fn end(client: &mut Client, name: &str) -> Written {
    let answer = client.post(COLLECTION, &body(name, 0)).expect("the server answers");
    assert_eq!(answer.status, 201, "{}", answer.text());
    Written { name: name.into(), revision: revision_of(&answer.json()) }
}

/// Looks until the server answers again.
fn found(client: &mut Client, path: &str) -> Answer {
    loop {
        match client.get(path) {
            Ok(answer) if answer.status < 500 => return answer,
            _ => sleep(Duration::from_millis(10)),
        }
    }
}

fn body(name: &str, count: u64) -> Value {
    let half = name.split('-').nth(1).unwrap_or_default();
    let rare = if name.ends_with("-0") { "yes" } else { "no" };
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "labels": { "half": half, "rare": rare } },
        "data": { "count": count.to_string() },
    })
}
