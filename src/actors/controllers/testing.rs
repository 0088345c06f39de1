//! A model of the API for tests: maps for shelves, the deletion rules, a change log; and builders of objects.
use super::feed::{Change, Feed, KindInfo, News, Objects, Source, Writer};
use super::index::Index;
use super::plan::{Action, Creation, Deletion, EventNote, Patch, Propagation, Report};
use super::runner::{Controller, Key};
use super::world::View;
use crate::protocol::light::{Light, node_light, pod_light, workload_light};
use crate::protocol::meta::{Meta, ObjectKey, OwnerRef};
use crate::protocol::status::ApiError;
use crate::protocol::time::{parse_seconds, rfc3339};
use crate::storage::entry::Entry;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

pub const SHELVES: [(&str, &str, &str, &str, bool); 23] = [
    ("pods", "", "v1", "Pod", true),
    ("replicasets.apps", "apps", "v1", "ReplicaSet", true),
    ("replicationcontrollers", "", "v1", "ReplicationController", true),
    ("jobs.batch", "batch", "v1", "Job", true),
    ("cronjobs.batch", "batch", "v1", "CronJob", true),
    ("services", "", "v1", "Service", true),
    ("endpoints", "", "v1", "Endpoints", true),
    ("endpointslices.discovery.k8s.io", "discovery.k8s.io", "v1", "EndpointSlice", true),
    ("poddisruptionbudgets.policy", "policy", "v1", "PodDisruptionBudget", true),
    ("deployments.apps", "apps", "v1", "Deployment", true),
    ("statefulsets.apps", "apps", "v1", "StatefulSet", true),
    ("daemonsets.apps", "apps", "v1", "DaemonSet", true),
    ("controllerrevisions.apps", "apps", "v1", "ControllerRevision", true),
    ("persistentvolumeclaims", "", "v1", "PersistentVolumeClaim", true),
    ("horizontalpodautoscalers.autoscaling", "autoscaling", "v2", "HorizontalPodAutoscaler", true),
    ("persistentvolumes", "", "v1", "PersistentVolume", false),
    ("storageclasses.storage.k8s.io", "storage.k8s.io", "v1", "StorageClass", false),
    ("resourceclaims.resource.k8s.io", "resource.k8s.io", "v1", "ResourceClaim", true),
    ("resourceclaimtemplates.resource.k8s.io", "resource.k8s.io", "v1", "ResourceClaimTemplate", true),
    ("configmaps", "", "v1", "ConfigMap", true),
    ("serviceaccounts", "", "v1", "ServiceAccount", true),
    ("namespaces", "", "v1", "Namespace", false),
    ("nodes", "", "v1", "Node", false),
];

#[derive(Default)]
pub struct Model {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shelves: BTreeMap<String, BTreeMap<ObjectKey, Arc<Entry>>>,
    log: Vec<Change>,
    events: Vec<EventNote>,
    revision: u64,
    feeds: Vec<(String, mpsc::UnboundedSender<News>)>,
    /// Creations refused before they succeed.
    refuse: usize,
    /// The name whose creations are refused.
    unwelcome: String,
    /// Binds refused before they succeed.
    refuse_binds: usize,
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn entry_of(kind: &str, object: &Value, revision: u64) -> Arc<Entry> {
    let m = &object["metadata"];
    let s = |v: &Value| -> Arc<str> { v.as_str().unwrap_or_default().into() };
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let owner = |o: &Value| OwnerRef {
        api_version: s(&o["apiVersion"]),
        kind: s(&o["kind"]),
        name: s(&o["name"]),
        uid: s(&o["uid"]),
        controller: o["controller"] == true,
        block_owner_deletion: o["blockOwnerDeletion"] == true,
    };
    let meta = Meta {
        uid: s(&m["uid"]),
        labels: m["labels"].as_object().into_iter().flatten().map(|(k, v)| (k.as_str().into(), s(v))).collect(),
        owners: list(&m["ownerReferences"]).iter().map(owner).collect(),
        finalizers: list(&m["finalizers"]).iter().map(s).collect(),
        created: m["creationTimestamp"].as_str().and_then(parse_seconds).unwrap_or_default(),
        deleting: m["deletionTimestamp"].as_str().and_then(parse_seconds),
        generation: m["generation"].as_i64().unwrap_or_default(),
    };
    let light = match kind {
        "pods" => Light::Pod(Box::new(pod_light(object))),
        "nodes" => Light::Node(Box::new(node_light(object))),
        "replicasets.apps"
        | "replicationcontrollers"
        | "deployments.apps"
        | "statefulsets.apps"
        | "daemonsets.apps"
        | "jobs.batch"
        | "services" => Light::Workload(Box::new(workload_light(object))),
        _ => Light::None,
    };
    let key = ObjectKey::new(s(&m["namespace"]), s(&m["name"]));
    Arc::new(Entry { key, body: object.to_string().into(), splice: 0, revision, token: revision, meta, light })
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let map = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

impl State {
    fn commit(&mut self, kind: &str, object: Value, deleted: bool) -> Arc<Entry> {
        self.revision += 1;
        let entry = entry_of(kind, &object, self.revision);
        let shelf = self.shelves.entry(kind.into()).or_default();
        if deleted {
            shelf.remove(&entry.key)
        } else {
            shelf.insert(entry.key.clone(), entry.clone())
        };
        let change = Change { kind: kind.into(), entry: entry.clone(), deleted, revision: self.revision };
        self.feeds.retain(|(k, feed)| k != kind || feed.send(News::Changes(vec![change.clone()])).is_ok());
        self.log.push(change);
        entry
    }

    fn find(&self, kind: &str, key: &ObjectKey, uid: Option<&str>) -> Result<Arc<Entry>, ApiError> {
        let found = self.shelves.get(kind).and_then(|s| s.get(key)).cloned().ok_or_else(|| ApiError::not_found("", kind, &key.name))?;
        match uid {
            Some(uid) if !uid.is_empty() && *uid != *found.meta.uid => Err(ApiError::conflict("", kind, &key.name, "uid")),
            _ => Ok(found),
        }
    }

    /// Writes an object, or removes it when it is deleted and nothing holds it any more.
    fn settle(&mut self, kind: &str, object: Value, gone: bool) -> Arc<Entry> {
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty())
            || (kind == "namespaces" && object["spec"]["finalizers"].as_array().is_some_and(|f| !f.is_empty()));
        self.commit(kind, object, gone && !held)
    }
}

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn refuse_creations(&self, count: usize) {
        self.state().refuse = count;
    }

