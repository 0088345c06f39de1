//! Whatever crashes between any two writes, every pod is counted once.
use super::tests::mk_job;
use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::index::Index;
use crate::actors::controllers::testing::{Model, at, key};
use crate::actors::controllers::world::View;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The controller looks, and carries out so many of the actions before it dies.
    Run(usize),
    /// The pod at this place (of those that live) ends.
    End(usize, bool),
    /// It is deleted.
    Delete(usize),
    /// The nodes clean up.
    Reap,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..6).prop_map(Step::Run),
        3 => (0usize..8, any::<bool>()).prop_map(|(at, well)| Step::End(at, well)),
        1 => (0usize..8).prop_map(Step::Delete),
        1 => Just(Step::Reap),
    ]
}

/// One life of the controller: an index read anew, one plan, and its first `most` actions.
fn run(model: &Model, most: usize, now: i64) -> usize {
    let mut controller = Jobs;
    let mut index = Index::new(controller.parts());
    for kind in ["pods", JOBS] {
        for entry in model.list(kind, None) {
            index.apply(&Change { kind: kind.into(), revision: entry.revision, entry, deleted: false });
        }
    }
    let world = View { objects: model, index: &index };
    let plan = controller.plan(&Key::of(JOBS, &key("j")), &world, at(now), None);
    for action in plan.actions.iter().take(most) {
        let _ = model.apply(action);
    }
    plan.actions.len()
}

fn count(model: &Model, field: &str) -> i64 {
    model.get(JOBS, &key("j")).unwrap().parse()["status"][field].as_i64().unwrap_or_default()
}

proptest! {
    #![proptest_config(crate::actors::properties::property(96))]
    #[test]
    fn never_counted_twice(indexed in any::<bool>(), steps in proptest::collection::vec(step(), 1..60)) {
        let model = Model::default();
        let mode = if indexed { "Indexed" } else { "NonIndexed" };
        model.put(JOBS, mk_job(json!({"completions": 6, "parallelism": 3, "backoffLimit": 1000, "completionMode": mode})));
        // What became of each pod that was ever seen to end: true when it succeeded.
        let mut ends: BTreeMap<String, bool> = BTreeMap::new();
        let mut won: BTreeMap<String, String> = BTreeMap::new();
        let check = |ends: &BTreeMap<String, bool>, won: &BTreeMap<String, String>| -> Result<(), TestCaseError> {
            let (good, bad) = (ends.values().filter(|well| **well).count() as i64, ends.values().filter(|well| !**well).count() as i64);
            let distinct = won.values().collect::<std::collections::BTreeSet<_>>().len() as i64;
            let most = if indexed { distinct } else { good };
            prop_assert!(count(&model, "succeeded") <= most, "counted too many successes");
            prop_assert!(count(&model, "failed") <= bad, "counted too many failures");
            Ok(())
        };
        for (turn, step) in steps.into_iter().enumerate() {
            // No pause outlasts a turn.
            let now = turn as i64 * 1000;
            let live: Vec<Arc<Entry>> = model.list("pods", None).into_iter().filter(|p| Pod::of(p.clone()).unwrap().active()).collect();
            match step {
                Step::Run(most) => {
                    run(&model, most, now);
                }
                Step::End(at, well) => if let Some(pod) = live.get(at) {
                    model.edit("pods", &pod.key, json!({"status": {"phase": if well { "Succeeded" } else { "Failed" }}}));
                    ends.insert(pod.meta.uid.to_string(), well);
                    if well {
                        won.insert(pod.meta.uid.to_string(), pod.meta.label(facts::INDEX).unwrap_or_default().into());
                    }
                },
                Step::Delete(at) => if let Some(pod) = live.get(at) {
                    model.delete_now("pods", &pod.key, Propagation::Background);
                    ends.insert(pod.meta.uid.to_string(), false);
                },
                Step::Reap => model.reap_pods(),
            }
            check(&ends, &won)?;
        }
        // Left in peace, it counts every one of them.
        for turn in 100..160 {
            if run(&model, usize::MAX, turn * 1000) == 0 {
                break;
            }
            model.reap_pods();
        }
        check(&ends, &won)?;
        let status = model.get(JOBS, &key("j")).unwrap().parse()["status"].clone();
        prop_assert_eq!(&status["uncountedTerminatedPods"], &json!({}));
        let over = outcome::finished(&status);
        if !over && !indexed {
            let good = ends.values().filter(|well| **well).count() as i64;
            prop_assert_eq!(count(&model, "succeeded"), good);
        }
        prop_assert_eq!(count(&model, "failed"), ends.values().filter(|well| !**well).count() as i64);
    }
}
