//! Which volume a claim gets.
use super::facts::{Claim, ClaimFacts, VOLUMES, Volume, VolumeFacts};
use super::index::Index;
use crate::actors::controllers::world::World;
use crate::protocol::meta::ObjectKey;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What even a volume that was made for the claim has to have.
fn fits(claim: &ClaimFacts, volume: &VolumeFacts) -> bool {
    !volume.deleting
        && volume.block == claim.block
        && volume.attributes == claim.attributes
        && volume.capacity >= claim.request
        && volume.modes.contain(claim.modes)
}

/// Whether the volume could be the claim's, as far as it goes without looking at labels.
pub fn may_suit(claim: &ClaimFacts, volume: &VolumeFacts) -> bool {
    volume.available && volume.claim.is_none() && *volume.class == *claim.class_name() && fits(claim, volume)
}

/// Why the volume that the claim names cannot be the claim's.
///
/// # Errors
/// Upstream's words.
pub fn satisfies(claim: &ClaimFacts, name: &str, volume: &VolumeFacts) -> Result<(), String> {
    let checks = [
        (volume.deleting, format!("the volume is marked for deletion {name:?}")),
        (volume.capacity < claim.request, "requested PV is too small".into()),
        (*volume.class != *claim.class_name(), "storageClassName does not match".into()),
        (volume.attributes != claim.attributes, "volumeAttributesClassName does not match".into()),
        (volume.block != claim.block, "incompatible volumeMode".into()),
        (!volume.modes.contain(claim.modes), "incompatible accessMode".into()),
    ];
    checks.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(why))
}

/// The volume for a claim that names none: one that is for it already; or else, unless that waits for the scheduler
/// (`delayed`), of those that nobody has the one with the fewest modes, and of these the smallest.
pub fn choose(claim: &Claim, delayed: bool, index: &Index, world: &dyn World) -> Option<Volume> {
    let (key, facts) = (&claim.entry.key, &claim.facts);
    let read = |name: &Arc<str>| world.get(VOLUMES, &ObjectKey::new("", name.clone())).map(Volume::read);
    let ours = index.reserved(key).filter_map(read).filter(|v| v.facts.is_for(key, &facts.uid) && fits(facts, &v.facts));
    let ours = ours.min_by_key(|v| (!has_met(v), v.facts.modes.count(), v.facts.capacity, v.entry.key.name.clone()));
    if ours.is_some() || delayed {
        return ours;
    }
    let selected = |name: &Arc<str>| match &facts.selector {
        None => true,
        Some(selector) => world.get(VOLUMES, &ObjectKey::new("", name.clone())).is_some_and(|v| selector.matches(&v.meta.labels)),
    };
    // What is remembered may be a moment old: what is chosen is read, and left aside when it is not free any more.
    let mut taken: BTreeSet<Arc<str>> = BTreeSet::new();
    loop {
        let free = index
            .free(facts.class_name(), facts.request)
            .filter(|(name, v)| !taken.contains(*name) && !index.is_promised(name, key) && may_suit(facts, v) && selected(name));
        let (name, _) = free.min_by_key(|(name, v)| (v.modes.count(), v.capacity, (*name).clone()))?;
        match read(name).filter(|v| may_suit(facts, &v.facts)) {
            Some(volume) => return Some(volume),
            None => taken.insert(name.clone()),
        };
    }
}

/// A volume that bears the claim's uid was chosen before.
fn has_met(volume: &Volume) -> bool {
    volume.facts.claim.as_ref().is_some_and(|(_, uid)| !uid.is_empty())
}