    /// Objects of this name can't be created from now on.
    pub fn refuse_name(&self, name: &str) {
        self.state().unwelcome = name.into();
    }

    pub fn refuse_binds(&self, count: usize) {
        self.state().refuse_binds = count;
    }

    pub fn put(&self, kind: &str, mut object: Value) -> Arc<Entry> {
        let mut state = self.state();
        let number = state.revision + 1;
        let m = object["metadata"].as_object_mut().unwrap();
        if let (None, Some(prefix)) = (m.get("name"), m.get("generateName").and_then(Value::as_str)) {
            let name = format!("{prefix}{number:05}");
            m.insert("name".into(), name.into());
        }
        m.entry("uid").or_insert_with(|| format!("uid-{number}").into());
        m.entry("generation").or_insert_with(|| 1.into());
        m.entry("creationTimestamp").or_insert_with(|| rfc3339(at(0)).into());
        state.commit(kind, object, false)
    }

    pub fn edit(&self, kind: &str, key: &ObjectKey, patch: Value) -> Arc<Entry> {
        self.patched(&Patch { kind: kind.into(), key: key.clone(), uid: None, subresource: None, patch, expect_revision: None }).unwrap()
    }

    fn patched(&self, patch: &Patch) -> Result<Arc<Entry>, ApiError> {
        let mut state = self.state();
        let old = state.find(&patch.kind, &patch.key, patch.uid.as_deref())?;
        if patch.expect_revision.is_some_and(|r| r != old.revision) {
            return Err(ApiError::modified("", &patch.kind, &patch.key.name));
        }
        let mut object: Value = serde_json::from_slice(&old.body).unwrap();
        merge(&mut object, &patch.patch);
        if patch.kind.ends_with(".apps") && patch.patch.get("spec").is_some() {
            object["metadata"]["generation"] = (old.meta.generation + 1).into();
        }
        let gone = old.meta.deleting.is_some() && patch.subresource != Some("status") && &*patch.kind != "pods";
        Ok(state.settle(&patch.kind, object, gone))
    }

    pub fn delete_now(&self, kind: &str, key: &ObjectKey, propagation: Propagation) -> Arc<Entry> {
        let (kind, key) = (kind.into(), key.clone());
        self.deleted(&Deletion { kind, key, uid: "".into(), propagation, grace: None, report: None }).unwrap()
    }

