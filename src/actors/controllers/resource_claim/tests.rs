//! Claims from templates, and what becomes of them.
use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::testing::{Bench, Model, key, mk_pod};
use serde_json::json;

fn pod(name: &str) -> Value {
    let mut pod = mk_pod(name, json!({}));
    pod["spec"]["resourceClaims"] =
        json!([{"name": "gpu", "resourceClaimTemplateName": "big"}, {"name": "shared", "resourceClaimName": "one"}]);
    pod
}

fn template() -> Value {
    json!({"metadata": {"name": "big", "namespace": "default"},
        "spec": {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"devices": {"requests": [{"name": "r"}]}}}})
}

fn own(model: &Model) -> Vec<Arc<Entry>> {
    model.list(CLAIMS, None).into_iter().filter(|claim| claim.meta.controller().is_some()).collect()
}

#[test]
fn a_pod_gets_a_claim_from_its_template() {
    let (model, mut controller) = (Model::default(), ResourceClaims::default());
    let mut bench = Bench::new(&model, &mut controller);
    model.put("pods", pod("p"));
    bench.converge(&mut controller, 0);
    let told = model.events();
    let words = "PodResourceClaim gpu: resource claim template \"big\": resourceclaimtemplate.resource.k8s.io \"big\" not found";
    assert_eq!((told[0].reason, &*told[0].message), ("FailedResourceClaimCreation", words));
    model.put(TEMPLATES, template());
    bench.converge(&mut controller, 0);
    let [claim] = &own(&model)[..] else { panic!("one claim") };
    assert!(claim.key.name.starts_with("p-gpu-"), "{}", claim.key);
    let object = claim.parse();
    assert_eq!((claim.meta.label("a"), &object["metadata"]["annotations"]["c"]), (Some("b"), &"d".into()));
    assert_eq!(
        (&object["metadata"]["annotations"][FOR_ENTRY], &object["spec"]["devices"]["requests"][0]["name"]),
        (&"gpu".into(), &"r".into())
    );
    let said = model.get("pods", &key("p")).expect("the pod").parse()["status"]["resourceClaimStatuses"].clone();
    assert_eq!(said, json!([{"name": "gpu", "resourceClaimName": &*claim.key.name}]));
    // One that vanishes is made anew, and found again when the pod's status was lost.
    model.delete_now(CLAIMS, &claim.key, crate::actors::controllers::plan::Propagation::Background);
    bench.converge(&mut controller, 0);
    model.edit("pods", &key("p"), json!({"status": {"resourceClaimStatuses": null}}));
    bench.converge(&mut controller, 0);
    assert_eq!(own(&model).len(), 1);
    assert_eq!(bench.converge(&mut controller, 0), 0);
}

#[test]
fn what_nobody_uses_is_given_back() {
    let (model, mut controller) = (Model::default(), ResourceClaims::default());
    let mut bench = Bench::new(&model, &mut controller);
    model.put(TEMPLATES, template());
    for name in ["p", "q"] {
        let entry = model.put("pods", pod(name));
        model.edit("pods", &entry.key, json!({"metadata": {"uid": name}}));
    }
    bench.converge(&mut controller, 0);
    let user = |name: &str| json!({"resource": "pods", "name": name, "uid": name});
    let allocated = |users: Value| json!({"allocation": {"devices": {}}, "reservedFor": users});
    let meta = json!({"name": "one", "namespace": "default", "finalizers": [FINALIZER]});
    model.put(CLAIMS, json!({"metadata": meta, "status": allocated(json!([user("p"), user("q"), user("gone")]))}));
    bench.converge(&mut controller, 0);
    let shared = || model.get(CLAIMS, &key("one")).expect("the claim").parse();
    assert_eq!(shared()["status"]["reservedFor"], json!([user("p"), user("q")]));
    // A pod that was given its node by hand uses its own claim once that is allocated.
    let ours = own(&model).into_iter().find(|c| c.key.name.starts_with("p-")).expect("the claim of p");
    model.edit("pods", &key("p"), json!({"spec": {"nodeName": "n"}}));
    model.edit(CLAIMS, &ours.key, json!({"metadata": {"finalizers": [FINALIZER]}, "status": {"allocation": {"devices": {}}}}));
    bench.converge(&mut controller, 0);
    assert_eq!(model.get(CLAIMS, &ours.key).expect("the claim").parse()["status"]["reservedFor"], json!([user("p")]));
    model.edit("pods", &key("p"), json!({"status": {"phase": "Succeeded"}}));
    bench.converge(&mut controller, 0);
    assert!(model.get(CLAIMS, &ours.key).is_none(), "the claim of a pod that has ended goes");
    assert_eq!(shared()["status"]["reservedFor"], json!([user("q")]));
    assert!(!shared()["status"]["allocation"].is_null());
    model.edit("pods", &key("q"), json!({"status": {"phase": "Failed"}}));
    bench.converge(&mut controller, 0);
    assert_eq!((&shared()["status"]["allocation"], &shared()["metadata"]["finalizers"]), (&Value::Null, &json!([])));
}

#[test]
fn a_finalizer_of_the_scheduler_stays() {
    let (model, mut controller) = (Model::default(), ResourceClaims::default());
    model.put(CLAIMS, json!({"metadata": {"name": "c", "namespace": "default", "finalizers": [FINALIZER]}}));
    let mut bench = Bench::new(&model, &mut controller);
    assert_eq!(bench.converge(&mut controller, 0), 1);
    assert_eq!(model.list(CLAIMS, None)[0].meta.finalizers.len(), 1);
    model.delete_now(CLAIMS, &key("c"), crate::actors::controllers::plan::Propagation::Background);
    bench.converge(&mut controller, 0);
    assert!(model.list(CLAIMS, None).is_empty());
}
