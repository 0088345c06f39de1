//! Roles and bindings, good and bad.
use super::*;
use serde_json::json;

fn findings(errors: Vec<crate::protocol::status::FieldError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn rules_of_roles() {
    let role = json!({ "rules": [
        { "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] },
        { "resources": ["pods"] },
        { "nonResourceURLs": ["/x"], "verbs": ["get"] },
    ] });
    assert_eq!(
        findings((role::KIND.rules.validate)(&role)),
        [
            "rules[1].verbs: Required value: verbs must contain at least one value",
            "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[2].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
        ]
    );
    let aggregated = json!({ "aggregationRule": {}, "rules": [{ "nonResourceURLs": ["/x"], "verbs": ["get"] }] });
    assert_eq!(
        findings((cluster_role::KIND.rules.validate)(&aggregated)),
        ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"]
    );
}

#[test]
fn bindings() {
    let mut binding = json!({
        "metadata": { "name": "b", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "roleRef": { "kind": "ClusterRole", "name": "view" },
        "subjects": [
            { "kind": "User", "name": "jane" }, { "kind": "ServiceAccount", "name": "sa", "namespace": "n", "apiGroup": "" }, { "kind": "Robot", "name": "r" },
        ],
    });
    (role_binding::KIND.rules.default)(&mut binding);
    assert_eq!(binding["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(
        findings((role_binding::KIND.rules.validate)(&binding)),
        ["subjects[2].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\""]
    );
    let row = (role_binding::KIND.row)(&binding, 1_767_225_660);
    assert_eq!(row, [json!("b"), json!("ClusterRole/view"), json!("60s"), json!("jane"), json!(""), json!("n/sa")]);
    let mut other = binding.clone();
    other["roleRef"]["name"] = "edit".into();
    assert!(findings((role_binding::KIND.rules.validate_update)(&other, &binding))[0].ends_with(": cannot change roleRef"));
    other["roleRef"]["kind"] = "Role".into();
    assert!(findings((cluster_role_binding::KIND.rules.validate)(&other))[0].starts_with("roleRef.kind: Unsupported value: \"Role\""));
}