    fn deleted(&self, deletion: &Deletion) -> Result<Arc<Entry>, ApiError> {
        let mut state = self.state();
        let old = state.find(&deletion.kind, &deletion.key, Some(&deletion.uid))?;
        let mut object: Value = serde_json::from_slice(&old.body).unwrap();
        let now = rfc3339(at(0));
        let m = object["metadata"].as_object_mut().unwrap();
        m.entry("deletionTimestamp").or_insert(now.into());
        let finalizer = match deletion.propagation {
            Propagation::Background => None,
            Propagation::Foreground => Some("foregroundDeletion"),
            Propagation::Orphan => Some("orphan"),
        };
        if let Some(finalizer) = finalizer {
            let list = m.entry("finalizers").or_insert(json!([])).as_array_mut().unwrap();
            if !list.iter().any(|f| f == finalizer) {
                list.push(finalizer.into());
            }
        }
        let graceful = &*deletion.kind == "pods" && object["spec"]["nodeName"].is_string() && deletion.grace != Some(0);
        Ok(state.settle(&deletion.kind, object, !graceful))
    }

    fn created(&self, creation: &Creation) -> Result<Arc<Entry>, ApiError> {
        {
            let mut state = self.state();
            if state.refuse > 0 {
                state.refuse -= 1;
                return Err(ApiError::forbidden("", &creation.kind, "", "exceeded quota"));
            }
            if !state.unwelcome.is_empty() && creation.object["metadata"]["name"] == state.unwelcome.as_str() {
                return Err(ApiError::forbidden("", &creation.kind, &state.unwelcome, "exceeded quota"));
            }
        }
        let mut object = creation.object.clone();
        if !creation.namespace.is_empty() {
            object["metadata"]["namespace"] = creation.namespace.to_string().into();
        }
        Ok(self.put(&creation.kind, object))
    }

    pub fn apply(&self, action: &Action) -> Result<(), ApiError> {
        match action {
            Action::Create(c) => self.created(c).map(|entry| self.report(c.report.as_ref(), &entry)),
            Action::CreateAfter(c, needs) => {
                let made = needs.iter().map(|need| self.apply(&Action::Create(need.creation.clone())));
                made.fold(Ok(()), Result::and).and_then(|()| self.apply(&Action::Create(c.clone())))
            }
            Action::Delete(d) => self.deleted(d).map(|entry| self.report(d.report.as_ref(), &entry)),
            Action::Patch(p) => self.patched(p).map(drop),
            Action::Event(note) => {
                self.state().events.push(note.clone());
                Ok(())
            }
        }
    }

    /// The event of something that went well.
    fn report(&self, report: Option<&Report>, entry: &Entry) {
        let Some(Report { regarding, component, success: (reason, text), .. }) = report else { return };
        let name = &*entry.key.name;
        let message = if text.contains("{}") { text.replace("{}", name) } else { format!("{text}{name}") };
        if !reason.is_empty() {
            self.state().events.push(EventNote { regarding: regarding.clone(), kind: "Normal", reason, message, component });
        }
    }

    /// The node's part: pods that end are gone.
    pub fn reap_pods(&self) {
        let mut state = self.state();
        let ended: Vec<Arc<Entry>> =
            state.shelves.get("pods").into_iter().flatten().map(|(_, e)| e.clone()).filter(|e| e.meta.deleting.is_some()).collect();
        for entry in ended.into_iter().filter(|e| e.meta.finalizers.is_empty()) {
            let object = serde_json::from_slice(&entry.body).unwrap();
            state.commit("pods", object, true);
        }
    }

    pub fn events(&self) -> Vec<EventNote> {
        self.state().events.clone()
    }
}

impl Objects for Model {
    fn get(&self, kind: &str, key: &ObjectKey) -> Option<Arc<Entry>> {
        self.state().shelves.get(kind)?.get(key).cloned()
    }

    fn list(&self, kind: &str, namespace: Option<&str>) -> Vec<Arc<Entry>> {
        let state = self.state();
        let all = state.shelves.get(kind).into_iter().flatten().map(|(_, e)| e.clone());
        all.filter(|e| namespace.is_none_or(|n| *n == *e.key.namespace)).collect()
    }

    fn kinds(&self) -> Vec<KindInfo> {
        let info = |(shelf, group, version, kind, namespaced): (&str, &str, &str, &str, bool)| KindInfo {
            shelf: shelf.into(),
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            resource: shelf.split('.').next().unwrap_or_default().into(),
            namespaced,
        };
        SHELVES.into_iter().map(info).collect()
    }

    fn revision(&self) -> u64 {
        self.state().revision
    }
}

struct Line(mpsc::UnboundedReceiver<News>);

#[async_trait]
impl Feed for Line {
    async fn next(&mut self) -> Option<News> {
        self.0.recv().await
    }
}

impl Source for Model {
    fn subscribe(&self, kind: &str) -> Option<Box<dyn Feed>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state().feeds.push((kind.into(), sender));
        Some(Box::new(Line(receiver)))
    }
}

#[async_trait]
impl Writer for Model {
    async fn create(&self, creation: &Creation) -> Result<Arc<Entry>, ApiError> {
        self.created(creation)
    }

