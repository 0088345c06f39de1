//! How many pods a budget expects, and how many of them it wants healthy.
use crate::actors::controllers::world::World;
use crate::protocol::meta::{ObjectKey, OwnerRef};
use crate::storage::entry::Entry;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a budget wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub expected: i64,
    pub desired: i64,
    /// Pods that no controller looks after.
    pub unmanaged: usize,
}

/// Reads a budget's wish; the error is upstream's sentence.
pub(super) fn wish(spec: &Value, pods: &[Arc<Entry>], world: &dyn World) -> Result<Wish, String> {
    let (most_away, least) = (&spec["maxUnavailable"], &spec["minAvailable"]);
    if !most_away.is_null() {
        let (expected, unmanaged) = scale(pods, world)?;
        let away = share(most_away, expected)?;
        return Ok(Wish { expected, desired: (expected - away).max(0), unmanaged });
    }
    match least {
        Value::Null => Ok(Wish::default()),
        Value::String(_) => {
            let (expected, unmanaged) = scale(pods, world)?;
            Ok(Wish { expected, desired: share(least, expected)?, unmanaged })
        }
        number => {
            let expected = i64::try_from(pods.len()).unwrap_or(i64::MAX);
            Ok(Wish { expected, desired: number.as_i64().unwrap_or_default(), unmanaged: 0 })
        }
    }
}

/// A number, or a percentage of `total`, rounded up.
fn share(value: &Value, total: i64) -> Result<i64, String> {
    match value {
        Value::String(text) => {
            let percent: i64 =
                text.strip_suffix('%').and_then(|t| t.parse().ok()).ok_or_else(|| format!("invalid value for IntOrString: {text}"))?;
            Ok((percent.saturating_mul(total) + 99).div_euclid(100))
        }
        number => number.as_i64().ok_or_else(|| "invalid type: neither int nor percentage".to_string()),
    }
}

/// The sum of the scales of the pods' controllers, each once; and how many pods have none.
fn scale(pods: &[Arc<Entry>], world: &dyn World) -> Result<(i64, usize), String> {
    let mut scales: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    let mut unmanaged = 0;
    for pod in pods {
        let Some(owner) = pod.meta.controller() else {
            unmanaged += 1;
            continue;
        };
        if scales.contains_key(&owner.uid) {
            continue;
        }
        match scale_of(owner, &pod.key.namespace, world)? {
            Some((uid, replicas)) => {
                // The pods of one deployment may belong to several replica sets.
                scales.insert(uid, replicas);
            }
            None => return Err(format!("found no controllers for pod {:?}", &*pod.key.name)),
        }
    }
    Ok((scales.values().sum(), unmanaged))
}

/// The uid and the scale of a controller; for a replica set those of its deployment. `None`: there is no such object.
fn scale_of(owner: &OwnerRef, namespace: &Arc<str>, world: &dyn World) -> Result<Option<(Arc<str>, i64)>, String> {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    let kinds = world.kinds();
    let Some(info) = kinds.iter().find(|k| *k.kind == *owner.kind && *k.group == *group) else { return Ok(None) };
    let key = ObjectKey::new(namespace.clone(), owner.name.clone());
    let Some(found) = world.get(&info.shelf, &key).filter(|e| e.meta.uid == owner.uid) else { return Ok(None) };
    if &*owner.kind == "ReplicaSet"
        && let Some(above) = found.meta.controller().filter(|o| &*o.kind != "ReplicaSet")
    {
        return scale_of(above, namespace, world);
    }
    match found.parse()["spec"]["replicas"].as_i64() {
        Some(replicas) => Ok(Some((owner.uid.clone(), replicas))),
        None => Err(format!("{} does not implement the scale subresource", info.shelf)),
    }
}
