//! Who loses and who gains when fields change.
//!
//! Most writes touch few fields and few managers. So an entry's `FieldsV1` is only read when a changed field is in it; until
//! then the JSON is asked directly.
use super::super::fieldset::{Element, Set, write_element};
use super::super::typed::{Diff, diff};
use super::entry::{Entry, Fields};
use super::{Converted, Rules};
use serde_json::{Map, Value};

/// The differences between two objects, in every version that somebody manages fields in.
pub(super) struct Differences {
    own: Diff,
    others: Vec<(String, Option<Diff>)>,
}

impl Differences {
    /// The differences in the writer's version; what the write doesn't reach is left out.
    pub fn new(rules: &Rules<'_>, from: &Value, to: &Value) -> Differences {
        Differences { own: filtered(rules, diff(rules.schema, from, to)), others: Vec::new() }
    }

    pub fn own(&self) -> &Diff {
        &self.own
    }

    /// The differences in another version. `None`: there is no such version.
    pub fn of(&mut self, rules: &Rules<'_>, from: &Value, to: &Value, own_version: &str, version: &str) -> Option<&Diff> {
        let Some(convert) = rules.convert.filter(|_| version != own_version) else { return Some(self.own()) };
        let at = match self.others.iter().position(|(known, _)| known == version) {
            Some(at) => at,
            None => {
                let found = match (convert(from, version), convert(to, version)) {
                    (Converted::Other(from, schema), Converted::Other(to, _)) => Some(filtered(rules, diff(&schema, &from, &to))),
                    (Converted::Missing, _) | (_, Converted::Missing) => None,
                    _ => Some(self.own.clone()),
                };
                self.others.push((version.to_string(), found));
                self.others.len() - 1
            }
        };
        self.others.get(at)?.1.as_ref()
    }
}

fn filtered(rules: &Rules<'_>, diff: Diff) -> Diff {
    Diff { added: rules.reset.filter(diff.added), modified: rules.reset.filter(diff.modified), removed: rules.reset.filter(diff.removed) }
}

impl Entry {
    /// Something of the set is owned.
    pub fn owns_any(&self, set: &Set) -> bool {
        match &self.fields {
            _ if set.is_empty() => false,
            Fields::Set(own) => own.intersects(set),
            Fields::Json(json) => json.as_object().is_some_and(|map| json_any(map, set, &mut String::new())),
        }
    }

    /// All of the set is owned.
    pub fn owns_all(&self, set: &Set) -> bool {
        match &self.fields {
            Fields::Set(own) => set.difference(own).is_empty(),
            Fields::Json(json) => json.as_object().is_some_and(|map| json_all(map, set, &mut String::new())),
        }
    }

    /// Gives up what is in the set.
    pub fn give_up(&mut self, set: &Set) {
        if self.owns_any(set) {
            let left = self.set().difference(set);
            self.fields = Fields::Set(left);
        }
    }

    /// Owns what is in the set as well.
    pub fn gain(&mut self, set: &Set) {
        if !self.owns_all(set) {
            let more = self.set().union(set);
            self.fields = Fields::Set(more);
        }
    }
}

/// The JSON below an element, found by the element's text.
fn look_up<'j>(map: &'j Map<String, Value>, element: &Element, text: &mut String) -> Option<&'j Map<String, Value>> {
    text.clear();
    write_element(element, text);
    map.get(text.as_str())?.as_object()
}

fn is_member(map: &Map<String, Value>) -> bool {
    map.is_empty() || map.contains_key(".")
}

fn json_any(map: &Map<String, Value>, set: &Set, text: &mut String) -> bool {
    set.nodes.iter().any(|node| {
        look_up(map, &node.element, text).is_some_and(|below| (node.member && is_member(below)) || json_any(below, &node.below, text))
    })
}

fn json_all(map: &Map<String, Value>, set: &Set, text: &mut String) -> bool {
    set.nodes.iter().all(|node| {
        look_up(map, &node.element, text).is_some_and(|below| (!node.member || is_member(below)) && json_all(below, &node.below, text))
    })
}