    async fn patch(&self, patch: &Patch) -> Result<Arc<Entry>, ApiError> {
        self.patched(patch)
    }

    async fn delete(&self, deletion: &Deletion) -> Result<Arc<Entry>, ApiError> {
        self.deleted(deletion)
    }

    async fn event(&self, note: &EventNote) -> Result<(), ApiError> {
        self.apply(&Action::Event(note.clone()))
    }

    async fn bind(&self, pod: &ObjectKey, uid: &str, node: &str) -> Result<Arc<Entry>, ApiError> {
        let entry = {
            let mut state = self.state();
            if state.refuse_binds > 0 {
                state.refuse_binds -= 1;
                return Err(ApiError::conflict("", "pods", &pod.name, "not now"));
            }
            state.find("pods", pod, Some(uid))?
        };
        let bound = matches!(&entry.light, Light::Pod(light) if !light.node.is_empty());
        if bound {
            return Err(ApiError::conflict("", "pods", &pod.name, "already bound"));
        }
        Ok(self.edit("pods", pod, json!({"spec": {"nodeName": node}})))
    }
}

/// A controller at work on a model, step by step.
pub struct Bench<'a> {
    pub model: &'a Model,
    index: Index,
    cursor: usize,
    /// Writes that are still made; then it is as if the process were killed.
    pub left: usize,
}

impl<'a> Bench<'a> {
    pub fn new(model: &'a Model, controller: &mut dyn Controller) -> Self {
        controller.kinds_changed(model.kinds());
        Bench { model, index: Index::new(controller.parts()), cursor: 0, left: usize::MAX }
    }

    /// Runs plans until nothing is left to do; answers how many had actions.
    pub fn converge(&mut self, controller: &mut dyn Controller, now: i64) -> usize {
        self.converge_checked(controller, now, &mut |_| ())
    }

    /// The same; `check` looks at the model after every plan.
    pub fn converge_checked(&mut self, controller: &mut dyn Controller, now: i64, check: &mut dyn FnMut(&Model)) -> usize {
        let mut queue: VecDeque<Key> = VecDeque::new();
        let mut known: HashSet<Key> = HashSet::new();
        for round in 0.. {
            assert!(round < 20_000, "does not settle");
            let fresh: Vec<Change> = self.model.state().log.iter().skip(self.cursor).cloned().collect();
            self.cursor += fresh.len();
            for change in fresh.iter().filter(|c| controller.watches(&c.kind)) {
                let before = self.index.apply(change);
                let world = View { objects: self.model, index: &self.index };
                let mut keys = Vec::new();
                controller.keys(change, before.as_deref(), &world, &mut keys);
                queue.extend(keys.into_iter().filter(|k| known.insert(k.clone())));
            }
            let Some(key) = queue.pop_front() else { return round };
            known.remove(&key);
            let world = View { objects: self.model, index: &self.index };
            let plan = controller.plan(&key, &world, at(now), None);
            assert!(!plan.why.is_empty() || !decides(&plan.actions), "{} acts without a reason: {:?}", controller.name(), plan.actions);
            let (done, cut) = plan.actions.split_at(self.left.min(plan.actions.len()));
            let failed = done.iter().filter(|a| self.model.apply(a).is_err()).count();
            self.left -= done.len();
            check(self.model);
            if !cut.is_empty() {
                return round;
            }
            if failed > 0 && known.insert(key.clone()) {
                queue.push_back(key);
            }
        }
        0
    }

    /// One plan for one key, nothing applied.
    pub fn plan(&mut self, controller: &mut dyn Controller, key: &Key, now: i64) -> super::plan::Plan {
        controller.plan(key, &View { objects: self.model, index: &self.index }, at(now), None)
    }
}

/// Whether a plan does more than to write a status and to tell of it.
fn decides(actions: &[Action]) -> bool {
    actions.iter().any(|action| match action {
        Action::Create(_) | Action::CreateAfter(..) | Action::Delete(_) => true,
        Action::Patch(patch) => patch.subresource != Some("status"),
        Action::Event(_) => false,
    })
}

pub fn mk_rs(name: &str, replicas: i64, app: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

pub fn mk_pod(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"schedulerName": "default-scheduler", "containers": [{"name": "c", "image": "i"}]}})
}

pub fn mk_node(name: &str, cpu: &str, memory: &str, pods: i64) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": {},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods.to_string()},
            "conditions": [{"type": "Ready", "status": "True"}]}})
}

pub fn mk_owned(kind: &str, name: &str, owners: &[&Arc<Entry>]) -> Value {
    let refs: Vec<Value> = owners
        .iter()
        .map(|o| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": &*o.key.name, "uid": &*o.meta.uid, "blockOwnerDeletion": true}))
        .collect();
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default", "ownerReferences": refs}})
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}
