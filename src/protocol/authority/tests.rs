//! Rules and requests, by table.
use super::*;
use serde_json::{Value, json};

fn rule(value: Value) -> PolicyRule {
    serde_json::from_value(value).expect("a rule")
}

fn resource<'a>(verb: &'a str, group: &'a str, resource: &'a str, name: &'a str) -> Attributes<'a> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes { verb, group, resource, subresource, name, ..Default::default() }
}

#[test]
fn what_a_rule_allows() {
    let pods = rule(json!({ "apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"] }));
    let named = rule(json!({ "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["*"] }));
    let scale = rule(json!({ "apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["update"] }));
    let all = rule(json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }));
    let cases = [
        (&pods, resource("get", "", "pods", "x"), true),
        (&pods, resource("get", "", "pods/log", "x"), true),
        (&pods, resource("get", "", "pods/exec", "x"), false),
        (&pods, resource("list", "", "pods", ""), false),
        (&pods, resource("get", "apps", "pods", "x"), false),
        (&named, resource("delete", "", "secrets", "a"), true),
        (&named, resource("delete", "", "secrets", "b"), false),
        (&named, resource("create", "", "secrets", ""), false),
        (&scale, resource("update", "apps", "deployments/scale", "x"), true),
        (&scale, resource("update", "apps", "deployments", "x"), false),
        (&all, resource("get", "", "pods/exec", "x"), true),
        (&all, Attributes::of_path("get", "/metrics"), false),
    ];
    for (rule, wanted, allowed) in cases {
        assert_eq!(rule.allows(&wanted), allowed, "{rule:?} {wanted:?}");
    }
    let paths = rule(json!({ "nonResourceURLs": ["/apis/*", "/version"], "verbs": ["get"] }));
    for (path, allowed) in [("/apis/apps", true), ("/apis", false), ("/version", true), ("/version/x", false)] {
        assert_eq!(paths.allows(&Attributes::of_path("get", path)), allowed, "{path}");
    }
}

#[test]
fn nobody_grants_what_they_lack() {
    let own = [
        rule(json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] })),
        rule(json!({ "apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"] })),
    ];
    assert!(covers(&own, &[rule(json!({ "apiGroups": [""], "resources": ["pods"], "resourceNames": ["x"], "verbs": ["get"] }))]).is_ok());
    assert!(covers(&own, &[rule(json!({ "apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"] }))]).is_ok());
    let wanted = rule(json!({ "apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "delete"] }));
    let missing = covers(&own, &[wanted]).unwrap_err();
    assert_eq!(
        missing.message("jane", &["dev".into(), "system:authenticated".into()]),
        "user \"jane\" (groups=[\"dev\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"delete\"]}"
    );
    assert!(covers(&PolicyRule::everything(), &PolicyRule::everything()).is_ok());
    assert!(covers(&own, &PolicyRule::everything()).is_err());
    // Names narrow: a right on one name is no right on all.
    let one = [rule(json!({ "apiGroups": [""], "resources": ["pods"], "resourceNames": ["x"], "verbs": ["get"] }))];
    assert!(covers(&one, &[rule(json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }))]).is_err());
}

#[test]
fn a_bomb_of_a_role_ends_soon() {
    let many: Vec<String> = (0..2_000).map(|i| format!("r{i}")).collect();
    let bomb = PolicyRule { api_groups: many.clone(), resources: many.clone(), verbs: many, ..Default::default() };
    let own = [rule(json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["get"] }))];
    assert!(covers(&own, &[bomb]).is_err());
}

#[test]
fn refusals_in_upstreams_words() {
    let list = Attributes { verb: "list", resource: "pods", namespace: "d", ..Default::default() };
    assert_eq!(
        list.forbidden("jane", "RBAC: clusterrole.rbac.authorization.k8s.io \"x\" not found").message,
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"d\": RBAC: clusterrole.rbac.authorization.k8s.io \"x\" not found"
    );
    let path = Attributes::of_path("get", "/apis").forbidden("system:anonymous", "");
    assert_eq!(path.message, "forbidden: User \"system:anonymous\" cannot get path \"/apis\"");
    assert_eq!(account_of("system:serviceaccount:a:b"), Some(("a", "b")));
    assert_eq!(account_of("system:serviceaccount:a:b:c"), None);
}
