//! One look at one autoscaler: what is gathered on the way, and the plan that it becomes.
use super::SHELF;
use super::behavior::Told;
use crate::actors::controllers::difference::{set_condition, status_patch};
use crate::actors::controllers::plan::{Action, EventNote, ObjectRef, Plan};
use crate::protocol::time::rfc3339;
use crate::storage::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};

/// `source.component` of its events.
const COMPONENT: &str = "horizontal-pod-autoscaler";

/// See the module.
pub struct Pass<'a> {
    entry: &'a Entry,
    /// The status as it is stored.
    old: Value,
    pub status: Value,
    pub notes: Vec<Action>,
    time: String,
}

impl<'a> Pass<'a> {
    pub fn new(entry: &'a Entry, object: &Value, now: Timestamp) -> Self {
        let old = object["status"].clone();
        let status = if old.is_object() { old.clone() } else { json!({}) };
        Pass { entry, old, status, notes: Vec::new(), time: rfc3339(now) }
    }

    pub fn able(&mut self, is: bool, (reason, message): (&str, &str)) {
        self.condition("AbleToScale", is, reason, message);
    }

    pub fn active(&mut self, is: bool, (reason, message): (&str, &str)) {
        self.condition("ScalingActive", is, reason, message);
    }

    pub fn limited(&mut self, is: bool, (reason, message): Told) {
        self.condition("ScalingLimited", is, reason, message);
    }

    fn condition(&mut self, type_: &str, is: bool, reason: &str, message: &str) {
        let truth = if is { "True" } else { "False" };
        let condition = json!({ "type": type_, "status": truth, "reason": reason, "message": message });
        set_condition(&mut self.status, condition, &self.time);
    }

    pub fn warn(&mut self, reason: &'static str, message: impl Into<String>) {
        self.note("Warning", reason, message.into());
    }

    pub fn tell(&mut self, reason: &'static str, message: impl Into<String>) {
        self.note("Normal", reason, message.into());
    }

    fn note(&mut self, kind: &'static str, reason: &'static str, message: String) {
        let regarding = ObjectRef::to("autoscaling/v2", "HorizontalPodAutoscaler", self.entry);
        self.notes.push(Action::Event(EventNote { regarding, kind, reason, message, component: COMPONENT }));
    }

    /// The numbers of the status. `desired`: `None` for what it was. `metrics`: `None` when nothing was measured.
    pub fn count(&mut self, current: i64, desired: Option<i64>, metrics: Option<Vec<Value>>) {
        self.status["currentReplicas"] = current.into();
        let held = self.old["desiredReplicas"].as_i64().unwrap_or_default();
        self.status["desiredReplicas"] = desired.unwrap_or(held).into();
        self.status["currentMetrics"] = metrics.filter(|m| !m.is_empty()).map_or(Value::Null, Value::from);
    }

    /// The target was scaled now, or at a time that was told before and is not stored yet.
    pub fn scaled_at(&mut self, time: Option<&str>) {
        if let Some(time) = time.filter(|t| self.status["lastScaleTime"].as_str().is_none_or(|held| held < *t)) {
            self.status["lastScaleTime"] = time.into();
        }
    }

    /// The time of this look as conditions have it.
    pub fn time(&self) -> &str {
        &self.time
    }

    /// Writes down what has changed, then tells.
    pub fn finish(mut self) -> Plan {
        if self.entry.meta.generation > 0 {
            self.status["observedGeneration"] = self.entry.meta.generation.into();
        }
        let write = status_patch(SHELF, self.entry, &self.old, &self.status);
        Plan { actions: write.into_iter().chain(self.notes).collect(), ..Plan::default() }
    }
}
