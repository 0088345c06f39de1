//! The actor on a model of the API.
use super::fixture::{cpu, pod, ranked};
use crate::actors::base::{Guardian, Mailbox, Registry, RestartPolicy};
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::plan::Propagation;
use crate::actors::controllers::testing::{Model, key, mk_node};
use crate::actors::scheduler::role::{CAPACITY, Rules, Scheduler};
use crate::config::scheduler::Scheduler as Settings;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn start(model: &Arc<Model>, yaml: &str) -> (Guardian, actix_rt::Arbiter) {
    let settings: Settings = serde_yaml::from_str(yaml).unwrap();
    let (rules, shared) = (Arc::new(Rules::new(&settings).unwrap()), model.clone());
    let guardian = Guardian::new(Registry::default(), RestartPolicy::default(), |_, why| panic!("{why}"));
    let arbiter = actix_rt::Arbiter::new();
    let mailbox = Mailbox::new("server/scheduler");
    guardian.start(&arbiter.handle(), &mailbox, CAPACITY, move || Scheduler::new(rules.clone(), shared.clone(), shared.clone()));
    (guardian, arbiter)
}

fn bound(model: &Model, name: &str) -> bool {
    matches!(&model.get("pods", &key(name)).unwrap().light, Light::Pod(l) if !l.node.is_empty())
}

