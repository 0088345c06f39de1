//! What decisions come to: binds, conditions, events, pods that are asked to make room.
use super::Assumed;
use crate::actors::controllers::feed::{Source, Writer};
use crate::actors::controllers::plan::{Deletion, EventNote, ObjectRef, Patch, Propagation};
use crate::actors::scheduler::cluster::devices;
use crate::actors::scheduler::framework::{Write, Written};
use crate::actors::scheduler::metrics::METRICS;
use crate::actors::scheduler::pod::PodInfo;
use crate::actors::scheduler::preemption::Victims;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::time::{now, rfc3339};
use futures_util::future::{join, join_all};
use futures_util::stream::{StreamExt, unfold};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Events that may wait to be recorded; beyond that they are dropped, and counted.
const EVENTS: usize = 16 * 1024;
/// Events that are written at once.
const RECORDING: usize = 64;
/// How often a status is written anew when somebody else was faster.
const TRIES: usize = 5;

/// No node will do.
pub const UNSCHEDULABLE: &str = "Unschedulable";
/// Something went wrong on the way to a node; the pod is tried again.
pub const ERROR: &str = "SchedulerError";

/// What is to be told about a refusal.
pub struct Telling {
    pub pod: Arc<PodInfo>,
    /// [`UNSCHEDULABLE`] or [`ERROR`].
    pub reason: &'static str,
    pub message: String,
    /// `status.nominatedNodeName`, when it changes.
    pub nomination: Option<Option<Arc<str>>>,
    pub victims: Option<Victims>,
    /// Pods that lose the room made for them.
    pub outranked: Vec<Arc<PodInfo>>,
    pub component: &'static str,
}

/// Starts the task that records events; it ends when the sender is dropped.
pub fn recorder(writer: Arc<dyn Writer>) -> mpsc::Sender<EventNote> {
    let (sender, receiver) = mpsc::channel(EVENTS);
    let notes = unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    actix_rt::spawn(notes.for_each_concurrent(RECORDING, move |note: EventNote| {
        let writer = writer.clone();
        async move {
            if let Err(error) = writer.event(&note).await {
                tracing::debug!(reason = note.reason, %error, "an event was not recorded");
            }
        }
    }));
    sender
}

/// Leaves an event to be recorded.
pub fn record(events: &mpsc::Sender<EventNote>, note: EventNote) {
    if events.try_send(note).is_err() {
        METRICS.event_dropped();
    }
}

/// An event about a pod.
pub fn note(pod: &PodInfo, kind: &'static str, reason: &'static str, message: String, component: &'static str) -> EventNote {
    EventNote { regarding: reference(&pod.key, &pod.uid), kind, reason, message, component }
}

fn reference(key: &ObjectKey, uid: &Arc<str>) -> ObjectRef {
    let ObjectKey { namespace, name } = key.clone();
    ObjectRef { api_version: "v1".into(), kind: "Pod".into(), namespace, name, uid: uid.clone() }
}

/// Binds pods, all at once.
pub async fn bind(writer: &dyn Writer, pods: Vec<Assumed>) -> Vec<(Assumed, Result<(), ApiError>)> {
    let each = pods.into_iter().map(|assumed| async move {
        let result = writer.bind(&assumed.pod.key, &assumed.pod.uid, &assumed.node).await.map(drop);
        (assumed, result)
    });
    join_all(each).await
}

/// Writes what a pod's volumes and devices need, and on the pod where it is about to go: who makes nodes should not make one for it.
/// `Err`: what failed, as upstream tells it.
pub async fn prepare(writer: &dyn Writer, source: &dyn Source, assumed: &Assumed, writes: &[Write]) -> Result<Vec<Written>, String> {
    let Assumed { pod, node, .. } = assumed;
    let expected = async {
        if pod.nominated.as_ref() != Some(node) {
            write_status(writer, source, &pod.key, &pod.uid, |_| Some(json!({"nominatedNodeName": &**node}))).await;
        }
    };
    join(expected, write_all(writer, writes)).await.1
}

async fn write_all(writer: &dyn Writer, writes: &[Write]) -> Result<Vec<Written>, String> {
    let mut written = Vec::new();
    for write in writes {
        let patch = Patch {
            kind: write.shelf.into(),
            key: write.key.clone(),
            uid: None,
            subresource: write.subresource,
            patch: write.patch.clone(),
            expect_revision: (write.revision > 0).then_some(write.revision),
        };
        let plugin = if write.shelf == devices::CLAIMS { "DynamicResources" } else { "VolumeBinding" };
        let entry = writer.patch(&patch).await.map_err(|error| format!("running PreBind plugin \"{plugin}\": {error}"))?;
        written.push(Written { shelf: write.shelf, key: write.key.clone(), revision: entry.revision });
    }
    Ok(written)
}

