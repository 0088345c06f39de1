//! Puts the default roles and bindings in order: what is missing is made or added, what was added by others stays.
use super::policy::policy;
use super::{AUTOUPDATE, Wanted, objects};
use crate::actors::kinds::{Kinds, Part};
use crate::protocol::authority::{PolicyRule, RBAC, covers};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use futures_util::future::join_all;
use serde_json::{Value, json};

/// How often an object that somebody else changes at the same time is looked at anew.
const TRIES: usize = 5;

/// Makes what is missing, all at once, so that the disk syncs once.
pub async fn reconcile(kinds: &Kinds) -> Result<(), ApiError> {
    let wanted = objects(policy());
    let outcomes = join_all(wanted.iter().map(|wanted| one(kinds, wanted))).await;
    outcomes.into_iter().collect()
}

async fn one(kinds: &Kinds, wanted: &Wanted) -> Result<(), ApiError> {
    let served = kinds.find(RBAC, wanted.plural).ok_or_else(|| ApiError::internal(format!("{} are not served", wanted.plural)))?;
    let key = ObjectKey::new(wanted.namespace.as_str(), wanted.object["metadata"]["name"].as_str().unwrap_or_default());
    for _ in 0..TRIES {
        let outcome = match served.shelf.snapshot().get(&key).map(|entry| entry.parse()) {
            None => kinds.create(&served, &wanted.namespace, wanted.object.clone(), false).await,
            Some(held) if held["metadata"]["annotations"][AUTOUPDATE] == "false" => return Ok(()),
            Some(held) if held["roleRef"] != wanted.object["roleRef"] => {
                // What a binding gives cannot be changed: it is made anew.
                kinds.delete(&served, key.clone(), Default::default(), false).await?;
                kinds.create(&served, &wanted.namespace, wanted.object.clone(), false).await
            }
            Some(held) => match improved(&held, &wanted.object) {
                None => return Ok(()),
                Some(better) => kinds.update(&served, key.clone(), Part::Main, better, false).await,
            },
        };
        match outcome {
            Err(error) if error.code == 409 => {}
            outcome => return outcome.map(drop),
        }
    }
    Err(ApiError::unavailable(format!("{RBAC} {} {key} keeps changing", wanted.plural)))
}

/// The held object with what it lacks; `None` when it lacks nothing.
pub(super) fn improved(held: &Value, wanted: &Value) -> Option<Value> {
    let mut better = held.clone();
    for map in ["labels", "annotations"] {
        for (key, value) in wanted["metadata"][map].as_object().into_iter().flatten() {
            if !better["metadata"][map].is_object() {
                better["metadata"][map] = json!({});
            }
            if better["metadata"][map].get(key).is_none() {
                better["metadata"][map][key] = value.clone();
            }
        }
    }
    if wanted.get("aggregationRule").is_some() {
        if held.get("aggregationRule").is_none() {
            better["aggregationRule"] = wanted["aggregationRule"].clone();
        }
    } else if let Err(shortfall) = covers(&PolicyRule::of_role(held), &PolicyRule::of_role(wanted)) {
        append(&mut better, "rules", shortfall.missing.iter().map(|rule| json!(rule)));
    }
    let lacking = wanted["subjects"].as_array().into_iter().flatten();
    let lacking: Vec<Value> = lacking.filter(|s| !held["subjects"].as_array().is_some_and(|h| h.contains(s))).cloned().collect();
    append(&mut better, "subjects", lacking.into_iter());
    (better != *held).then_some(better)
}

fn append(object: &mut Value, list: &str, more: impl Iterator<Item = Value>) {
    let mut more = more.peekable();
    if more.peek().is_none() {
        return;
    }
    if !object[list].is_array() {
        object[list] = json!([]);
    }
    if let Some(list) = object[list].as_array_mut() {
        list.extend(more);
    }
}
