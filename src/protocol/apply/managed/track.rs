//! Creates, updates and patches: the object is there already, and its managers are brought up to date.
use super::super::fieldset::Set;
use super::cap::cap;
use super::entry::{Entry, Fields, Operation, bring_up_to, decode, encode, of, put, take};
use super::own::Differences;
use super::{Rules, Writer};
use serde_json::Value;

/// Records in `new` who manages what, now that `writer` made it of `live`; `None` creates it. Call it with the defaulted
/// object, before mutating admission and before what the write doesn't reach is reset, as upstream does.
///
/// - Changed and new fields come to be the writer's, and everybody else's no longer; removed ones are nobody's.
/// - An empty list of managers in the request, or `[{}]`, drops all of them. Other lists replace the live one; one that
///   isn't well formed, or that comes through a subresource, counts for nothing.
/// - Of an object without managers nothing is tracked until somebody applies.
/// - Nothing changes, times included, when no tracked field changed.
pub fn track(rules: &Rules<'_>, live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let sent = take(new);
    let known = live.and_then(of);
    let is_reset = |sent: &Value| match sent {
        Value::Array(entries) => entries.is_empty() || matches!(entries.as_slice(), [Value::Object(only)] if only.is_empty()),
        _ => false,
    };
    let sent = sent.filter(|_| writer.subresource.is_empty());
    if sent.as_ref().is_some_and(is_reset) && live.is_some() {
        return;
    }
    // What a server wrote needs no check.
    let trusted = sent.as_ref().is_none_or(|sent| Some(sent) == known);
    let differences = match live {
        Some(live) => Differences::new(rules, live, new),
        None => Differences::new(rules, rules.schema.zero(), new),
    };
    if trusted && live.is_some() && differences.own().is_empty() {
        return put(new, sent.or_else(|| known.cloned()));
    }
    let mut entries = match sent {
        Some(sent) if trusted => decode(sent, false).unwrap_or_default(),
        Some(sent) => match decode(sent, true) {
            Ok(entries) if !entries.is_empty() => entries,
            _ => known.cloned().and_then(|known| decode(known, false).ok()).unwrap_or_default(),
        },
        None => known.cloned().and_then(|known| decode(known, false).ok()).unwrap_or_default(),
    };
    if entries.is_empty() && live.is_some() {
        return;
    }
    let from = live.unwrap_or(rules.schema.zero());
    bring_up_to(rules, from, writer.api_version, &mut entries);
    take_over(rules, from, new, &mut entries, writer, differences);
    put(new, encode(cap(entries)));
}

/// The managers of an object that nobody tracked so far, before the first apply to it.
pub(super) fn before_first_apply(rules: &Rules<'_>, live: &Value, writer: &Writer<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let writer = Writer { manager: "before-first-apply", ..*writer };
    let differences = Differences::new(rules, rules.schema.zero(), live);
    take_over(rules, rules.schema.zero(), live, &mut entries, &writer, differences);
    entries
}

/// Gives the writer what changed.
fn take_over(rules: &Rules<'_>, from: &Value, to: &Value, entries: &mut Vec<Entry>, writer: &Writer<'_>, mut differences: Differences) {
    let gained = rules.reset.filter(differences.own().changed());
    let me = new_entry(writer, Operation::Update, Set::default());
    entries.retain_mut(|entry| {
        let mine = entry.is_same(&me);
        let Some(diff) = differences.of(rules, from, to, writer.api_version, &entry.api_version) else { return false };
        // What the writer changed it keeps; only others lose it.
        if !mine {
            entry.give_up(&diff.modified);
            entry.give_up(&diff.added);
        }
        entry.give_up(&diff.removed);
        !entry.is_empty() || (mine && !gained.is_empty())
    });
    if gained.is_empty() {
        return;
    }
    let time = (!writer.time.is_empty()).then(|| writer.time.to_string());
    match entries.iter_mut().find(|entry| entry.is_same(&me)) {
        Some(entry) => {
            entry.gain(&gained);
            entry.time = time;
        }
        None => entries.push(Entry { fields: Fields::Set(gained), time, ..me }),
    }
}

/// An entry of the writer without a time.
pub(super) fn new_entry(writer: &Writer<'_>, operation: Operation, set: Set) -> Entry {
    Entry {
        manager: if writer.manager.is_empty() { "unknown".into() } else { writer.manager.into() },
        operation,
        api_version: writer.api_version.into(),
        subresource: writer.subresource.into(),
        time: None,
        fields: Fields::Set(set),
    }
}
