//! Pods that were marked with `DisruptionTarget` and then not deleted: after a while the mark is taken back.
use crate::actors::controllers::plan::{Action, Patch, Plan};
use crate::protocol::light::Light;
use crate::protocol::time::{parse_seconds, rfc3339};
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const MARK: &str = "DisruptionTarget";
/// How long a mark stands, seconds, as upstream.
const TIMEOUT: i64 = 120;
/// A node's own marks may stand for as long as it takes to end the pod.
const BY_NODE: &str = "TerminationByKubelet";

fn lives(pod: &Entry) -> bool {
    pod.meta.deleting.is_none() && matches!(&pod.light, Light::Pod(light) if !light.phase.finished())
}

/// Whether a pod that stays may have the mark. Asked for every change of a pod, so it is not parsed.
pub(super) fn marked(pod: &Entry) -> bool {
    lives(pod) && std::str::from_utf8(&pod.body).is_ok_and(|text| text.contains(MARK))
}

/// Takes the mark back when it has stood for too long.
pub(super) fn plan(pod: &Entry, now: Timestamp) -> Plan {
    let mut plan = Plan::quiet();
    if !lives(pod) {
        return plan;
    }
    let mut conditions = pod.parse()["status"]["conditions"].take();
    let mark = conditions.as_array_mut().into_iter().flatten().find(|c| c["type"] == MARK);
    let Some(mark) = mark.filter(|c| c["status"] == "True" && c["reason"] != BY_NODE) else { return plan };
    let since = mark["lastTransitionTime"].as_str().and_then(parse_seconds).unwrap_or(now.as_second());
    // A clock that was set back does not keep the mark for longer.
    let left = (since + TIMEOUT - now.as_second()).min(TIMEOUT);
    if let Ok(left @ 1..) = u64::try_from(left) {
        plan.requeue(Duration::from_secs(left));
        return plan;
    }
    let reason = mark["reason"].as_str().unwrap_or_default().to_string();
    *mark = json!({"type": MARK, "status": "False", "lastProbeTime": Value::Null, "lastTransitionTime": rfc3339(now)});
    plan.because(format_args!("pod {}", pod.key), format_args!("was to go ({reason}) and was not deleted in {TIMEOUT} s"));
    plan.actions.push(Action::Patch(Patch {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: Some(pod.meta.uid.clone()),
        subresource: Some("status"),
        patch: json!({"status": {"conditions": conditions}}),
        expect_revision: Some(pod.revision),
    }));
    plan
}
