//! Deployments on the model, with the replica set controller beside them and a test that plays the nodes.
use super::Deployments;
use super::sets::{HASH, REVISION};
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::replication::{Flavour, Replication};
use crate::actors::controllers::runner::Key;
use crate::actors::controllers::testing::*;
use crate::protocol::light::Light;
use crate::protocol::time::rfc3339;
use proptest::prelude::*;
use serde_json::{Value, json};

const SHELF: &str = "deployments.apps";
const SETS: &str = "replicasets.apps";

fn deployment(replicas: i64, image: &str, strategy: Value) -> Value {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default", "annotations": {"note": "x"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, "strategy": strategy,
            "revisionHistoryLimit": 1, "progressDeadlineSeconds": 600}})
}

fn rolling(surge: Value, unavailable: Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

struct Stage<'a> {
    model: &'a Model,
    deployments: Deployments,
    sets: Replication,
    of_deployments: Bench<'a>,
    of_sets: Bench<'a>,
}

impl<'a> Stage<'a> {
    fn new(model: &'a Model) -> Self {
        let (mut deployments, mut sets) = (Deployments, Replication { flavour: Flavour::ReplicaSet });
        let (of_deployments, of_sets) = (Bench::new(model, &mut deployments), Bench::new(model, &mut sets));
        Stage { model, deployments, sets, of_deployments, of_sets }
    }

    /// Both controllers once; `check` looks after every plan.
    fn step(&mut self, now: i64, check: &mut dyn FnMut(&Model)) -> usize {
        let moved = self.of_deployments.converge_checked(&mut self.deployments, now, check);
        moved + self.of_sets.converge_checked(&mut self.sets, now, check)
    }

    fn edit(&self, patch: Value) {
        self.model.edit(SHELF, &key("web"), patch);
    }

    /// Until nothing moves, with every pod made ready.
    fn finish(&mut self, now: i64) {
        for _ in 0..200 {
            self.step(now, &mut |_| ());
            if !make_ready(self.model, usize::MAX, now) && self.step(now, &mut |_| ()) == 0 {
                return;
            }
        }
        panic!("does not settle: {}", self.object());
    }

    fn object(&self) -> Value {
        self.model.get(SHELF, &key("web")).unwrap().parse()
    }

    fn condition(&self, kind: &str) -> (String, String, String) {
        let list = self.object()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = list.into_iter().find(|c| c["type"] == kind).unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_string();
        (text("status"), text("reason"), text("message"))
    }

    fn images(&self) -> Vec<(String, i64)> {
        let sets = self.model.list(SETS, None).into_iter().map(|s| s.parse());
        let mut list: Vec<_> = sets
            .map(|s| {
                (
                    s["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_string(),
                    s["spec"]["replicas"].as_i64().unwrap(),
                )
            })
            .collect();
        list.sort();
        list
    }
}

/// Up to `count` pods become ready, and what ends is gone; false when there was nothing to do.
fn make_ready(model: &Model, count: usize, now: i64) -> bool {
    let ended = model.list("pods", None).iter().any(|p| p.meta.deleting.is_some());
    model.reap_pods();
    let waiting = |e: &std::sync::Arc<crate::storage::entry::Entry>| matches!(&e.light, Light::Pod(p) if !p.ready);
    let pods: Vec<_> = model.list("pods", None).into_iter().filter(waiting).take(count).collect();
    let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(at(now))}]);
    for pod in &pods {
        model.edit("pods", &pod.key, json!({"spec": {"nodeName": "n"}, "status": {"phase": "Running", "conditions": ready}}));
    }
    ended || !pods.is_empty()
}

