//! The actor on a model of the API.
use super::fixture::{cpu, pod, ranked};
use crate::actors::base::{Guardian, Mailbox, Registry, RestartPolicy};
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::plan::Propagation;
use crate::actors::controllers::testing::{Model, key, mk_node};
use crate::actors::scheduler::role::{CAPACITY, Rules, Scheduler};
use crate::config::scheduler::Scheduler as Settings;
use crate::protocol::light::Light;
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
    let _running = start(&model, "{podInitialBackoffSeconds: 0, podMaxBackoffSeconds: 1}");
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
