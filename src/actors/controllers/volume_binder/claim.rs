//! What is to be done about a claim.
use super::bind::{about_claim, bind, claim_status, write};
use super::facts::{BY_CONTROLLER, CLAIMS, CLASSES, Claim, SELECTED_NODE, VOLUMES, Volume, annotated};
use super::index::Index;
use super::matching::{choose, satisfies};
use super::provision;
use crate::actors::controllers::plan::{Action, Plan};
use crate::actors::controllers::world::World;
use crate::protocol::meta::ObjectKey;
use serde_json::json;
use std::sync::Arc;

const LOST_REFERENCE: &str = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
const LOST_VOLUME: &str = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
const MISBOUND: &str = "Two claims are bound to the same volume, this one is bound incorrectly";
const NOTHING_THERE: &str = "no persistent volumes available for this claim and no storage class is set";

/// What was decided, and the volume that is promised by it.
pub struct Decision {
    pub plan: Plan,
    pub chosen: Option<Arc<str>>,
}

impl From<Plan> for Decision {
    fn from(plan: Plan) -> Self {
        Decision { plan, chosen: None }
    }
}

/// Decides about one claim.
pub fn plan(claim: &Claim, index: &Index, world: &dyn World) -> Decision {
    match (claim.facts.completed, claim.facts.volume.is_empty()) {
        (true, _) => bound(claim, world).into(),
        (false, false) => named(claim, world),
        (false, true) => unbound(claim, index, world),
    }
}

fn volume_of(claim: &Claim, world: &dyn World) -> Option<Volume> {
    world.get(VOLUMES, &ObjectKey::new("", claim.facts.volume.clone())).map(Volume::read)
}

/// A claim that was bound before: it stays so, or its volume is lost for good.
fn bound(claim: &Claim, world: &dyn World) -> Plan {
    if claim.facts.volume.is_empty() {
        return lost(claim, "ClaimLost", LOST_REFERENCE);
    }
    let Some(volume) = volume_of(claim, world) else { return lost(claim, "ClaimLost", LOST_VOLUME) };
    match &volume.facts.claim {
        Some((_, uid)) if *uid != claim.facts.uid => lost(claim, "ClaimMisbound", MISBOUND),
        _ => bind_to(claim, &volume, "it was bound before"),
    }
}

fn lost(claim: &Claim, reason: &'static str, message: &str) -> Plan {
    if claim.object["status"]["phase"] == "Lost" {
        return Plan::quiet();
    }
    let mut actions: Vec<Action> = claim_status(claim, "Lost", None).into_iter().collect();
    actions.push(about_claim(&claim.entry, "Warning", reason, message.into()));
    Plan { actions, why: format!("claim {}: lost", claim.entry.key), ..Plan::quiet() }
}

fn bind_to(claim: &Claim, volume: &Volume, why: &str) -> Plan {
    let why = format!("claim {}: takes volume {}: {why}", claim.entry.key, volume.entry.key.name);
    bind(volume, claim).map_or_else(Plan::quiet, |action| Plan { actions: vec![action], why, ..Plan::quiet() })
}

/// The claim stays as it is, with an event that says why.
fn pending(claim: &Claim, events: Vec<Action>) -> Plan {
    let told = events.iter().find_map(|action| match action {
        Action::Event(note) => Some(note.message.as_str()),
        _ => None,
    });
    let why = told.map_or_else(String::new, |told| format!("claim {}: {told}", claim.entry.key));
    let mut actions: Vec<Action> = claim_status(claim, "Pending", None).into_iter().collect();
    actions.extend(events);
    Plan { actions, why, ..Plan::quiet() }
}

/// A claim that names its volume.
fn named(claim: &Claim, world: &dyn World) -> Decision {
    let Some(volume) = volume_of(claim, world) else { return pending(claim, Vec::new()).into() };
    let name = &volume.entry.key.name;
    if volume.facts.is_for(&claim.entry.key, &claim.facts.uid) {
        return bind_to(claim, &volume, "both name each other").into();
    }
    if volume.facts.claim.is_some() {
        // When the claim was named by us, somebody has taken its mark away: it is left as it is.
        let message = format!("volume {name:?} already bound to a different claim.");
        let event = about_claim(&claim.entry, "Warning", "FailedBinding", message);
        let ours = annotated(&claim.object, BY_CONTROLLER);
        return if ours { Plan { actions: vec![event], ..Plan::quiet() } } else { pending(claim, vec![event]) }.into();
    }
    match satisfies(&claim.facts, name, &volume.facts) {
        Ok(()) => Decision { chosen: Some(name.clone()), plan: bind_to(claim, &volume, "the claim names it") },
        Err(why) => {
            let message = format!("Cannot bind to requested volume {name:?}: {why}");
            pending(claim, vec![about_claim(&claim.entry, "Warning", "VolumeMismatch", message)]).into()
        }
    }
}

/// A claim that takes any volume that suits it.
fn unbound(claim: &Claim, index: &Index, world: &dyn World) -> Decision {
    let class = claim.facts.class_name();
    let waits = provision::class(class, world).is_some_and(|class| class["volumeBindingMode"] == "WaitForFirstConsumer");
    if let Some(volume) = choose(claim, waits, index, world) {
        let why = if volume.facts.claim.is_some() { "it is kept for the claim" } else { "it is the smallest that fits" };
        return Decision { chosen: Some(volume.entry.key.name.clone()), plan: bind_to(claim, &volume, why) };
    }
    if claim.facts.class.is_none()
        && let Some(default) = provision::default_class(&world.list(CLASSES, None))
    {
        let actions = vec![write(CLAIMS, &claim.entry, json!({ "spec": { "storageClassName": &*default } }))];
        return Plan { actions, why: format!("claim {}: gets the default class {default}", claim.entry.key), ..Plan::quiet() }.into();
    }
    let events = if waits && !annotated(&claim.object, SELECTED_NODE) {
        vec![waiting(claim, index)]
    } else if !class.is_empty() {
        provision::ask(claim, world)
    } else {
        vec![about_claim(&claim.entry, "Normal", "FailedBinding", NOTHING_THERE.into())]
    };
    pending(claim, events).into()
}

/// Whom a claim waits for.
fn waiting(claim: &Claim, index: &Index) -> Action {
    let pods: Vec<&str> = index.consumers(&claim.entry.key).map(|name| &**name).collect();
    let (reason, message) = match &pods[..] {
        [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".into()),
        [one] => ("WaitForPodScheduled", format!("waiting for pod {one} to be scheduled")),
        more => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", more.join(","))),
    };
    about_claim(&claim.entry, "Normal", reason, message)
}
