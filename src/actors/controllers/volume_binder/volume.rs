//! What is to be done about a volume.
use super::bind::{about_claim, about_volume, unbind, volume_phase};
use super::facts::{CLAIMS, Claim, PROVISIONED_BY, Volume, annotated};
use crate::actors::controllers::plan::{Action, Plan};
use crate::actors::controllers::world::World;

/// Where upstream's own deleter of host paths works.
const SCRATCH: &str = "/tmp/";

/// Decides about one volume.
pub fn plan(volume: &Volume, world: &dyn World) -> Plan {
    let Some((key, uid)) = volume.facts.claim.as_ref().filter(|(_, uid)| !uid.is_empty()) else {
        // Nobody's, or kept for a claim that has not come.
        return phase(volume, "Available");
    };
    let claim = world.get(CLAIMS, key).filter(|claim| claim.meta.uid == *uid).map(Claim::read);
    let Some(claim) = claim else { return released(volume) };
    let named = &claim.facts.volume;
    if named.is_empty() {
        return if claim.facts.block == volume.facts.block { Plan::quiet() } else { mismatch(volume, &claim) };
    }
    if **named == *volume.entry.key.name {
        return phase(volume, "Bound");
    }
    if annotated(&volume.object, PROVISIONED_BY) && policy(volume) == "Delete" {
        // Made for a claim that got another one.
        return released(volume);
    }
    let why = format!("volume {}: claim {key} has {named}", volume.entry.key.name);
    Plan { actions: vec![unbind(volume)], why, ..Plan::quiet() }
}

fn phase(volume: &Volume, phase: &str) -> Plan {
    let why = format!("volume {}: {phase}", volume.entry.key.name);
    Plan { actions: volume_phase(volume, phase, "").into_iter().collect(), why, ..Plan::quiet() }
}

/// The claim will never get the volume that is kept for it.
fn mismatch(volume: &Volume, claim: &Claim) -> Plan {
    let (volume, claim) = (&volume.entry, &claim.entry);
    let of_volume =
        format!("Cannot bind PersistentVolume to requested PersistentVolumeClaim {:?} due to incompatible volumeMode.", claim.key.name);
    let of_claim =
        format!("Cannot bind PersistentVolume {:?} to requested PersistentVolumeClaim due to incompatible volumeMode.", volume.key.name);
    let actions =
        vec![about_volume(volume, "Warning", "VolumeMismatch", of_volume), about_claim(claim, "Warning", "VolumeMismatch", of_claim)];
    Plan { actions, ..Plan::quiet() }
}

fn policy(volume: &Volume) -> &str {
    volume.object["spec"]["persistentVolumeReclaimPolicy"].as_str().unwrap_or_default()
}

/// The claim is gone: first that is said, then the volume is dealt with by its policy. Failures stay visible.
fn released(volume: &Volume) -> Plan {
    match volume.object["status"]["phase"].as_str() {
        Some("Failed") => Plan::quiet(),
        Some("Released") => reclaim(volume),
        _ => phase(volume, "Released"),
    }
}

fn reclaim(volume: &Volume) -> Plan {
    let (reason, message) = match policy(volume) {
        "Retain" => return Plan::quiet(),
        "Delete" => match deleter(volume) {
            Ok(()) => return Plan::quiet(),
            Err(why) => ("VolumeFailedDelete", why),
        },
        "Recycle" => ("VolumeFailedRecycle", "No recycler plugin found for the volume!".into()),
        _ => ("VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy".into()),
    };
    let mut actions: Vec<Action> = volume_phase(volume, "Failed", &message).into_iter().collect();
    let why = format!("volume {}: {message}", volume.entry.key.name);
    actions.push(about_volume(&volume.entry, "Warning", reason, message));
    Plan { actions, why, ..Plan::quiet() }
}

/// `Ok` when the driver that made the volume removes it. Nothing of a node's files is ever removed from here.
fn deleter(volume: &Volume) -> Result<(), String> {
    let by = volume.object["metadata"]["annotations"][PROVISIONED_BY].as_str().unwrap_or_default();
    if !by.is_empty() && !by.starts_with("kubernetes.io/") {
        return Ok(());
    }
    match volume.object["spec"]["hostPath"]["path"].as_str() {
        Some(path) if !path.starts_with(SCRATCH) => {
            Err(format!("host_path deleter only supports {SCRATCH}.+ but received provided {path}"))
        }
        _ => Err(format!("error getting deleter volume plugin for volume {:?}: no deletable volume plugin matched", volume.entry.key.name)),
    }
}
