use super::super::plan::Action;
use super::super::testing::{Model, at};
use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::index::Index;
use crate::actors::controllers::world::View;
use crate::protocol::meta::ObjectKey;

fn planned(model: &Model, now: i64) -> Plan {
    let index = Index::new(Parts::default());
    let entry = model.get(QUOTAS, &ObjectKey::new("ns", "q")).expect("the quota");
    plan(&entry, &View { objects: model, index: &index }, at(now))
}

#[test]
fn a_new_quota_is_counted_and_a_counted_one_left_alone() {
    let model = Model::default();
    let quota =
        json!({ "metadata": { "name": "q", "namespace": "ns", "uid": "q" }, "spec": { "hard": { "pods": "5", "count/configmaps": "2" } } });
    model.put(QUOTAS, quota.clone());
    for name in ["a", "b"] {
        let pod = json!({ "metadata": { "name": name, "namespace": "ns", "uid": name }, "spec": { "containers": [] } });
        model.put("pods", pod);
    }
    let plan = planned(&model, 1000);
    let [Action::Patch(patch)] = plan.actions.as_slice() else { panic!("{plan:?}") };
    let status = json!({ "hard": { "count/configmaps": "2", "pods": "5" }, "used": { "count/configmaps": "0", "pods": "2" } });
    assert_eq!((&patch.patch, patch.subresource, plan.requeue_after), (&json!({ "status": status }), Some("status"), Some(RESYNC)));
    let mut counted = quota;
    counted["status"] = status;
    counted["status"]["hard"]["old"] = "1".into();
    model.put(QUOTAS, counted.clone());
    let [Action::Patch(patch)] = &planned(&model, 1000).actions[..] else { panic!("the limits have changed") };
    assert!(patch.patch["status"]["hard"]["old"].is_null());
    counted["status"]["hard"].as_object_mut().expect("limits").remove("old");
    model.put(QUOTAS, counted);
    assert!(planned(&model, 1000).actions.is_empty());
}
