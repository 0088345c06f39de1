//! How many pods a budget expects, and how many of them it wants healthy.
use crate::actors::controllers::horizontal_pod_autoscaler::target::{read, serving};
use crate::actors::controllers::world::World;
use crate::actors::kinds::Kinds;
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
pub(super) fn wish(spec: &Value, pods: &[Arc<Entry>], world: &dyn World, scales: &dyn Scales) -> Result<Wish, String> {
    let (most_away, least) = (&spec["maxUnavailable"], &spec["minAvailable"]);
    if !most_away.is_null() {
        let (expected, unmanaged) = scale(pods, world, scales)?;
        let away = share(most_away, expected)?;
        return Ok(Wish { expected, desired: (expected - away).max(0), unmanaged });
    }
    match least {
        Value::Null => Ok(Wish::default()),
        Value::String(_) => {
            let (expected, unmanaged) = scale(pods, world, scales)?;
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
fn scale(pods: &[Arc<Entry>], world: &dyn World, scales: &dyn Scales) -> Result<(i64, usize), String> {
    let mut found: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    let mut unmanaged = 0;
    for pod in pods {
        let Some(owner) = pod.meta.controller() else {
            unmanaged += 1;
            continue;
        };
        if found.contains_key(&owner.uid) {
            continue;
        }
        match scale_of(owner, &pod.key.namespace, world, scales)? {
            Some((uid, replicas)) => {
                // The pods of one deployment may belong to several replica sets.
                found.insert(uid, replicas);
            }
            None => return Err(format!("found no controllers for pod {:?}", &*pod.key.name)),
        }
    }
    Ok((found.values().sum(), unmanaged))
}

/// The uid and the scale of a controller; for a replica set of a deployment those of the deployment. `None`: there is no such object.
fn scale_of(owner: &OwnerRef, namespace: &Arc<str>, world: &dyn World, scales: &dyn Scales) -> Result<Option<(Arc<str>, i64)>, String> {
    let key = ObjectKey::new(namespace.clone(), owner.name.clone());
    if &*owner.kind == "ReplicaSet"
        && let Some(set) = world.get("replicasets.apps", &key).filter(|e| e.meta.uid == owner.uid)
        && let Some(above) = set.meta.controller().filter(|o| &*o.kind == "Deployment")
    {
        return scale_of(above, namespace, world, scales);
    }
    let found = scales.scale(owner, namespace)?;
    Ok(found.filter(|(uid, _)| *uid == owner.uid))
}

/// Who knows how many pods a controller of any kind shall have.
pub trait Scales: Send {
    /// The uid and the scale; `None` when there is no such object.
    ///
    /// # Errors
    /// Upstream's sentence about a kind that nobody serves, or that has no scale.
    fn scale(&self, owner: &OwnerRef, namespace: &str) -> Result<Option<(Arc<str>, i64)>, String>;
}

impl Scales for Arc<Kinds> {
    fn scale(&self, owner: &OwnerRef, namespace: &str) -> Result<Option<(Arc<str>, i64)>, String> {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        let served = serving(self, group, &owner.kind, version);
        let served = served.ok_or_else(|| format!("no matches for kind {:?} in version {:?}", &*owner.kind, &*owner.api_version))?;
        let resource = &served.kind.resource;
        if resource.subresource("scale").is_none() {
            return Err(format!("{} does not implement the scale subresource", resource.qualified()));
        }
        let target = read(&served, ObjectKey::new(namespace, owner.name.clone()));
        Ok(target.map(|target| (target.uid, target.replicas)))
    }
}
