//! Replication controllers: whatever happens to their pods, never more than wanted, and in the end exactly as many.
use super::*;
use crate::actors::controllers::replication::{Flavour, Replication};
use crate::actors::controllers::testing::{Bench, key, mk_pod};

const SHELF: &str = "replicationcontrollers";

fn controller(replicas: i64) -> Value {
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"app": "a"}, "template": template}})
}

proptest! {
    #![proptest_config(crate::actors::properties::property(48))]

    #[test]
    fn replication_controllers_converge(
        first in 0i64..8, strays in 0usize..4,
        script in prop::collection::vec((prop::option::of(0i64..8), mishap(), 0usize..4, any::<bool>()), 1..16),
    ) {
        let (model, mut replication) = (Model::default(), Replication { flavour: Flavour::ReplicationController });
        let mut bench = Bench::new(&model, &mut replication);
        for i in 0..strays {
            model.put("pods", mk_pod(&format!("stray-{i}"), json!({"app": "a"})));
        }
        model.put("pods", mk_pod("foreign", json!({"app": "b"})));
        model.put(SHELF, controller(first));
        let mut wanted = first;
        let active = |model: &Model| count(&owned(model), Pod::active);
        for (size, mishap, writes, restart) in script {
            if let Some(size) = size {
                wanted = size;
                model.edit(SHELF, &key("rc"), json!({"spec": {"replicas": size}}));
            }
            let before = active(&model);
            let limit = before.max(wanted).max(before + i64::try_from(strays).unwrap());
            let mut check = |model: &Model| assert!(active(model) <= limit, "{} of {wanted}, {before} before", active(model));
            // A few writes, and then it may be as if the server were killed.
            bench.left = if restart { writes } else { usize::MAX };
            bench.converge_checked(&mut replication, 0, &mut check);
            if restart {
                bench = Bench::new(&model, &mut replication);
            }
            happen(&model, mishap, 0, |_| "n".into());
        }
        for _ in 0..50 {
            bench.converge(&mut replication, 0);
            if !tend(&model, 0, |_| "n".into()) {
                break;
            }
        }
        prop_assert_eq!(active(&model), wanted);
        let status = model.get(SHELF, &key("rc")).unwrap().parse()["status"].clone();
        let told = ["replicas", "readyReplicas", "availableReplicas"].map(|field| status[field].as_i64().unwrap_or_default());
        prop_assert_eq!(told, [wanted; 3]);
        let foreign = model.get("pods", &key("foreign")).unwrap();
        prop_assert!(foreign.meta.owners.is_empty() && foreign.meta.deleting.is_none());
    }
}