#[test]
fn a_rollout_its_revisions_and_the_way_back() {
    let model = Model::default();
    let mut stage = Stage::new(&model);
    model.put(SHELF, deployment(4, "v1", rolling(json!("25%"), json!("25%"))));
    stage.step(100, &mut |_| ());
    assert_eq!(stage.condition("Progressing").1, "NewReplicaSetCreated");
    assert_eq!(stage.condition("Available").1, "MinimumReplicasUnavailable");
    stage.finish(110);
    let (done, set) = (stage.object(), model.list(SETS, None)[0].parse());
    let name = set["metadata"]["name"].as_str().unwrap();
    assert_eq!(set["metadata"]["labels"][HASH], name.strip_prefix("web-").unwrap());
    assert_eq!((&set["metadata"]["annotations"]["note"], &set["metadata"]["annotations"][REVISION]), (&json!("x"), &json!("1")));
    assert_eq!(
        stage.condition("Progressing"),
        ("True".into(), "NewReplicaSetAvailable".into(), format!("ReplicaSet \"{name}\" has successfully progressed."))
    );
    assert_eq!(stage.condition("Available").2, "Deployment has minimum availability.");
    let mut status = done["status"].clone();
    status.as_object_mut().unwrap().remove("conditions");
    let wanted = json!({"observedGeneration": 1, "replicas": 4, "updatedReplicas": 4, "readyReplicas": 4, "availableReplicas": 4, "terminatingReplicas": 0});
    assert_eq!(status, wanted);
    assert_eq!(done["metadata"]["annotations"][REVISION], "1");
    assert_eq!(model.events().iter().filter(|e| e.component == "deployment-controller").count(), 1);

    for (image, revision) in [("v2", "2"), ("v1", "3"), ("v3", "4")] {
        stage.edit(json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}));
        stage.finish(200);
        assert_eq!(stage.object()["metadata"]["annotations"][REVISION], revision);
    }
    // One old revision is kept: the one before the last.
    assert_eq!(stage.images(), [("v1".to_string(), 0), ("v3".to_string(), 4)]);
    let old = model.list(SETS, None).into_iter().map(|s| s.parse()).find(|s| s["spec"]["replicas"] == 0).unwrap();
    let notes = &old["metadata"]["annotations"];
    assert_eq!((&notes[REVISION], &notes["deployment.kubernetes.io/revision-history"]), (&json!("3"), &json!("1")));
}

#[test]
fn a_step_of_a_rollout_keeps_to_its_limits() {
    let model = Model::default();
    let mut stage = Stage::new(&model);
    model.put(SHELF, deployment(10, "v1", rolling(json!(3), json!(2))));
    stage.finish(10);
    stage.edit(json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}}));
    stage.step(20, &mut |_| ());
    assert_eq!(stage.images(), [("v1".to_string(), 8), ("v2".to_string(), 5)]);
    // Resized in between, both grow by their shares.
    stage.edit(json!({"spec": {"replicas": 30}}));
    stage.step(20, &mut |_| ());
    assert_eq!(stage.images(), [("v1".to_string(), 20), ("v2".to_string(), 13)]);
    // A third template takes over from both.
    stage.edit(json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v3"}]}}}}));
    stage.finish(30);
    assert_eq!(stage.images().last(), Some(&("v3".to_string(), 30)));
    let scaled = model.events().into_iter().filter(|e| e.reason == "ScalingReplicaSet" && e.message.starts_with("Scaled ")).count();
    assert!(scaled > 4);
}

#[test]
fn pauses_deadlines_and_failures_show() {
    let model = Model::default();
    let mut stage = Stage::new(&model);
    model.put(SHELF, deployment(2, "v1", rolling(json!(1), json!(0))));
    stage.finish(10);
    stage.edit(json!({"spec": {"paused": true, "template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}}));
    stage.step(20, &mut |_| ());
    assert_eq!(stage.condition("Progressing"), ("Unknown".into(), "DeploymentPaused".into(), "Deployment is paused".into()));
    assert_eq!(stage.images(), [("v1".to_string(), 2)]);
    stage.edit(json!({"spec": {"replicas": 3}}));
    stage.finish(25);
    assert_eq!(stage.images(), [("v1".to_string(), 3)]);
    stage.edit(json!({"spec": {"paused": null}}));
    // Once more: what the sets say of their pods is progress, too.
    stage.step(30, &mut |_| ());
    stage.step(30, &mut |_| ());
    assert_eq!(stage.images(), [("v1".to_string(), 3), ("v2".to_string(), 1)]);
    // Nothing becomes ready: the deadline passes.
    let plan = stage.of_deployments.plan(&mut stage.deployments, &Key::of(SHELF, &key("web")), 40);
    let delay = plan.requeue_after.expect("a look at the deadline").as_secs();
    assert!((580..=601).contains(&delay), "{delay}");
    stage.edit(json!({"metadata": {"labels": {"touched": "yes"}}}));
    stage.step(40 + 602, &mut |_| ());
    let (status, reason, message) = stage.condition("Progressing");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "ProgressDeadlineExceeded"));
    assert!(message.ends_with("has timed out progressing."), "{message}");
    stage.finish(700);
    assert_eq!(stage.condition("Progressing").1, "NewReplicaSetAvailable");
}

#[test]
fn recreation_waits_until_old_pods_are_gone() {
    let model = Model::default();
    let mut stage = Stage::new(&model);
    model.put(SHELF, deployment(3, "v1", json!({"type": "Recreate"})));
    stage.finish(10);
    stage.edit(json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}}));
    for _ in 0..3 {
        stage.step(20, &mut |_| ());
    }
    assert_eq!(stage.images(), [("v1".to_string(), 0)]);
    stage.finish(30);
    assert_eq!(stage.images(), [("v1".to_string(), 0), ("v2".to_string(), 3)]);
}

