//! Claims get their volumes, and volumes know whose they are.
//!
//! Both sides name each other when they are bound: `spec.claimRef` of the volume bears the claim's uid, `spec.volumeName` of the claim the
//! volume's name. The volume is written first, and every write holds only for the state that was looked at; so whoever comes second
//! finds the volume taken, and a volume that was taken for a claim with another one is given back.
//!
//! | file | what it decides |
//! |---|---|
//! | `claim` | a claim: its volume, whom it waits for, that it is lost |
//! | `volume` | a volume: its phase, and what becomes of it after its claim |
//! | `matching` | which volume suits a claim |
//! | `provision` | who is asked to make a volume, and the default class |
//! | `bind` | the writes |
//! | `facts`, `index` | what is looked at |
mod bind;
mod claim;
pub mod facts;
mod index;
mod matching;
mod provision;
#[cfg(test)]
mod tests;
mod volume;

use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Failure, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use facts::{CLAIMS, CLASSES, Claim, ClaimFacts, VOLUMES, Volume, VolumeFacts};
use index::Index;
use jiff::Timestamp;
use std::cell::RefCell;
use std::sync::Arc;

/// The controller.
#[derive(Default)]
pub struct VolumeBinder {
    index: RefCell<Index>,
}

impl VolumeBinder {
    /// A volume concerns the claim that it is for, or was; and, when it is free, whoever waits for such a one.
    fn volume_changed(&self, change: &Change, out: &mut Vec<Key>) {
        let (entry, mut index) = (&change.entry, self.index.borrow_mut());
        let name = &entry.key.name;
        let facts = (!change.deleted).then(|| VolumeFacts::of(entry, &entry.parse()));
        let before = index.volume(name, facts.clone());
        if !change.deleted {
            out.push(Key::of(VOLUMES, &entry.key));
        }
        let claims = before.iter().chain(&facts).filter_map(|f| f.claim.as_ref());
        out.extend(claims.map(|(claim, _)| Key::of(CLAIMS, claim)));
        let wanted = |claim: &ClaimFacts| {
            *claim.volume == **name || (claim.volume.is_empty() && facts.as_ref().is_some_and(|volume| matching::may_suit(claim, volume)))
        };
        out.extend(index.waiting(wanted).map(|key| Key::of(CLAIMS, key)));
    }

    /// A claim concerns the volume that it names, and those that are for it.
    fn claim_changed(&self, change: &Change, out: &mut Vec<Key>) {
        let (entry, mut index) = (&change.entry, self.index.borrow_mut());
        let facts = ClaimFacts::of(entry, &entry.parse());
        let volume = facts.volume.clone();
        index.claim(&entry.key, (!change.deleted).then_some(facts));
        if !change.deleted {
            out.push(Key::of(CLAIMS, &entry.key));
        }
        let named = (!volume.is_empty()).then_some(&volume);
        out.extend(named.into_iter().chain(index.reserved(&entry.key)).map(volume_key));
    }

    fn class_changed(&self, change: &Change, out: &mut Vec<Key>) {
        let (index, name) = (self.index.borrow(), &change.entry.key.name);
        let default = !change.deleted && provision::is_default(&change.entry.parse());
        let concerns = |claim: &ClaimFacts| match &claim.class {
            Some(class) => class == name,
            None => default,
        };
        out.extend(index.waiting(concerns).map(|key| Key::of(CLAIMS, key)));
    }

    /// Leaves out what was told already.
    fn only_news(&self, claim: &ObjectKey, plan: &mut Plan) {
        let mut index = self.index.borrow_mut();
        plan.actions.retain(|action| match action {
            Action::Event(note) => index.is_news(claim, note.reason, &note.message),
            _ => true,
        });
    }
}

fn volume_key(name: &Arc<str>) -> Key {
    Key::of(VOLUMES, &ObjectKey::new("", name.clone()))
}

impl Controller for VolumeBinder {
    fn name(&self) -> &'static str {
        "persistentvolumebinder"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, CLAIMS | VOLUMES | CLASSES | "pods")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        match &*change.kind {
            VOLUMES => self.volume_changed(change, out),
            CLAIMS => self.claim_changed(change, out),
            CLASSES => self.class_changed(change, out),
            _ => out.extend(self.index.borrow_mut().pod(&change.entry, change.deleted).iter().map(|claim| Key::of(CLAIMS, claim))),
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(&key.kind, &key.object) else { return Plan::quiet() };
        if &*key.kind == VOLUMES {
            return volume::plan(&Volume::read(entry), world);
        }
        let decision = claim::plan(&Claim::read(entry), &self.index.borrow(), world);
        self.index.borrow_mut().promise(&key.object, decision.chosen.as_ref());
        let mut plan = decision.plan;
        self.only_news(&key.object, &mut plan);
        plan
    }
}
