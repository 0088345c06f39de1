//! What controllers do about the objects they own: claim and release them, report about them, write their own status.
use super::difference::turns;
use super::feed::Change;
use super::labels::LabelSelector;
use super::plan::{Action, EventNote, ObjectRef, Patch, Plan, Report};
use super::runner::Key;
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// A kind of the `apps` group that owns others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    pub shelf: &'static str,
    pub kind: &'static str,
    /// Of its events: `deployment-controller`.
    pub component: &'static str,
}

/// Every owner here is of this version.
pub const API_VERSION: &str = "apps/v1";

impl Family {
    /// The selector of one of the family, from its light index.
    pub fn selector(self, entry: &Entry) -> Option<LabelSelector> {
        match &entry.light {
            Light::Workload(light) => LabelSelector::parse(&light.selector),
            _ => None,
        }
    }

    /// How plans name one of the family.
    pub fn subject(self, entry: &Entry) -> String {
        format!("{} {}", self.kind, entry.key)
    }

    /// A reference to `entry` as controller.
    pub fn reference(self, entry: &Entry) -> Value {
        json!({
            "apiVersion": API_VERSION, "kind": self.kind, "name": &*entry.key.name, "uid": &*entry.meta.uid,
            "controller": true, "blockOwnerDeletion": true,
        })
    }

    pub fn event(self, entry: &Entry, kind: &'static str, reason: &'static str, message: String) -> Action {
        let regarding = ObjectRef::to(API_VERSION, self.kind, entry);
        Action::Event(EventNote { regarding, kind, reason, message, component: self.component })
    }

    pub fn report(
        self,
        entry: &Entry,
        success: (&'static str, impl Into<Cow<'static, str>>),
        failure: (&'static str, impl Into<Cow<'static, str>>),
    ) -> Report {
        let regarding = ObjectRef::to(API_VERSION, self.kind, entry);
        let (success, failure) = ((success.0, success.1.into()), (failure.0, failure.1.into()));
        Report { regarding, component: self.component, success, failure }
    }

    /// The objects of a shelf that `entry` controls and selects, orphans that it now adopts among them; what it controls
    /// but no longer selects is released. One that is being deleted neither adopts nor releases.
    pub fn claim(
        self,
        entry: &Entry,
        shelf: &str,
        world: &dyn World,
        adoptable: impl Fn(&Entry) -> bool,
        plan: &mut Plan,
    ) -> Vec<Arc<Entry>> {
        let selector = self.selector(entry);
        let matches = |e: &Entry| selector.as_ref().is_some_and(|s| s.matches(&e.meta));
        let deleting = entry.meta.deleting.is_some();
        let mut mine = world.owned_by(shelf, &entry.meta.uid);
        mine.retain(|e| e.meta.controller().is_some_and(|c| *c.uid == *entry.meta.uid));
        mine.retain(|e| {
            let keep = matches(e);
            if !keep && !deleting {
                plan.because(self.subject(entry), format_args!("releases {}", e.key.name));
                plan.actions.push(self.owners_patch(entry, shelf, e, false));
            }
            keep
        });
        if deleting {
            return mine;
        }
        for orphan in world.orphans(shelf, &entry.key.namespace) {
            if orphan.meta.deleting.is_none() && matches(&orphan) && adoptable(&orphan) {
                plan.because(self.subject(entry), format_args!("adopts {}", orphan.key.name));
                plan.actions.push(self.owners_patch(entry, shelf, &orphan, true));
                mine.push(orphan);
            }
        }
        mine
    }

    /// Sets owner references: with `owner` as controller, or without it. The list is replaced whole, hence the expected
    /// revision.
    fn owners_patch(self, owner: &Entry, shelf: &str, held: &Entry, adopt: bool) -> Action {
        let mut owners = match held.parse()["metadata"]["ownerReferences"].take() {
            Value::Array(owners) => owners,
            _ => Vec::new(),
        };
        owners.retain(|o| o["uid"] != *owner.meta.uid);
        if adopt {
            owners.push(self.reference(owner));
        }
        let owners = if owners.is_empty() { Value::Null } else { owners.into() };
        Action::Patch(Patch {
            kind: shelf.into(),
            key: held.key.clone(),
            uid: Some(held.meta.uid.clone()),
            subresource: None,
            patch: json!({ "metadata": { "ownerReferences": owners } }),
            expect_revision: Some(held.revision),
        })
    }

    /// The keys that a change of an owner or of something it may own concerns.
    pub fn keys(self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        if *change.kind == *self.shelf {
            out.push(Key::of(self.shelf, &change.entry.key));
            return;
        }
        let namespace = &change.entry.key.namespace;
        for owner in [before, Some(&*change.entry)].into_iter().flatten().filter_map(|e| e.meta.controller()) {
            if *owner.kind == *self.kind && *owner.api_version == *API_VERSION {
                out.push(Key { kind: self.shelf.into(), object: ObjectKey::new(namespace.clone(), owner.name.clone()) });
            }
        }
        if !change.deleted && change.entry.meta.controller().is_none() {
            // An orphan concerns whoever selects it.
            let owners = world.list(self.shelf, Some(namespace));
            let selecting = owners.iter().filter(|o| self.selector(o).is_some_and(|s| s.matches(&change.entry.meta)));
            out.extend(selecting.map(|o| Key::of(self.shelf, &o.key)));
        }
    }

    /// Adds the patch that makes `status` of `object` say `wanted` and nothing else, if it does not yet.
    pub fn write_status(
        self,
        entry: &Entry,
        object: &Value,
        wanted: &Map<String, Value>,
        annotations: Map<String, Value>,
        plan: &mut Plan,
    ) {
        let held = &object["status"];
        let mut patch: Map<String, Value> =
            wanted.iter().filter(|(field, value)| held[field] != **value).map(|(f, v)| (f.clone(), v.clone())).collect();
        let extra = held.as_object().into_iter().flatten().filter(|(field, _)| !wanted.contains_key(*field));
        patch.extend(extra.map(|(field, _)| (field.clone(), Value::Null)));
        if patch.is_empty() && annotations.is_empty() {
            return;
        }
        if plan.why.is_empty() {
            let status = Value::Object(patch.clone());
            let turns = turns(held, &status);
            plan.why = match turns.is_empty() {
                true => format!("{}: status {status}", self.subject(entry)),
                false => format!("{}: {}", self.subject(entry), turns.join(", ")),
            };
        }
        // The list of conditions is replaced whole: nobody's may be lost.
        let expect_revision = patch.contains_key("conditions").then_some(entry.revision);
        let mut body = json!({ "status": patch });
        if !annotations.is_empty() {
            body["metadata"] = json!({ "annotations": annotations });
        }
        plan.actions.push(Action::Patch(Patch {
            kind: self.shelf.into(),
            key: entry.key.clone(),
            uid: Some(entry.meta.uid.clone()),
            subresource: Some("status"),
            patch: body,
            expect_revision,
        }));
    }
}

/// The metadata that a template gives its objects: labels, annotations and finalizers.
pub fn template_meta(template: &Value) -> Map<String, Value> {
    let given = ["labels", "annotations", "finalizers"].into_iter().map(|field| (field, &template["metadata"][field]));
    given.filter(|(_, value)| !value.is_null()).map(|(field, value)| (field.to_string(), value.clone())).collect()
}
