//! The policy is whole, and reconciling adds without taking away.
use super::policy::parse;
use super::reconcile::improved;
use super::*;
use crate::actors::kinds;

#[test]
fn every_line_says_something_and_every_object_is_valid() {
    let (policy, wrong) = parse(include_str!("policy.txt"));
    assert!(wrong.is_empty(), "{wrong:?}");
    let kinds = kinds::all();
    let mut names = std::collections::BTreeSet::new();
    for wanted in objects(&policy) {
        let kind = kinds.iter().find(|k| k.resource.plural == wanted.plural).expect("a kind");
        let checked = kind.check(wanted.object.to_string().as_bytes()).expect("decodes");
        assert!(checked.findings().is_empty(), "{:?}", checked.findings());
        let errors = kind.validate(&checked.value);
        assert!(errors.is_empty(), "{errors:?}");
        assert!(names.insert((wanted.plural, wanted.namespace, checked.value["metadata"]["name"].clone().to_string())), "twice");
        // Storing it changes nothing, so that the next start finds nothing to do.
        let mut stored = checked.value.clone();
        kind.default(&mut stored);
        assert_eq!(improved(&stored, &wanted.object), None);
    }
    assert!(role_rules("system:node").len() > 20);
}

#[test]
fn what_others_added_stays() {
    let wanted = json!({
        "metadata": { "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" } },
        "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] }], "subjects": [{ "kind": "Group", "name": "g" }],
    });
    let held = json!({
        "metadata": { "labels": { "own": "label" } },
        "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"] }],
    });
    let better = improved(&held, &wanted).expect("something lacks");
    assert_eq!(better["metadata"]["labels"], json!({ "own": "label", "kubernetes.io/bootstrapping": "rbac-defaults" }));
    assert_eq!(better["rules"][0], held["rules"][0]);
    assert_eq!(better["rules"][1], json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }));
    assert_eq!(better["subjects"], wanted["subjects"]);
    assert_eq!(improved(&better, &wanted), None);
}
