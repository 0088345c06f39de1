//! StatefulSets: the order of their pods.
use super::*;
use crate::actors::controllers::stateful_set::StatefulSets;
use crate::actors::controllers::testing::{Bench, key, mk_pod};
use std::collections::BTreeMap;

const SHELF: &str = "statefulsets.apps";

fn set(replicas: i64, start: i64, ordered: bool, most: i64) -> Value {
    let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "v0"}]}});
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "db"}}, "template": template, "serviceName": "db",
            "podManagementPolicy": if ordered { "OrderedReady" } else { "Parallel" }, "revisionHistoryLimit": 2, "ordinals": {"start": start},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": most}}}})
}

#[derive(Clone, Debug)]
enum Step {
    Image(u8),
    Scale(i64),
    Start(i64),
    Partition(i64),
    Pod(Mishap),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u8..3).prop_map(Step::Image),
        1 => (0i64..6).prop_map(Step::Scale),
        1 => (0i64..3).prop_map(Step::Start),
        1 => (0i64..3).prop_map(Step::Partition),
        8 => mishap().prop_map(Step::Pod),
    ]
}

/// By number: uid, and whether the pod works, is on its way out.
type Line = BTreeMap<i64, (String, bool, bool)>;

fn line(model: &Model) -> Line {
    let number = |pod: &Pod| pod.entry.key.name.strip_prefix("db-").and_then(|n| n.parse().ok());
    let of = |pod: &Pod| (pod.entry.meta.uid.to_string(), works(pod), pod.entry.meta.deleting.is_some());
    pods(model).iter().filter_map(|pod| Some((number(pod)?, of(pod)))).collect()
}

/// What one plan of an ordered set may have done to its line.
fn in_order(before: &Line, after: &Line, range: &std::ops::Range<i64>) {
    let made: Vec<i64> =
        after.iter().filter(|(n, (uid, _, _))| before.get(n).is_none_or(|(old, _, _)| old != uid)).map(|(n, _)| *n).collect();
    let doomed: Vec<i64> =
        after.iter().filter(|(n, (_, _, dying))| *dying && before.get(n).is_some_and(|(_, _, was)| !was)).map(|(n, _)| *n).collect();
    assert!(made.len() <= 1, "{made:?} were made at once");
    for number in made {
        assert!(range.contains(&number), "{number} was made outside of {range:?}");
        let gap = range.clone().take_while(|n| *n < number).find(|n| after.get(n).is_none_or(|(_, works, _)| !works));
        assert_eq!(gap, None, "{number} was made before its predecessor works");
    }
    for number in doomed.into_iter().filter(|n| !range.contains(n)) {
        let above = after.keys().find(|n| !range.contains(n) && **n > number);
        assert_eq!(above, None, "{number} goes before a higher number is gone");
    }
}

fn finish(model: &Model, bench: &mut Bench<'_>) {
    for _ in 0..300 {
        bench.converge(&mut StatefulSets, 0);
        if !tend(model, 0, |_| "n".into()) {
            return;
        }
    }
    panic!("does not end");
}

proptest! {
    #![proptest_config(crate::actors::properties::property(64))]

    #[test]
    fn stateful_sets_keep_their_order_and_get_there(
        replicas in 0i64..5, ordered in any::<bool>(), most in 1i64..3, strays in prop::collection::vec(0i64..8, 0..3),
        script in prop::collection::vec(step(), 1..40),
    ) {
        let model = Model::default();
        // Pods of the right name that nobody owns are adopted, with whatever number.
        for n in strays { model.put("pods", mk_pod(&format!("db-{n}"), json!({"app": "db"}))); }
        model.put(SHELF, set(replicas, 0, ordered, most));
        let mut bench = Bench::new(&model, &mut StatefulSets);
        let (mut wanted, mut start, mut last) = (replicas, 0, "v0".to_string());
        for step in script {
            match step {
                Step::Image(n) => { last = format!("v{n}"); model.edit(SHELF, &key("db"), image(&last)); }
                Step::Scale(n) => { wanted = n; model.edit(SHELF, &key("db"), json!({"spec": {"replicas": n}})); }
                Step::Start(n) => { start = n; model.edit(SHELF, &key("db"), json!({"spec": {"ordinals": {"start": n}}})); }
                Step::Partition(n) => {
                    model.edit(SHELF, &key("db"), json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": n}}}}));
                }
                // A pod that is let go keeps its name: nobody can have its number until somebody removes it.
                Step::Pod(Mishap::Release(_)) => {}
                Step::Pod(mishap) => happen(&model, mishap, 0, |_| "n".into()),
            }
            let range = start..start + wanted;
            let working = |line: &Line| i64::try_from(range.clone().filter(|n| line.get(n).is_some_and(|(_, works, _)| *works)).count()).unwrap();
            let mut before = line(&model);
            let least = working(&before).min(wanted - most);
            bench.converge_checked(&mut StatefulSets, 0, &mut |model| {
                let after = line(model);
                assert!(working(&after) >= least, "{} work of {wanted}, {least} are promised", working(&after));
                if ordered {
                    in_order(&before, &after, &range);
                }
                before = after;
            });
        }
        model.edit(SHELF, &key("db"), json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}));
        finish(&model, &mut bench);
        let numbers: Vec<i64> = line(&model).keys().copied().collect();
        prop_assert_eq!(numbers, (start..start + wanted).collect::<Vec<_>>());
        prop_assert!(owned(&model).iter().all(|p| image_of(p) == last));
        prop_assert!(model.list("controllerrevisions.apps", None).len() <= 4);
    }
}
