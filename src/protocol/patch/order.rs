//! The order of a merged list: items that the patch names stand as the patch has them, items only the server knows keep their place
//! among those that were there before.
use super::PatchError;
use serde_json::Value;
use std::collections::HashMap;

/// What makes two items the same: the value of the merge key, or the whole item in lists without one.
pub(super) fn identity(item: &Value, merge_key: Option<&str>) -> Result<String, PatchError> {
    let Some(key) = merge_key else { return Ok(item.to_string()) };
    match item.get(key) {
        Some(value) => Ok(value.to_string()),
        None => Err(PatchError::NoMergeKey { item: item.to_string(), key: key.into() }),
    }
}

/// Position of each item by identity; the first one counts.
pub(super) fn positions(items: &[Value], merge_key: Option<&str>) -> Result<HashMap<String, usize>, PatchError> {
    let mut found = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        found.entry(identity(item, merge_key)?).or_insert(index);
    }
    Ok(found)
}

/// Orders `merged`: the items in `wanted` in that order, woven with the others in the order of `before`. Where nothing is known of two
/// items, the patch's one comes first.
pub(super) fn arrange(merged: Vec<Value>, wanted: &[Value], before: &[Value], merge_key: Option<&str>) -> Result<Vec<Value>, PatchError> {
    let (wanted, before) = (positions(wanted, merge_key)?, positions(before, merge_key)?);
    let mut named = Vec::new();
    let mut server_only = Vec::new();
    for item in merged {
        let id = identity(&item, merge_key)?;
        let was = before.get(&id).copied();
        match wanted.get(&id) {
            Some(place) => named.push((*place, was, item)),
            None => server_only.push((was.unwrap_or(usize::MAX), was, item)),
        }
    }
    named.sort_by_key(|(place, ..)| *place);
    server_only.sort_by_key(|(place, ..)| *place);
    Ok(weave(server_only, named))
}

type Placed = (usize, Option<usize>, Value);

fn weave(server_only: Vec<Placed>, named: Vec<Placed>) -> Vec<Value> {
    let mut out = Vec::with_capacity(server_only.len() + named.len());
    let mut named = named.into_iter().peekable();
    for (_, was, item) in server_only {
        while let Some((.., value)) = named.next_if(|(_, other, _)| !matches!((was, other), (Some(a), Some(b)) if a < *b)) {
            out.push(value);
        }
        out.push(item);
    }
    out.extend(named.map(|(.., value)| value));
    out
}

/// Whether the items of a patch's list appear in its `$setElementOrder` list, in the same order. Items to be deleted don't count.
pub(super) fn agrees(patch: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<bool, PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(true);
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|i| i.get("$patch").is_none()) {
        let id = identity(item, merge_key)?;
        loop {
            match rest.next() {
                Some(candidate) if identity(candidate, merge_key)? == id => break,
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }
    Ok(true)
}
