//! What the applier no longer applies goes away, if nobody else manages it.
use super::super::fieldset::Set;
use super::super::schema::Schema;
use super::super::typed::{remove, to_whole_set, with_named_fields};
use super::entry::Entry;
use super::{Converted, Rules};
use serde_json::Value;
use std::borrow::Cow;

/// An object in some version, and the schema of that version.
type View<'a> = (Cow<'a, Value>, Cow<'a, Schema>);

/// The merged object without the fields that its applier managed by the last apply, and doesn't by this one (`now`: the
/// version and the fields of it), and nobody else does (`others`).
pub(super) fn prune(rules: &Rules<'_>, merged: Value, others: &[Entry], last: &Entry, now: (&str, &Set)) -> Value {
    let last_set = last.set();
    // Most applies let go of nothing.
    if last_set.is_empty() || (last.api_version == now.0 && last_set.difference(now.1).is_empty()) {
        return merged;
    }
    let gone = {
        let Some((at_last, schema)) = view(rules, &merged, &last.api_version) else { return merged };
        let named_last = with_named_fields(&schema, &last_set);
        // All that was applied last goes, then what is managed comes back.
        let mut pruned = remove(&schema, at_last.clone().into_owned(), &named_last);
        for (version, managed) in by_version(rules, others, last, now) {
            let (Some((full, schema)), Some((part, _))) = (view(rules, &merged, &version), view(rules, &pruned, &version)) else {
                continue;
            };
            let named = |set: &Set| with_named_fields(&schema, set);
            let stays = named(&to_whole_set(&schema, &part)).union(&named(&managed));
            let goes = named(&to_whole_set(&schema, &full)).difference(&stays);
            let next = remove(&schema, full.into_owned(), &goes);
            pruned = next;
        }
        // What nobody manages was not the applier's either, unless it was so by the last apply.
        let Some((part, _)) = view(rules, &pruned, &last.api_version) else { return merged };
        let named = |object: &Value| with_named_fields(&schema, &to_whole_set(&schema, object));
        let goes = named(&at_last).difference(&named(&part)).intersection(&named_last);
        remove(&schema, at_last.into_owned(), &goes)
    };
    match view(rules, &gone, now.0) {
        Some((Cow::Owned(converted), _)) => converted,
        Some(_) => gone,
        None => merged,
    }
}

/// What is managed, by the version that it is managed in; the version of the last apply comes first. Without conversion all
/// versions are one.
fn by_version(rules: &Rules<'_>, others: &[Entry], last: &Entry, now: (&str, &Set)) -> Vec<(String, Set)> {
    let version_of = |version: &str| if rules.convert.is_some() { version.to_string() } else { last.api_version.clone() };
    let mut out: Vec<(String, Set)> = vec![(version_of(now.0), now.1.clone())];
    for entry in others {
        let version = version_of(&entry.api_version);
        match out.iter_mut().find(|(known, _)| *known == version) {
            Some((_, set)) => *set = set.union(&entry.set()),
            None => out.push((version, entry.set().into_owned())),
        }
    }
    out.sort_by_key(|(version, _)| *version != last.api_version);
    out
}

/// The object in a version; `None`: there is no such version.
fn view<'a>(rules: &'a Rules<'_>, object: &'a Value, version: &str) -> Option<View<'a>> {
    let same = (Cow::Borrowed(object), Cow::Borrowed(rules.schema));
    let Some(convert) = rules.convert else { return Some(same) };
    match convert(object, version) {
        Converted::Same => Some(same),
        Converted::Other(object, schema) => Some((Cow::Owned(object), Cow::Owned(schema))),
        Converted::Missing => None,
    }
}
