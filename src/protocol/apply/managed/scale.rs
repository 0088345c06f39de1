//! Managers of `scale`: the same managers as of the object, as far as they manage its replicas.
use super::super::fieldset::{Element, Set};
use super::entry::{DecodeError, Entry, Fields, decode, encode};
use serde_json::Value;

const SCALE_VERSION: &str = "autoscaling/v1";

/// Where the replicas are, by the object's version: `[("apps/v1", &["spec", "replicas"])]`. An empty path: not in that version.
pub type ReplicasPaths<'a> = &'a [(&'a str, &'a [&'a str])];

fn path_of(paths: ReplicasPaths<'_>, version: &str) -> Option<Vec<Element>> {
    let found = paths.iter().find(|(known, _)| *known == version)?;
    Some(found.1.iter().map(|name| Element::field(name)).collect())
}

fn replicas_in_scale() -> Set {
    Set::field(&["spec", "replicas"])
}

/// `metadata.managedFields` of the scale, from that of the object.
///
/// # Errors
/// When the object's can't be read.
pub fn to_scale(parent: Option<&Value>, paths: ReplicasPaths<'_>) -> Result<Option<Value>, DecodeError> {
    let entries = decode(parent.cloned().unwrap_or_default(), true)?;
    let convert = |entry: Entry| {
        let path = path_of(paths, &entry.api_version)?;
        entry.set().has(&path).then_some(())?;
        Some(Entry { api_version: SCALE_VERSION.into(), fields: Fields::Set(replicas_in_scale()), ..entry })
    };
    Ok(encode(entries.into_iter().filter_map(convert).collect()))
}

/// `metadata.managedFields` of the object after a write to its scale, which left the scale with `scale`. `version` is the
/// object's. Managers new by that write have no time, as upstream has it.
///
/// # Errors
/// When one of the two can't be read.
pub fn from_scale(
    parent: Option<&Value>,
    scale: Option<&Value>,
    version: &str,
    paths: ReplicasPaths<'_>,
) -> Result<Option<Value>, DecodeError> {
    let parents = decode(parent.cloned().unwrap_or_default(), true)?;
    let mut scales = decode(scale.cloned().unwrap_or_default(), true)?;
    let mut out: Vec<Entry> = Vec::with_capacity(parents.len() + 1);
    for mut entry in parents {
        let Some(path) = path_of(paths, &entry.api_version) else { continue };
        if path.is_empty() || !entry.set().has(&path) {
            out.push(entry);
            continue;
        }
        let in_scale = Entry { api_version: SCALE_VERSION.into(), fields: Fields::Set(Set::default()), ..entry.clone() };
        match scales.iter().position(|s| s.is_same(&in_scale)) {
            Some(at) => _ = scales.remove(at),
            None => entry.give_up(&Set::of([path.as_slice()])),
        }
        if !entry.is_empty() {
            out.push(entry);
        }
    }
    let path = path_of(paths, version).unwrap_or_default();
    for entry in scales.into_iter().filter(|s| s.set().has(&[Element::field("spec"), Element::field("replicas")])) {
        let new = Entry { api_version: version.into(), fields: Fields::Set(Set::of([path.as_slice()])), time: None, ..entry };
        match out.iter_mut().find(|old| old.is_same(&new)) {
            Some(old) => old.gain(&new.set()),
            None if !new.is_empty() => out.push(new),
            None => {}
        }
    }
    Ok(encode(out))
}
