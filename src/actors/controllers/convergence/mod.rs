//! From whatever state: random clusters, controllers carried out step by step, pods that change at random in between.
//!
//! Each test checks after every single plan what must never be broken, and at the end that what was asked for is there and nothing
//! moves any more.
mod cron_jobs;
mod daemon_sets;
mod deployments;
mod disruptions;
mod endpoints;
mod garbage;
mod nodes;
mod quotas;
mod replicas;
mod stateful_sets;
mod volumes;

use super::feed::Objects;
use super::plan::Propagation;
use super::replication::Pod;
use super::testing::{Model, at};
use crate::protocol::time::rfc3339;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What happens to one pod; the number chooses it among those to which it can happen.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Ready(usize),
    Unready(usize),
    Fail(usize),
    /// Somebody deletes it.
    Delete(usize),
    /// The nodes remove what has ended.
    Reap,
    /// Somebody else's hand: its label is gone.
    Release(usize),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        6 => (0usize..8).prop_map(Mishap::Ready),
        2 => (0usize..8).prop_map(Mishap::Unready),
        1 => (0usize..8).prop_map(Mishap::Fail),
        1 => (0usize..8).prop_map(Mishap::Delete),
        3 => Just(Mishap::Reap),
        1 => (0usize..8).prop_map(Mishap::Release),
    ]
}

fn pods(model: &Model) -> Vec<Pod> {
    model.list("pods", None).into_iter().filter_map(Pod::of).collect()
}

fn owned(model: &Model) -> Vec<Pod> {
    pods(model).into_iter().filter(|pod| pod.entry.meta.controller().is_some()).collect()
}

/// Alive, ready, and not let go by somebody's hand.
fn works(pod: &Pod) -> bool {
    pod.active() && pod.light.ready && pod.entry.meta.label("app") != Some("stray")
}

fn condition(truth: &str, now: i64) -> Value {
    json!([{"type": "Ready", "status": truth, "lastTransitionTime": rfc3339(at(now))}])
}

/// Makes a pod run, ready, on a node.
fn make_ready(model: &Model, pod: &Pod, node: &str, now: i64) {
    let status = json!({"phase": "Running", "conditions": condition("True", now)});
    model.edit("pods", &pod.entry.key, json!({"spec": {"nodeName": node}, "status": status}));
}

fn happen(model: &Model, mishap: Mishap, now: i64, node: impl Fn(&Pod) -> String) {
    let pick = |at: usize, test: &dyn Fn(&Pod) -> bool| {
        let candidates: Vec<Pod> = owned(model).into_iter().filter(|pod| pod.active() && test(pod)).collect();
        let count = candidates.len();
        candidates.into_iter().nth(at.checked_rem(count).unwrap_or_default())
    };
    match mishap {
        Mishap::Ready(at) => drop(pick(at, &|p| !p.light.ready).map(|p| make_ready(model, &p, &node(&p), now))),
        Mishap::Unready(at) => {
            let status = json!({"status": {"conditions": condition("False", now)}});
            drop(pick(at, &|p| p.light.ready).map(|p| model.edit("pods", &p.entry.key, status)));
        }
        Mishap::Fail(at) => {
            let status = json!({"status": {"phase": "Failed", "conditions": condition("False", now)}});
            drop(pick(at, &|_| true).map(|p| model.edit("pods", &p.entry.key, status)));
        }
        Mishap::Delete(at) => drop(pick(at, &|_| true).map(|p| model.delete_now("pods", &p.entry.key, Propagation::Background))),
        Mishap::Reap => model.reap_pods(),
        Mishap::Release(at) => {
            let labels = json!({"metadata": {"labels": {"app": "stray"}}});
            drop(pick(at, &|_| true).map(|p| model.edit("pods", &p.entry.key, labels)));
        }
    }
}

/// Everything that a well cluster does by itself; false when there was nothing to do.
fn tend(model: &Model, now: i64, node: impl Fn(&Pod) -> String) -> bool {
    let ended = pods(model).iter().any(|p| p.entry.meta.deleting.is_some());
    model.reap_pods();
    let waiting: Vec<Pod> = owned(model).into_iter().filter(|p| p.active() && !p.light.ready).collect();
    waiting.iter().for_each(|pod| make_ready(model, pod, &node(pod), now));
    ended || !waiting.is_empty()
}

fn image(name: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}})
}

fn image_of(pod: &Pod) -> String {
    pod.entry.parse()["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_string()
}

fn count(pods: &[Pod], test: impl Fn(&Pod) -> bool) -> i64 {
    i64::try_from(pods.iter().filter(|pod| test(pod)).count()).unwrap()
}
