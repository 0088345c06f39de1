//! What a pod's state is when its containers are older than the actor.
use super::state::{Current, Finished, PodState, Record};
use crate::runtime::api::{Container, ContainerPhase, Exit};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fills the records from the runtime's containers (sorted by attempt) and the object's last status. Ends that arrived
/// in the meantime are in `early`.
pub fn adopt(state: &mut PodState, found: &[Container], early: &mut BTreeMap<String, Exit>) {
    let object = state.object.clone();
    for (index, record) in state.records.iter_mut().enumerate() {
        let known = status_of(&object.raw, &record.name);
        let mut attempts = found.iter().filter(|c| c.spec.name == record.name).rev();
        let Some(latest) = attempts.next() else {
            // It ran once, and nothing is left of it: the next attempt counts on.
            if known["containerID"].is_string() {
                record.attempt = count(&known).saturating_add(1);
            }
            continue;
        };
        record.attempt = latest.spec.attempt;
        record.crashes = latest.spec.attempt.min(6);
        record.previous = attempts.next().and_then(finished);
        let own = object.container(index);
        record.image = own.and_then(|c| c.image.clone()).unwrap_or_default();
        record.image_id = known["imageID"].as_str().filter(|id| !id.is_empty()).unwrap_or(&latest.spec.image_id).into();
        match (&latest.phase, early.remove(&latest.spec.id)) {
            (ContainerPhase::Running { started_ms, .. }, None) => {
                record.current = Current::Running { id: latest.spec.id.clone(), started_ms: *started_ms };
                record.ended.send_replace(false);
                restore_probes(
                    record,
                    &known,
                    own.is_some_and(|c| c.startup_probe.is_some()),
                    own.is_some_and(|c| c.readiness_probe.is_some()),
                );
            }
            (_, Some(exit)) => {
                record.current = Current::Exited(Finished { id: latest.spec.id.clone(), exit, start_failed: false });
            }
            (ContainerPhase::Exited(exit), None) => {
                let exit = exit.clone();
                record.current = Current::Exited(Finished { id: latest.spec.id.clone(), exit, start_failed: false });
            }
        }
    }
}

fn restore_probes(record: &mut Record, known: &Value, startup: bool, readiness: bool) {
    record.started = !startup || known["started"] == true;
    record.ready = record.started && (!readiness || known["ready"] == true);
}

fn finished(container: &Container) -> Option<Finished> {
    match &container.phase {
        ContainerPhase::Exited(exit) => Some(Finished { id: container.spec.id.clone(), exit: exit.clone(), start_failed: false }),
        ContainerPhase::Running { .. } => None,
    }
}

fn status_of(object: &Value, name: &str) -> Value {
    let lists = ["containerStatuses", "initContainerStatuses"].into_iter().filter_map(|l| object["status"][l].as_array());
    lists.flatten().find(|s| s["name"] == name).cloned().unwrap_or_default()
}

fn count(status: &Value) -> u32 {
    status["restartCount"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}
