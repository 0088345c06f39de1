//! A Deployment's replica set, as a rollout sees and changes it.
use crate::protocol::validation::same;
use crate::storage::entry::Entry;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub const HASH: &str = "pod-template-hash";
pub const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// The most characters of the revision history annotation.
const HISTORY_LIMIT: usize = 2000;
/// Annotations that mean the Deployment alone.
const OWN: [&str; 6] =
    ["kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAX, "deprecated.deployment.rollback.to"];

/// See the module.
pub struct Set {
    /// `None` for one that this plan makes.
    pub entry: Option<Arc<Entry>>,
    pub object: Value,
    /// What `spec.replicas` shall be.
    pub replicas: i64,
    /// Annotations that change.
    annotations: Map<String, Value>,
    /// A new `spec.minReadySeconds`.
    min_ready: Option<i64>,
}

impl Set {
    pub fn of(entry: Arc<Entry>) -> Set {
        let object = entry.parse();
        let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
        Set { entry: Some(entry), object, replicas, annotations: Map::new(), min_ready: None }
    }

    /// One that is being made.
    pub fn made(object: Value) -> Set {
        let replicas = object["spec"]["replicas"].as_i64().unwrap_or_default();
        Set { entry: None, object, replicas, annotations: Map::new(), min_ready: None }
    }

    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Creation in seconds, then the name: upstream's order of age.
    pub fn age(&self) -> (i64, &str) {
        (self.entry.as_ref().map_or(i64::MAX, |e| e.meta.created), self.name())
    }

    pub fn status(&self, field: &str) -> i64 {
        self.object["status"][field].as_i64().unwrap_or_default()
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).unwrap_or(&self.object["metadata"]["annotations"][name]).as_str()
    }

    pub fn revision(&self) -> i64 {
        self.annotation(REVISION).and_then(|r| r.parse().ok()).unwrap_or_default()
    }

    /// What its Deployment's size was when it was last sized, if it was.
    pub fn desired(&self) -> Option<i64> {
        self.annotation(DESIRED)?.parse().ok()
    }

    /// The Deployment's largest size then.
    pub fn largest(&self) -> Option<i64> {
        self.annotation(MAX)?.parse().ok()
    }

    /// Whether its pods are made of this template; the hash label does not count.
    pub fn has_template(&self, template: &Value) -> bool {
        same(&without_hash(&self.object["spec"]["template"]), &without_hash(template))
    }

    /// Nothing of it is left and its controller has seen so.
    pub fn spent(&self) -> bool {
        let Some(entry) = &self.entry else { return false };
        self.replicas == 0 && self.status("replicas") == 0 && self.status("observedGeneration") >= entry.meta.generation
    }

    fn annotate(&mut self, name: &str, value: String) {
        if self.annotation(name) != Some(&value) {
            self.annotations.insert(name.into(), value.into());
        }
    }

    /// Records what the Deployment's size is.
    pub fn note_size(&mut self, desired: i64, largest: i64) {
        self.annotate(DESIRED, desired.to_string());
        self.annotate(MAX, largest.to_string());
    }

    /// Takes over the Deployment's annotations, and this revision if it is later than its own.
    pub fn follow(&mut self, deployment: &Value, revision: i64) {
        let given = deployment["metadata"]["annotations"].as_object().into_iter().flatten();
        for (name, value) in given.filter(|(name, _)| !OWN.contains(&name.as_str())) {
            self.annotate(name, value.as_str().unwrap_or_default().to_string());
        }
        let before = self.annotation(REVISION).map(str::to_string);
        if self.revision() >= revision {
            return;
        }
        self.annotate(REVISION, revision.to_string());
        if let Some(before) = before.filter(|b| !b.is_empty()) {
            let history = self.annotation(HISTORY).unwrap_or_default();
            let mut past: Vec<&str> = history.split(',').filter(|p| !p.is_empty()).collect();
            past.push(&before);
            while past.len() > 1 && past.iter().map(|p| p.len() + 1).sum::<usize>() > HISTORY_LIMIT {
                past.remove(0);
            }
            self.annotate(HISTORY, past.join(","));
        }
    }

    pub fn want_min_ready(&mut self, seconds: i64) {
        if self.object["spec"]["minReadySeconds"].as_i64().unwrap_or_default() != seconds {
            self.min_ready = Some(seconds);
        }
    }

    /// What changes about one that exists.
    pub fn patch(&self) -> Option<Value> {
        let mut spec = Map::new();
        if self.object["spec"]["replicas"].as_i64() != Some(self.replicas) {
            spec.insert("replicas".into(), self.replicas.into());
        }
        spec.extend(self.min_ready.map(|seconds| ("minReadySeconds".to_string(), seconds.into())));
        let mut patch = Map::new();
        if !spec.is_empty() {
            patch.insert("spec".into(), spec.into());
        }
        if !self.annotations.is_empty() {
            patch.insert("metadata".into(), json!({ "annotations": self.annotations }));
        }
        (!patch.is_empty()).then_some(patch.into())
    }

    /// The object of one that is being made, annotations included.
    pub fn creation(&self) -> Value {
        let mut object = self.object.clone();
        object["metadata"]["annotations"] = self.annotations.clone().into();
        object
    }
}

/// A template without the hash label.
pub fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    template
}