fn condition(model: &Model, name: &str, sort: &str) -> Value {
    let object = model.get("pods", &key(name)).unwrap().parse();
    object["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == sort).cloned().unwrap_or_default()
}

async fn until(what: &str, met: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !met() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_rt::test]
async fn pods_are_bound_refused_and_woken() {
    let model = Arc::new(Model::default());
    model.put("nodes", mk_node("n1", "1", "8Gi", 110));
    model.put("pods", pod("first", json!({}), cpu("600m")));
    let _running = start(&model, "{}");
    until("first is bound", || bound(&model, "first")).await;
    model.put("pods", pod("second", json!({}), cpu("600m")));
    until("second is refused", || condition(&model, "second", "PodScheduled")["reason"] == "Unschedulable").await;
    let said = condition(&model, "second", "PodScheduled")["message"].clone();
    until("an event says the same", || model.events().iter().any(|e| e.reason == "FailedScheduling" && said == e.message.as_str())).await;
    model.put("pods", {
        let mut other = pod("other", json!({}), cpu("1m"));
        other["spec"]["schedulerName"] = "mine".into();
        other
    });
    model.delete_now("pods", &key("first"), Propagation::Background);
    model.reap_pods();
    until("second is bound", || bound(&model, "second")).await;
    until("an event says so", || model.events().iter().any(|e| e.message == "Successfully assigned default/second to n1")).await;
    assert!(!bound(&model, "other"));
}

#[actix_rt::test]
async fn others_make_room() {
    let model = Arc::new(Model::default());
    model.put("nodes", mk_node("n1", "1", "8Gi", 110));
    model.put("pods", pod("low", json!({}), ranked("1", 1)));
    let _running = start(&model, "{podMaxBackoffSeconds: 1}");
    until("low is bound", || bound(&model, "low")).await;
    model.put("pods", pod("vip", json!({}), ranked("1", 9)));
    until("low is asked to go", || model.get("pods", &key("low")).unwrap().meta.deleting.is_some()).await;
    let marked = condition(&model, "low", "DisruptionTarget");
    assert_eq!((marked["reason"].as_str(), marked["status"].as_str()), (Some("PreemptionByScheduler"), Some("True")));
    until("vip is nominated", || model.get("pods", &key("vip")).unwrap().parse()["status"]["nominatedNodeName"] == "n1").await;
    until("low is told why", || model.events().iter().any(|e| e.reason == "Preempted")).await;
    model.reap_pods();
    until("vip is bound", || bound(&model, "vip")).await;
}

#[actix_rt::test]
async fn two_profiles_and_a_gate() {
    let model = Arc::new(Model::default());
    model.put("nodes", mk_node("a", "4", "8Gi", 110));
    model.put("nodes", mk_node("b", "4", "8Gi", 110));
    model.put("pods", pod("there", json!({}), cpu("2")));
    let _running = start(
        &model,
        "profiles: [{schedulerName: default-scheduler}, {schedulerName: packing, plugins: {score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}}, \
         pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}]}]",
    );
    until("there is bound", || bound(&model, "there")).await;
    let mut packed = pod("packed", json!({}), cpu("1"));
    packed["spec"]["schedulerName"] = "packing".into();
    packed["spec"]["schedulingGates"] = json!([{"name": "g"}]);
    model.put("pods", packed);
    model.put("pods", pod("after", json!({}), cpu("1m")));
    until("after is bound", || bound(&model, "after")).await;
    assert!(!bound(&model, "packed"));
    model.edit("pods", &key("packed"), json!({"spec": {"schedulingGates": null}}));
    until("packed is bound", || bound(&model, "packed")).await;
    let node = |name: &str| model.get("pods", &key(name)).unwrap().parse()["spec"]["nodeName"].clone();
    assert_eq!(node("packed"), node("there"));
    until("its own scheduler says so", || model.events().iter().any(|e| e.component == "packing" && e.reason == "Scheduled")).await;
}

/// A claim that waits for its first consumer, a class whose volumes somebody else makes, and a pod that mounts the claim.
fn provisioned(model: &Model, pod_name: &str) {
    model.put(
        "storageclasses.storage.k8s.io",
        json!({"metadata": {"name": "made"}, "provisioner": "x.io/driver", "volumeBindingMode": "WaitForFirstConsumer"}),
    );
    let claim = json!({"storageClassName": "made", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    model.put("persistentvolumeclaims", json!({"metadata": {"name": "data", "namespace": "default"}, "spec": claim}));
    let mut object = pod(pod_name, json!({}), cpu("1m"));
    object["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]);
    model.put("pods", object);
}

fn selected(model: &Model) -> Value {
    let claim = model.get("persistentvolumeclaims", &key("data")).unwrap().parse();
    claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"].clone()
}

fn nominated(model: &Model, name: &str) -> Value {
    model.get("pods", &key(name)).unwrap().parse()["status"]["nominatedNodeName"].clone()
}

#[actix_rt::test]
async fn a_volume_that_cannot_be_made_is_told_and_tried_elsewhere() {
    let model = Arc::new(Model::default());
    model.put("nodes", mk_node("n1", "1", "8Gi", 110));
    provisioned(&model, "p");
    let _running = start(&model, "{podMaxBackoffSeconds: 1}");
    until("a node is chosen", || selected(&model) == "n1").await;
    // Where it will go is said while it waits.
    until("the pod is expected on it", || nominated(&model, "p") == "n1").await;
    model.put("nodes", mk_node("n2", "1", "8Gi", 110));
    model.edit("nodes", &ObjectKey::new("", "n1"), json!({"spec": {"unschedulable": true}}));
    // The provisioner gives up.
    model.edit("persistentvolumeclaims", &key("data"), json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": null}}}));
    let said = "running PreBind plugin \"VolumeBinding\": binding volumes: provisioning failed for PVC \"data\"";
    until("that is told", || model.events().iter().any(|e| e.reason == "FailedScheduling" && e.message == said)).await;
    until("the other node is chosen", || selected(&model) == "n2" && nominated(&model, "p") == "n2").await;
    let condition = condition(&model, "p", "PodScheduled");
    assert_eq!((condition["reason"].as_str(), condition["message"].as_str()), (Some("SchedulerError"), Some(said)));
    assert_eq!(condition["observedGeneration"], 1);
    let volume = json!({"capacity": {"storage": "1Gi"}, "claimRef": {"namespace": "default", "name": "data", "uid": "u"}});
    model.put("persistentvolumes", json!({"metadata": {"name": "pv"}, "spec": volume, "status": {"phase": "Bound"}}));
    let done = json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "pv"}});
    model.edit("persistentvolumeclaims", &key("data"), done);
    until("the pod is bound", || bound(&model, "p")).await;
    assert_eq!(model.get("pods", &key("p")).unwrap().parse()["spec"]["nodeName"], "n2");
}

#[actix_rt::test]
async fn a_claim_that_goes_away_does_not_hold_its_pod() {
    let model = Arc::new(Model::default());
    model.put("nodes", mk_node("n1", "1", "8Gi", 110));
    provisioned(&model, "p");
    let _running = start(&model, "{}");
    until("a node is chosen", || selected(&model) == "n1").await;
    until("the pod is expected on it", || nominated(&model, "p") == "n1").await;
    model.delete_now("persistentvolumeclaims", &key("data"), Propagation::Background);
    until("the pod waits for the claim again", || {
        let said = condition(&model, "p", "PodScheduled");
        said["reason"] == "Unschedulable" && said["message"].as_str().unwrap_or_default().contains("\"data\" not found")
    })
    .await;
    assert_eq!(nominated(&model, "p"), Value::Null);
}

#[actix_rt::test]
async fn a_refused_bind_is_told() {
    let model = Arc::new(Model::default());
    model.refuse_binds(1);
    model.put("nodes", mk_node("n1", "1", "8Gi", 110));
    model.put("pods", pod("p", json!({}), cpu("1m")));
    let _running = start(&model, "{}");
    until("it is told", || condition(&model, "p", "PodScheduled")["reason"] == "SchedulerError").await;
    let said = condition(&model, "p", "PodScheduled")["message"].clone();
    assert!(said.as_str().unwrap().starts_with("running Bind plugin \"DefaultBinder\": "), "{said}");
    until("an event says the same", || model.events().iter().any(|e| e.reason == "FailedScheduling" && said == e.message.as_str())).await;
    until("it is bound after all", || bound(&model, "p")).await;
}
