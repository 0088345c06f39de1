//! Deployments with their replica sets.
use super::*;
use crate::actors::controllers::deployment::Deployments;
use crate::actors::controllers::replication::{Flavour, Replication};
use crate::actors::controllers::testing::{Bench, key, mk_pod, mk_rs};

const SHELF: &str = "deployments.apps";

fn deployment(replicas: i64, strategy: Value) -> Value {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v0"}]}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, "strategy": strategy,
            "revisionHistoryLimit": 2, "progressDeadlineSeconds": 600}})
}

/// What a user or the cluster does next.
#[derive(Clone, Debug)]
enum Step {
    Image(u8),
    Scale(i64),
    Pause(bool),
    Pod(Mishap),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u8..4).prop_map(Step::Image),
        1 => (0i64..9).prop_map(Step::Scale),
        1 => any::<bool>().prop_map(Step::Pause),
        8 => mishap().prop_map(Step::Pod),
    ]
}

struct Stage<'a> {
    model: &'a Model,
    deployments: Bench<'a>,
    sets: Bench<'a>,
}

impl Stage<'_> {
    fn sets(&mut self, check: &mut dyn FnMut(&Model)) {
        self.sets.converge_checked(&mut Replication { flavour: Flavour::ReplicaSet }, 0, check);
    }

    /// What the replica sets say is true before the deployment reads it; then both, until neither has anything to do.
    fn settle(&mut self, check: &mut dyn FnMut(&Model)) {
        for _ in 0..100 {
            self.sets(check);
            if self.deployments.converge_checked(&mut Deployments, 0, check) == 0 {
                return;
            }
        }
        panic!("does not settle");
    }

    fn finish(&mut self, check: &mut dyn FnMut(&Model)) {
        for _ in 0..300 {
            self.settle(check);
            if !tend(self.model, 0, |_| "n".into()) {
                return;
            }
        }
        panic!("does not end");
    }
}

proptest! {
    #![proptest_config(crate::actors::properties::property(48))]

    #[test]
    fn rolling_deployments_keep_their_limits_and_get_there(
        replicas in 1i64..8, surge in 0i64..4, unavailable in 0i64..4, strays in 0usize..4, stray_set in 0i64..4,
        script in prop::collection::vec(step(), 1..40),
    ) {
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        let model = Model::default();
        for i in 0..strays { model.put("pods", mk_pod(&format!("stray-{i}"), json!({"app": "web"}))); }
        if stray_set > 0 { model.put("replicasets.apps", mk_rs("stray", stray_set, "web")); }
        model.put(SHELF, deployment(replicas, json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})));
        let (deployments, sets) = (Bench::new(&model, &mut Deployments), Bench::new(&model, &mut Replication { flavour: Flavour::ReplicaSet }));
        let mut stage = Stage { model: &model, deployments, sets };
        stage.finish(&mut |_| ());
        let (mut wanted, mut last) = (replicas, "v0".to_string());
        for step in script {
            // As upstream, what goes when it is scaled down is shared among the sets by their size, whoever of them is ready.
            let shrinks = matches!(step, Step::Scale(n) if n < wanted);
            match step {
                Step::Image(n) => { last = format!("v{n}"); model.edit(SHELF, &key("web"), image(&last)); }
                Step::Scale(n) => { wanted = n; model.edit(SHELF, &key("web"), json!({"spec": {"replicas": n}})); }
                Step::Pause(paused) => { model.edit(SHELF, &key("web"), json!({"spec": {"paused": paused}})); }
                Step::Pod(mishap) => happen(&model, mishap, 0, |_| "n".into()),
            }
            // As upstream, what is asked for counts: a new set may act on it a moment before an old one does.
            let tally = |model: &Model| {
                let sets = model.list("replicasets.apps", None);
                let asked: i64 = sets.iter().map(|s| s.parse()["spec"]["replicas"].as_i64().unwrap()).sum();
                (asked, count(&owned(model), works))
            };
            let (all, ready) = tally(&model);
            let (most, least) = (all.max(wanted + surge), if shrinks { 0 } else { ready.min(wanted - unavailable) });
            stage.settle(&mut |model| {
                let (all, ready) = tally(model);
                assert!(all <= most, "{all} pods, at most {most} are allowed");
                assert!(ready >= least, "{ready} pods are ready, at least {least} are promised");
            });
            let active = count(&owned(&model), Pod::active);
            prop_assert!(active <= most, "{active} pods, at most {most} are allowed");
        }
        model.edit(SHELF, &key("web"), json!({"spec": {"paused": null}}));
        stage.finish(&mut |_| ());
        let pods = owned(&model);
        prop_assert_eq!(count(&pods, Pod::active), wanted);
        prop_assert!(pods.iter().filter(|p| p.active()).all(|p| wanted == 0 || image_of(p) == last || p.entry.key.name.starts_with("stray")));
        let status = model.get(SHELF, &key("web")).unwrap().parse()["status"].clone();
        prop_assert_eq!(status["updatedReplicas"].as_i64().unwrap_or(0), wanted);
        prop_assert_eq!(status["availableReplicas"].as_i64().unwrap_or(0), wanted);
        // The history is bounded: the current set and two old ones.
        prop_assert!(model.list("replicasets.apps", None).len() <= 3);
    }

    #[test]
    fn recreated_deployments_never_mix(replicas in 1i64..6, script in prop::collection::vec(step(), 1..30)) {
        let model = Model::default();
        model.put(SHELF, deployment(replicas, json!({"type": "Recreate"})));
        let (deployments, sets) = (Bench::new(&model, &mut Deployments), Bench::new(&model, &mut Replication { flavour: Flavour::ReplicaSet }));
        let mut stage = Stage { model: &model, deployments, sets };
        stage.finish(&mut |_| ());
        for step in script {
            match step {
                Step::Image(n) => { model.edit(SHELF, &key("web"), image(&format!("v{n}"))); }
                Step::Pod(Mishap::Release(_)) | Step::Scale(_) | Step::Pause(_) => {}
                Step::Pod(mishap) => happen(&model, mishap, 0, |_| "n".into()),
            }
            stage.settle(&mut |model| {
                let pods = owned(model);
                let images: std::collections::BTreeSet<String> = pods.iter().filter(|p| !p.light.phase.finished()).map(image_of).collect();
                assert!(images.len() <= 1, "{images:?} run together");
            });
        }
        stage.finish(&mut |_| ());
        prop_assert_eq!(count(&owned(&model), Pod::active), replicas);
    }
}
