//! The history of a StatefulSet or DaemonSet: one ControllerRevision per pod template it has had.
use super::hash::revision_hash;
use super::owned::Family;
use super::plan::{Action, Creation, Deletion, Patch, Plan, Propagation};
use super::world::World;
use crate::protocol::meta::ObjectKey;
use crate::protocol::validation::same;
use crate::storage::entry::Entry;
use serde_json::{Value, json};
use std::sync::Arc;

pub const SHELF: &str = "controllerrevisions.apps";
/// Carried by pods: which revision they are of. On a DaemonSet's revisions too.
pub const POD_LABEL: &str = "controller-revision-hash";
/// On a StatefulSet's revisions.
pub const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// One template of the past or present.
#[derive(Clone)]
pub struct Revision {
    /// `None` for one that this plan makes.
    pub entry: Option<Arc<Entry>>,
    pub name: String,
    /// Its hash label.
    pub hash: String,
    pub number: i64,
    data: Value,
}

impl Revision {
    fn of(entry: Arc<Entry>, label: &str) -> Revision {
        let object = entry.parse();
        Revision {
            name: entry.key.name.to_string(),
            hash: object["metadata"]["labels"][label].as_str().unwrap_or_default().to_string(),
            number: object["revision"].as_i64().unwrap_or_default(),
            data: object["data"].clone(),
            entry: Some(entry),
        }
    }

    /// The pod template as it was.
    pub fn template(&self) -> Value {
        let mut template = self.data["spec"]["template"].clone();
        if let Some(members) = template.as_object_mut() {
            members.remove("$patch");
        }
        template
    }
}

/// See the module.
pub struct History {
    /// By number, the oldest first; the current template's is the last.
    pub all: Vec<Revision>,
    /// The names taken by others so far.
    pub collisions: i64,
}

impl History {
    /// The history of `owner`, the current template included: found, brought to the front again, or made.
    ///
    /// `label` is the one that carries the hash. A name that somebody else has is counted as a collision, and another
    /// hash is taken; the caller writes the count to the status.
    pub fn resolve(family: Family, owner: &Entry, object: &Value, label: &'static str, world: &dyn World, plan: &mut Plan) -> History {
        let claimed = family.claim(owner, SHELF, world, |_| true, plan);
        let mut all: Vec<Revision> = claimed.into_iter().map(|entry| Revision::of(entry, label)).collect();
        all.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
        let mut history = History { all, collisions: object["status"]["collisionCount"].as_i64().unwrap_or_default() };
        if owner.meta.deleting.is_none() || history.all.is_empty() {
            history.bring_up(family, owner, object, label, world, plan);
        }
        history
    }

    /// The revision of the current template.
    pub fn latest(&self) -> Option<&Revision> {
        self.all.last()
    }

    pub fn named(&self, name: &str) -> Option<&Revision> {
        self.all.iter().find(|r| r.name == name)
    }

    fn bring_up(&mut self, family: Family, owner: &Entry, object: &Value, label: &str, world: &dyn World, plan: &mut Plan) {
        let mut template = object["spec"]["template"].clone();
        template["$patch"] = "replace".into();
        let data = json!({ "spec": { "template": template } });
        let next = self.latest().map_or(1, |r| r.number + 1);
        match self.all.iter().rposition(|r| same(&r.data, &data)) {
            Some(at) if at + 1 == self.all.len() => {}
            Some(at) => {
                let mut revision = self.all.remove(at);
                revision.number = next;
                plan.because(family.subject(owner), format_args!("back to the template of revision {}", revision.name));
                if let Some(entry) = &revision.entry {
                    plan.actions.push(Action::Patch(Patch {
                        kind: SHELF.into(),
                        key: entry.key.clone(),
                        uid: Some(entry.meta.uid.clone()),
                        subresource: None,
                        patch: json!({ "revision": next }),
                        expect_revision: None,
                    }));
                }
                self.all.push(revision);
            }
            None => self.make(family, owner, object, &data, next, label, world, plan),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "all of them describe the one object that is made")]
    fn make(
        &mut self,
        family: Family,
        owner: &Entry,
        object: &Value,
        data: &Value,
        next: i64,
        label: &str,
        world: &dyn World,
        plan: &mut Plan,
    ) {
        let (hash, name) = loop {
            let hash = revision_hash(data, self.collisions);
            let name = format!("{}-{hash}", owner.key.name);
            match world.get(SHELF, &ObjectKey::new(owner.key.namespace.clone(), name.as_str())) {
                // Somebody else's.
                Some(_) => self.collisions += 1,
                None => break (hash, name),
            }
        };
        let mut labels = object["spec"]["template"]["metadata"]["labels"].clone();
        labels[label] = hash.as_str().into();
        let mut annotations = object["metadata"]["annotations"].clone();
        if let Some(members) = annotations.as_object_mut() {
            members.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let mut meta = json!({ "name": name, "labels": labels, "ownerReferences": [family.reference(owner)] });
        if annotations.as_object().is_some_and(|a| !a.is_empty()) {
            meta["annotations"] = annotations;
        }
        plan.because(family.subject(owner), format_args!("a new template, revision {name}"));
        plan.actions.push(Action::Create(Creation {
            kind: SHELF.into(),
            namespace: owner.key.namespace.clone(),
            object: json!({ "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": meta, "data": data, "revision": next }),
            report: None,
        }));
        self.all.push(Revision { entry: None, name, hash, number: next, data: data.clone() });
    }

    /// Deletes the oldest revisions beyond `limit` that are not in use.
    pub fn truncate(&self, family: Family, owner: &Entry, limit: i64, live: impl Fn(&Revision) -> bool, plan: &mut Plan) {
        let past: Vec<&Revision> = self.all.iter().rev().skip(1).rev().filter(|r| !live(r)).collect();
        let surplus = past.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        for entry in past.into_iter().take(surplus).filter_map(|r| r.entry.as_ref()) {
            plan.because(family.subject(owner), format_args!("revision {} is beyond the revision history limit {limit}", entry.key.name));
            plan.actions.push(Action::Delete(Deletion {
                kind: SHELF.into(),
                key: entry.key.clone(),
                uid: entry.meta.uid.clone(),
                propagation: Propagation::Background,
                grace: None,
                report: None,
            }));
        }
    }
}
