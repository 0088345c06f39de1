//! CronJobs under a clock that jumps and a server that dies between any two writes.
use super::*;
use crate::actors::controllers::cron_job::{CRON_JOBS, CronJobs};
use crate::actors::controllers::feed::Change;
use crate::actors::controllers::index::Index;
use crate::actors::controllers::job::JOBS;
use crate::actors::controllers::plan::Action;
use crate::actors::controllers::runner::{Controller, Key};
use crate::actors::controllers::testing::key;
use crate::actors::controllers::world::View;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// The clock goes on by itself, seconds.
    Pass(i64),
    /// Somebody sets it, forwards or backwards.
    Set(i64),
    /// The controller looks, and carries out so many of its actions before it dies.
    Look(usize),
    End(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0i64..900).prop_map(Step::Pass),
        1 => (-20_000i64..20_000).prop_map(Step::Set),
        5 => (0usize..6).prop_map(Step::Look),
        2 => (0usize..4, any::<bool>()).prop_map(|(at, well)| Step::End(at, well)),
    ]
}

fn cron(policy: &str, limit: u64) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c", "namespace": "default"}, "spec": {
        "schedule": "*/10 * * * *", "concurrencyPolicy": policy, "successfulJobsHistoryLimit": limit, "failedJobsHistoryLimit": limit,
        "jobTemplate": {"spec": {"template": {"spec": {}}}}}})
}

/// One life of the controller: an index read anew, one plan, and its first `most` actions.
fn look(model: &Model, most: usize, now: i64) -> usize {
    let mut controller = CronJobs;
    let mut index = Index::new(controller.parts());
    for kind in [JOBS, CRON_JOBS] {
        for entry in model.list(kind, None) {
            index.apply(&Change { kind: kind.into(), revision: entry.revision, entry, deleted: false });
        }
    }
    let plan = controller.plan(&Key::of(CRON_JOBS, &key("c")), &View { objects: model, index: &index }, at(now), None);
    for action in plan.actions.iter().take(most) {
        let _ = model.apply(action);
    }
    // That nothing is done because of what runs may be told again and again.
    plan.actions.iter().filter(|a| !matches!(a, Action::Event(_))).count()
}

fn ended(job: &Value) -> bool {
    !job["status"]["conditions"].is_null()
}

proptest! {
    #![proptest_config(crate::actors::properties::property(128))]

    #[test]
    fn no_time_is_kept_twice(
        policy in prop::sample::select(vec!["Allow", "Forbid", "Replace"]), limit in 0u64..3, script in prop::collection::vec(step(), 1..60),
    ) {
        let model = Model::default();
        model.put(CRON_JOBS, cron(policy, limit));
        let mut now = 100_000;
        // Which object was made for each time.
        let mut made: BTreeMap<String, String> = BTreeMap::new();
        for step in script {
            match step {
                Step::Pass(seconds) => now += seconds,
                Step::Set(seconds) => now = (now + seconds).max(1),
                Step::Look(most) => { look(&model, most, now); }
                Step::End(at, well) => {
                    let running: Vec<_> = model.list(JOBS, None).into_iter().filter(|j| !ended(&j.parse())).collect();
                    if let Some(job) = running.get(at) {
                        let kind = if well { "Complete" } else { "Failed" };
                        let status = json!({"conditions": [{"type": kind, "status": "True"}], "completionTime": rfc3339(super::at(now))});
                        model.edit(JOBS, &job.key, json!({"status": status}));
                    }
                }
            }
            let jobs = model.list(JOBS, None);
            for job in &jobs {
                let first = made.entry(job.key.name.to_string()).or_insert_with(|| job.meta.uid.to_string());
                prop_assert_eq!(&**first, &*job.meta.uid, "{} was run twice", job.key.name);
            }
            if policy == "Forbid" {
                let running = jobs.iter().filter(|j| j.meta.deleting.is_none() && !ended(&j.parse())).count();
                prop_assert!(running <= 1, "{running} run at once");
            }
        }
        // Left in peace, it comes to rest, and only as much of the past is kept as was asked for.
        prop_assert!((0..50).any(|_| look(&model, usize::MAX, now) == 0), "does not come to rest");
        let kept = |kind: &str| model.list(JOBS, None).iter().filter(|j| j.parse()["status"]["conditions"][0]["type"] == kind).count();
        prop_assert!(kept("Complete") <= usize::try_from(limit).unwrap() && kept("Failed") <= usize::try_from(limit).unwrap());
    }
}
