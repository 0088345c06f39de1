use super::super::feed::Objects;
use super::super::testing::{Bench, Model};
use super::*;
use serde_json::json;

fn settings() -> Settings {
    Settings {
        client_ca: "CA".into(),
        request_header_ca: "CA2".into(),
        request_header_name: "front-proxy-client".into(),
        service_range: "10.96.0.0/16".into(),
        service_address: "10.96.0.1".parse().unwrap(),
        api_addresses: vec!["10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap()],
        api_port: 6443,
    }
}

fn find(shelf: &str, name: &str) -> Desired {
    desired(&settings()).into_iter().find(|d| d.shelf == shelf && &*d.key.name == name).expect("an object that is wanted")
}

#[test]
fn what_is_wanted() {
    let all = desired(&settings());
    let names: HashSet<String> = all.iter().map(|d| format!("{}/{}/{}", d.shelf, d.key.namespace, d.key.name)).collect();
    assert_eq!(names.len(), all.len(), "no object twice");
    assert_eq!(all.len(), 7 + 19);
    let service = find("services", "kubernetes").object;
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
    assert_eq!(service["spec"]["ports"], json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]));
    let endpoints = find("endpoints", "kubernetes").object;
    assert_eq!(endpoints["subsets"][0]["addresses"], json!([{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]));
    assert_eq!(find("priorityclasses.scheduling.k8s.io", "system-node-critical").object["value"], 2_000_001_000);
}

#[test]
fn made_repaired_and_left_alone() {
    let model = Model::default();
    let put = |wanted: &Desired, change: Value| {
        let mut object = wanted.object.clone();
        for (pointer, value) in change.as_object().into_iter().flatten() {
            *object.pointer_mut(pointer).expect("a place in the object") = value.clone();
        }
        model.put(wanted.shelf, object)
    };
    let patch_of = |plan: Plan| match plan.actions.as_slice() {
        [] => None,
        [Action::Patch(patch)] => Some(patch.patch.clone()),
        other => panic!("{other:?}"),
    };
    let service = find("services", "kubernetes");
    assert!(matches!(plan(&service, None).actions.as_slice(), [Action::Create(_)]));
    assert_eq!(patch_of(plan(&service, Some(&put(&service, json!({}))))), None);
    let port = json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 1}]);
    let held = put(&service, json!({"/spec/ports": port, "/metadata/labels": {"mine": "x"}}));
    let wanted = json!({"spec": {"ports": service.object["spec"]["ports"]}, "metadata": {"labels": service.object["metadata"]["labels"]}});
    assert_eq!(patch_of(plan(&service, Some(&held))), Some(wanted));
    let endpoints = find("endpoints", "kubernetes");
    let held = put(&endpoints, json!({"/subsets": []}));
    assert_eq!(patch_of(plan(&endpoints, Some(&held))), Some(json!({"subsets": endpoints.object["subsets"]})));
    // Suggested objects are put back until people say that they are theirs.
    let schema = find("flowschemas.flowcontrol.apiserver.k8s.io", "probes");
    let held = put(&schema, json!({"/spec/matchingPrecedence": 3}));
    assert_eq!(patch_of(plan(&schema, Some(&held))), Some(json!({"spec": {"matchingPrecedence": 2}})));
    let held = put(&schema, json!({"/spec/matchingPrecedence": 3, "/metadata/annotations": {AUTO_UPDATE: "false"}}));
    assert_eq!(patch_of(plan(&schema, Some(&held))), None);
}

#[test]
fn kinds_that_are_not_served_are_passed_over() {
    let model = Model::default();
    let mut controller = Bootstrap::new(&settings());
    model.put("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}));
    let served = |shelf: &str| KindInfo {
        shelf: shelf.into(),
        group: "".into(),
        version: "v1".into(),
        kind: "".into(),
        resource: "".into(),
        namespaced: true,
    };
    let mut driver = Bench::new(&model, &mut controller);
    controller.kinds_changed(vec![served("services"), served("namespaces")]);
    driver.converge(&mut controller, 0);
    assert!(model.get("services", &ObjectKey::new("default", "kubernetes")).is_some());
    assert!(model.list("endpoints", None).is_empty());
}

#[test]
fn flow_schemas_say_when_their_level_is_missing() {
    let model = Model::default();
    let schema = find("flowschemas.flowcontrol.apiserver.k8s.io", "probes");
    let held = model.put(schema.shelf, schema.object.clone());
    let mut controller = FlowSchemas;
    let mut driver = Bench::new(&model, &mut controller);
    let key = Key::of(schema.shelf, &held.key);
    let status = |plan: &Plan| match plan.actions.as_slice() {
        [Action::Patch(patch)] => patch.patch["status"]["conditions"][0]["status"].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(status(&driver.plan(&mut controller, &key, 5)), "True");
    let level = find("prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "exempt");
    model.put(level.shelf, level.object.clone());
    let found = driver.plan(&mut controller, &key, 5);
    assert_eq!(status(&found), "False");
    model.apply(&found.actions[0]).unwrap();
    assert!(driver.plan(&mut controller, &key, 9).actions.is_empty());
}
