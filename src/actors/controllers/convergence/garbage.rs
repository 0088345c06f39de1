//! Owner graphs: nothing goes while an owner lives, everything goes when none does, and in the foreground dependents go first.
use super::*;
use crate::actors::controllers::garbage::Garbage;
use crate::actors::controllers::testing::{Bench, key, mk_owned};
use crate::storage::entry::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;

const OBJECTS: usize = 10;
const SHELF: &str = "configmaps";

type Graph = BTreeMap<String, Arc<Entry>>;

fn objects(model: &Model) -> Graph {
    model.list(SHELF, None).into_iter().map(|e| (e.key.name.to_string(), e)).collect()
}

fn in_foreground(entry: &Entry) -> bool {
    entry.meta.deleting.is_some() && entry.meta.finalizers.iter().any(|f| &**f == "foregroundDeletion")
}

/// Judges one plan of the collector's: what was there before it, and what is after.
fn judge(before: &Graph, after: &Graph) {
    for (name, gone) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        if in_foreground(gone) {
            let blocks = |e: &&Arc<Entry>| e.meta.owners.iter().any(|o| o.uid == gone.meta.uid && o.block_owner_deletion);
            let held = after.values().find(blocks).map(|e| e.key.name.clone());
            assert!(held.is_none(), "{name} went before {held:?}");
        }
    }
    let fresh = |name: &String| before.get(name).is_some_and(|e| e.meta.deleting.is_none());
    for name in before.keys().filter(|name| fresh(name) && after.get(*name).is_none_or(|e| e.meta.deleting.is_some())) {
        let doomed = &before[name];
        assert!(!doomed.meta.owners.is_empty(), "{name} has no owner to go with");
        for owner in &doomed.meta.owners {
            let keeps = before.values().any(|e| e.meta.uid == owner.uid && !in_foreground(e));
            assert!(!keeps, "{name} went although {} lives", owner.name);
        }
    }
}

fn policy(number: u8) -> Propagation {
    [Propagation::Background, Propagation::Foreground, Propagation::Orphan][usize::from(number % 3)]
}

proptest! {
    #![proptest_config(crate::actors::properties::property(64))]

    #[test]
    fn owners_keep_what_is_theirs(
        edges in prop::collection::vec((0usize..OBJECTS, 0usize..OBJECTS, any::<bool>()), 0..24),
        script in prop::collection::vec((0usize..OBJECTS, 0u8..3, 0usize..4, any::<bool>()), 1..7),
    ) {
        let (model, mut controller) = (Model::default(), Garbage::default());
        let mut bench = Bench::new(&model, &mut controller);
        let mut made: Vec<Arc<Entry>> = Vec::new();
        for i in 0..OBJECTS {
            let own: Vec<&(usize, usize, bool)> = edges.iter().filter(|(from, to, _)| *to == i && *from < i).collect();
            let owners: Vec<&Arc<Entry>> = own.iter().filter_map(|(from, _, _)| made.get(*from)).collect();
            let mut object = mk_owned("ConfigMap", &format!("c{i}"), &owners);
            for (at, (_, _, block)) in own.iter().enumerate() {
                object["metadata"]["ownerReferences"][at]["blockOwnerDeletion"] = (*block).into();
            }
            made.push(model.put(SHELF, object));
        }
        bench.converge(&mut controller, 0);
        prop_assert_eq!(objects(&model).len(), OBJECTS, "everybody's owners are there");
        for (which, how, plans, restart) in script {
            let key = key(&format!("c{which}"));
            if model.get(SHELF, &key).is_some() {
                model.delete_now(SHELF, &key, policy(how));
            }
            // A few writes, and then it may be as if the server were killed.
            let mut last = objects(&model);
            let mut check = |model: &Model| {
                let now = objects(model);
                judge(&last, &now);
                last = now;
            };
            bench.left = plans;
            bench.converge_checked(&mut controller, 0, &mut check);
            if restart {
                controller = Garbage::default();
            }
            bench = Bench::new(&model, &mut controller);
        }
        let mut last = objects(&model);
        let mut check = |model: &Model| {
            let now = objects(model);
            judge(&last, &now);
            last = now;
        };
        bench.converge_checked(&mut controller, 0, &mut check);
        let left = objects(&model);
        for (name, object) in &left {
            prop_assert!(object.meta.deleting.is_none(), "{} is stuck", name);
            for owner in &object.meta.owners {
                prop_assert!(left.values().any(|o| o.meta.uid == owner.uid), "{} outlived {}", name, owner.name);
            }
        }
    }
}
