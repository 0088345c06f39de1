//! Putting the managers into an object that is about to be stored.
use super::super::fieldset::same;
use super::entry::{Entry, encode, of, put};
use serde_json::{Map, Value};

/// The managers after an apply.
#[derive(Debug)]
pub struct Record {
    entries: Vec<Entry>,
}

impl Record {
    pub(super) fn new(entries: Vec<Entry>) -> Record {
        Record { entries }
    }

    /// Puts the managers into the merged object, which meanwhile was defaulted. If nothing is different from the live object but
    /// times, the live managers stay, and `true` says that there is nothing to store.
    pub fn finish(self, live: Option<&Value>, object: &mut Value) -> bool {
        put(object, encode(self.entries));
        live.is_some_and(|live| keep_times(live, object))
    }
}

/// Whether the two objects are the same but for the times of managers; if so, the live ones' times are put back. A write that
/// would change nothing else is none.
pub fn keep_times(live: &Value, object: &mut Value) -> bool {
    let equal = same_managers(of(live), of(object)) && same_but_managers(live, object);
    if equal {
        put(object, of(live).cloned());
    }
    equal
}

fn same_managers(a: Option<&Value>, b: Option<&Value>) -> bool {
    let entries = |value: Option<&'_ Value>| -> Vec<Value> { value.and_then(Value::as_array).cloned().unwrap_or_default() };
    let (a, b) = (entries(a), entries(b));
    // Times decide the order of entries; without them it is another.
    let mut left: Vec<&Value> = b.iter().collect();
    a.len() == b.len()
        && a.iter().all(|entry| {
            let found = left.iter().position(|other| same_but(entry, other, "time"));
            found.map(|at| left.swap_remove(at)).is_some()
        })
}

/// The objects are equal; who manages them doesn't count.
pub(super) fn same_but_managers(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return false };
    let empty = Value::Object(Map::new());
    let rest = |object: &Map<String, Value>| object.len() - usize::from(object.contains_key("metadata"));
    let others = |(name, value): (&String, &Value)| name == "metadata" || b.get(name).is_some_and(|other| same(value, other));
    rest(a) == rest(b)
        && a.iter().all(others)
        && same_but(a.get("metadata").unwrap_or(&empty), b.get("metadata").unwrap_or(&empty), "managedFields")
}

/// Two maps are equal but for one key.
fn same_but(a: &Value, b: &Value, but: &str) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return same(a, b) };
    let rest = |map: &Map<String, Value>| map.len() - usize::from(map.contains_key(but));
    rest(a) == rest(b) && a.iter().all(|(name, value)| name == but || b.get(name).is_some_and(|other| same(value, other)))
}