#[test]
fn a_taken_name_is_a_collision_and_a_stray_set_is_adopted() {
    let model = Model::default();
    let mut stage = Stage::new(&model);
    let template = super::sets::without_hash(&deployment(1, "v1", json!({}))["spec"]["template"]);
    let taken = format!("web-{}", crate::actors::controllers::hash::template_hash(&template, 0));
    model.put(SETS, mk_rs(&taken, 0, "another"));
    model.put(SETS, mk_rs("stray", 1, "web"));
    model.put(SHELF, deployment(1, "v1", rolling(json!(1), json!(0))));
    stage.finish(10);
    assert_eq!(stage.object()["status"]["collisionCount"], 1);
    let stray = model.get(SETS, &key("stray")).unwrap();
    assert_eq!(
        (stray.meta.controller().map(|c| c.kind.to_string()), stray.parse()["spec"]["replicas"].as_i64()),
        (Some("Deployment".into()), Some(0))
    );
}

fn pods_of(model: &Model, test: impl Fn(&crate::protocol::light::PodLight) -> bool) -> i64 {
    let pods = model.list("pods", None);
    let count = pods.iter().filter(|p| p.meta.deleting.is_none() && matches!(&p.light, Light::Pod(light) if test(light))).count();
    i64::try_from(count).unwrap()
}

proptest! {
    #![proptest_config(crate::actors::properties::property(24))]

    /// Whatever templates follow one another and however slowly pods get ready: never more pods than surge allows, and, once
    /// it was available, never fewer than the strategy promises.
    #[test]
    fn limits_hold_at_every_step(
        replicas in 1i64..9, surge in 0i64..4, unavailable in 0i64..4,
        script in prop::collection::vec((0usize..4, prop::option::of(0u8..4)), 1..14),
    ) {
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        let model = Model::default();
        let mut stage = Stage::new(&model);
        model.put(SHELF, deployment(replicas, "start", rolling(json!(surge), json!(unavailable))));
        stage.finish(0);
        let mut check = |model: &Model| {
            // As upstream, what is asked for counts: a new set may act on it a moment before an old one does.
            let all: i64 = model.list(SETS, None).iter().map(|s| s.parse()["spec"]["replicas"].as_i64().unwrap()).sum();
            let ready = pods_of(model, |light| light.ready);
            assert!(all <= replicas + surge, "{all} pods of {replicas}+{surge}");
            assert!(ready >= replicas - unavailable.min(replicas), "{ready} ready of {replicas}-{unavailable}");
        };
        for (ready, image) in script {
            if let Some(image) = image {
                stage.edit(json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": format!("v{image}")}]}}}}));
            }
            stage.step(0, &mut check);
            let all = pods_of(&model, |_| true);
            prop_assert!(all <= replicas + surge, "{all} pods of {replicas}+{surge}");
            make_ready(&model, ready, 0);
        }
        stage.finish(0);
        check(&model);
        let object = stage.object();
        prop_assert_eq!(&object["status"]["updatedReplicas"], &json!(replicas));
        prop_assert_eq!(pods_of(&model, |_| true), replicas);
        prop_assert!(model.list(SETS, None).len() <= 2);
    }
}
