use super::*;
use crate::actors::kinds::apiextensions::CLEANUP_FINALIZER;
use crate::actors::kinds::apiextensions::conditions::is_true;
use serde_json::json;

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

fn crd() -> Value {
    json!({
        "metadata": { "name": "as.x.example.com" },
        "spec": {
            "group": "x.example.com", "names": { "plural": "as", "singular": "a", "kind": "A", "listKind": "AList", "shortNames": ["aa"] },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
        },
        "status": { "conditions": [], "acceptedNames": { "plural": "", "kind": "" }, "storedVersions": ["v1"] },
    })
}

#[test]
fn free_names_are_accepted_at_once() {
    let verdict = decide(&crd(), &Names::default(), 0, now());
    assert!(verdict.serve && is_true(&verdict.crd, "NamesAccepted") && is_true(&verdict.crd, "Established"));
    assert_eq!(verdict.crd["status"]["acceptedNames"], crd()["spec"]["names"]);
    let again = decide(&verdict.crd, &Names::default(), 0, now());
    assert!(again.serve && again.status.is_none(), "nothing more to say");
}

#[test]
fn names_in_use_are_not() {
    let mut taken = Names::default();
    taken.take(&json!({ "plural": "bs", "singular": "b", "kind": "B", "listKind": "AList", "shortNames": ["as"] }));
    let verdict = decide(&crd(), &taken, 0, now());
    assert!(!verdict.serve && !is_true(&verdict.crd, "NamesAccepted"));
    let conditions = verdict.crd["status"]["conditions"].as_array().expect("conditions");
    assert_eq!((&conditions[0]["reason"], &conditions[0]["message"]), (&json!("ListKindConflict"), &json!("\"AList\" is already in use")));
    assert_eq!(conditions[1]["message"], "not all names are accepted");
}

#[test]
fn instances_go_before_their_definition() {
    let mut deleted = decide(&crd(), &Names::default(), 0, now()).crd;
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    deleted["metadata"]["finalizers"] = json!([CLEANUP_FINALIZER]);
    let verdict = decide(&deleted, &Names::default(), 2, now());
    assert!(verdict.serve && verdict.delete_instances && verdict.metadata.is_none() && is_true(&verdict.crd, "Terminating"));
    let last = decide(&verdict.crd, &Names::default(), 0, now());
    assert!(!last.serve && !is_true(&last.crd, "Terminating"));
    assert_eq!(last.metadata, Some(json!({ "metadata": { "finalizers": null } })));
}