/// Sets the pod's condition and nomination, and asks others to make room. False: not all of that was done.
pub async fn tell(writer: &dyn Writer, source: &dyn Source, events: Option<&mpsc::Sender<EventNote>>, telling: &Telling) -> bool {
    let Telling { pod, reason, message, nomination, victims, outranked, component } = telling;
    for other in outranked {
        write_status(writer, source, &other.key, &other.uid, |_| Some(json!({"nominatedNodeName": null}))).await;
    }
    let mut done = true;
    if let Some(victims) = victims {
        let each = victims.pods.iter().map(|victim| evict(writer, source, events, pod, victim, &victims.node, component));
        done = join_all(each).await.into_iter().all(|gone| gone);
    }
    let told = write_status(writer, source, &pod.key, &pod.uid, |object| {
        // Who has a node meanwhile is not told that it has none.
        object["spec"]["nodeName"].as_str().unwrap_or_default().is_empty().then_some(())?;
        let mut status = json!({"conditions": with_condition(object, "PodScheduled", "False", reason, message)});
        if let Some(node) = nomination {
            status["nominatedNodeName"] = node.as_deref().map_or(Value::Null, Value::from);
        }
        Some(status)
    });
    told.await;
    done
}

/// Marks a pod as disrupted and deletes it, with its own grace.
async fn evict(
    writer: &dyn Writer,
    source: &dyn Source,
    events: Option<&mpsc::Sender<EventNote>>,
    pod: &PodInfo,
    (key, uid): &(ObjectKey, Arc<str>),
    node: &str,
    component: &'static str,
) -> bool {
    let marked = write_status(writer, source, key, uid, |object| {
        let deleting = !object["metadata"]["deletionTimestamp"].is_null();
        let why = format!("{}: preempting to accommodate a higher priority pod", pod.scheduler);
        (!deleting).then(|| json!({"conditions": disrupted(object, &why)}))
    });
    if !marked.await {
        return false;
    }
    let deletion = Deletion {
        kind: "pods".into(),
        key: key.clone(),
        uid: uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: None,
    };
    match writer.delete(&deletion).await {
        Ok(_) => {
            let message = format!("Preempted by pod {} on node {node}", pod.uid);
            if let Some(events) = events {
                record(events, EventNote { regarding: reference(key, uid), kind: "Normal", reason: "Preempted", message, component });
            }
            true
        }
        Err(error) if error.code == 404 => true,
        Err(error) => {
            tracing::debug!(pod = %key, %error, "a pod that should make room was not deleted");
            false
        }
    }
}

/// Changes a pod's status by what `change` makes of its newest state; true when that is so now, or the pod is gone.
async fn write_status(
    writer: &dyn Writer,
    source: &dyn Source,
    key: &ObjectKey,
    uid: &Arc<str>,
    change: impl Fn(&Value) -> Option<Value>,
) -> bool {
    for _ in 0..TRIES {
        let Some(entry) = source.get("pods", key).filter(|e| e.meta.uid == *uid) else { return true };
        let Some(status) = change(&entry.parse()) else { return true };
        let patch = Patch {
            kind: "pods".into(),
            key: key.clone(),
            uid: Some(uid.clone()),
            subresource: Some("status"),
            patch: json!({"status": status}),
            expect_revision: Some(entry.revision),
        };
        match writer.patch(&patch).await {
            Ok(_) => return true,
            Err(error) if error.code == 404 => return true,
            Err(error) if error.code == 409 => {}
            Err(error) => {
                tracing::debug!(pod = %key, %error, "a pod's status was not written");
                return false;
            }
        }
    }
    false
}

/// The conditions with `DisruptionTarget=True`.
fn disrupted(object: &Value, message: &str) -> Value {
    with_condition(object, "DisruptionTarget", "True", "PreemptionByScheduler", message)
}

fn with_condition(object: &Value, sort: &str, status: &str, reason: &str, message: &str) -> Value {
    let mut conditions: Vec<Value> = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let same = |c: &&Value| c["type"] == sort && c["status"] == status;
    let since = conditions.iter().find(same).map_or_else(|| rfc3339(now()).into(), |c| c["lastTransitionTime"].clone());
    conditions.retain(|c| c["type"] != sort);
    conditions.push(json!({
        "type": sort, "status": status, "reason": reason, "message": message, "lastProbeTime": null, "lastTransitionTime": since,
        "observedGeneration": object["metadata"]["generation"],
    }));
    conditions.into()
}
