//! Decisions, by table.
use super::graph::NodeGraph;
use super::references::{Sort, Thing};
use super::testing::{authorizer, entry};
use super::*;
use crate::protocol::authority::Attributes;
use crate::protocol::meta::ObjectKey;
use crate::protocol::user::{MASTERS, NODES, User};
use serde_json::{Value, json};
use std::sync::Arc;

fn wanted<'a>(verb: &'a str, namespace: &'a str, resource: &'a str, name: &'a str) -> Attributes<'a> {
    let (group, resource) = resource.split_once(':').unwrap_or(("", resource));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes { verb, group, version: "v1", resource, subresource, namespace, name, ..Default::default() }
}

fn allowed(authorizer: &Authorizer, user: &User, wanted: &Attributes<'_>) -> bool {
    matches!(authorizer.decide(user, wanted), Verdict::Allowed(_))
}

fn change(authorizer: &Authorizer, with: impl FnOnce(&mut RbacIndex)) {
    let mut index = (*authorizer.rbac.load_full()).clone();
    with(&mut index);
    authorizer.rbac.store(Arc::new(index));
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(namespace, name)
}

fn binding(role: &str, subject: Value) -> Value {
    let (kind, name) = role.split_once('/').expect("Kind/name");
    json!({ "roleRef": { "kind": kind, "name": name }, "subjects": [subject] })
}

fn role(resource: &str, verbs: &[&str]) -> Value {
    json!({ "rules": [{ "apiGroups": [""], "resources": [resource], "verbs": verbs }] })
}

#[test]
fn who_may_what_by_default() {
    let authorizer = authorizer();
    let (jane, nobody) = (User::new("jane", []), User::anonymous());
    let admin = User::new("a", [MASTERS.to_string()]);
    let path = |path| Attributes::of_path("get", path);
    let cases = [
        (&admin, wanted("delete", "x", "secrets", "s"), true),
        (&admin, path("/metrics"), true),
        (&jane, wanted("list", "x", "pods", ""), false),
        (&jane, wanted("create", "", "authorization.k8s.io:selfsubjectaccessreviews", ""), true),
        (&jane, path("/apis/apps"), true),
        (&jane, path("/metrics"), false),
        (&nobody, path("/readyz"), true),
        (&nobody, path("/version"), true),
        (&nobody, path("/apis"), false),
        (&nobody, wanted("create", "", "authorization.k8s.io:selfsubjectaccessreviews", ""), false),
    ];
    for (user, wanted, expected) in cases {
        assert_eq!(allowed(&authorizer, user, &wanted), expected, "{} {wanted:?}", user.name);
    }
}

#[test]
fn bindings_come_and_go() {
    let authorizer = authorizer();
    let jane = User::new("jane", ["dev".to_string()]);
    let sa = User::new("system:serviceaccount:ci:bot", []);
    let list = wanted("list", "a", "pods", "");
    change(&authorizer, |index| {
        index.set_role(&key("a", "reader"), Some(&role("pods", &["list"])));
        index.set_binding(&key("a", "b"), Some(&binding("Role/reader", json!({ "kind": "Group", "name": "dev" }))));
        index.set_binding(
            &key("a", "c"),
            Some(&binding("Role/reader", json!({ "kind": "ServiceAccount", "name": "bot", "namespace": "ci" }))),
        );
    });
    assert!(allowed(&authorizer, &jane, &list) && allowed(&authorizer, &sa, &list));
    assert!(
        !allowed(&authorizer, &jane, &wanted("list", "b", "pods", "")) && !allowed(&authorizer, &jane, &wanted("list", "", "pods", ""))
    );
    let Verdict::Allowed(Some(why)) = authorizer.decide(&jane, &list) else { panic!("refused") };
    assert_eq!(why.to_string(), "RBAC: allowed by RoleBinding \"b/a\" of Role \"reader\" to Group \"dev\"");
    change(&authorizer, |index| index.set_role(&key("a", "reader"), None));
    let refused = authorizer.authorize(&jane, &list).unwrap_err();
    assert!(
        refused.message.ends_with("in the namespace \"a\": RBAC: role.rbac.authorization.k8s.io \"reader\" not found"),
        "{}",
        refused.message
    );
    change(&authorizer, |index| {
        index.set_binding(&key("", "all"), Some(&binding("ClusterRole/cluster-admin", json!({ "kind": "User", "name": "jane" }))));
    });
    assert!(allowed(&authorizer, &jane, &wanted("delete", "b", "secrets", "x")));
    change(&authorizer, |index| index.set_binding(&key("", "all"), None));
    assert!(!allowed(&authorizer, &jane, &wanted("delete", "b", "secrets", "x")));
}

fn pod(name: &str, node: &str, revision: u64) -> Arc<crate::storage::Entry> {
    let pod = json!({
        "kind": "Pod", "metadata": { "name": name, "namespace": "ns", "uid": format!("uid-{name}"), "labels": { "a": "b" } },
        "spec": {
            "nodeName": node, "serviceAccountName": "sa", "imagePullSecrets": [{ "name": "pull" }],
            "containers": [{ "name": "c", "envFrom": [{ "configMapRef": { "name": "env" } }],
                "env": [{ "name": "E", "valueFrom": { "secretKeyRef": { "name": "key", "key": "k" } } }] }],
            "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": "claim" } }, { "name": "e", "ephemeral": {} },
                { "name": "p", "projected": { "sources": [{ "configMap": { "name": "projected" } }] } }],
        },
    });
    entry(&pod, revision)
}

#[test]
fn a_node_reads_what_its_pods_need() {
    let authorizer = authorizer();
    let mut graph = NodeGraph::default();
    graph.set_pod(&pod("p", "n1", 5), false);
    let volume = json!({ "spec": { "claimRef": { "namespace": "ns", "name": "claim" }, "csi": { "nodeStageSecretRef": { "name": "stage", "namespace": "vault" } } } });
    graph.set_volume(&"pv".into(), Some(&volume));
    authorizer.graph.store(Arc::new(graph.clone()));
    let node = |name: &str| User::new(format!("system:node:{name}"), [NODES.to_string()]);
    let (n1, n2) = (node("n1"), node("n2"));
    let lease = "coordination.k8s.io:leases";
    for (wanted, expected) in [
        (wanted("get", "ns", "secrets", "pull"), true),
        (wanted("watch", "ns", "secrets", "key"), true),
        (wanted("get", "vault", "secrets", "stage"), true),
        (wanted("get", "ns", "configmaps", "env"), true),
        (wanted("get", "ns", "configmaps", "projected"), true),
        (wanted("get", "ns", "configmaps", "other"), false),
        (wanted("list", "ns", "secrets", ""), false),
        (wanted("update", "ns", "secrets", "pull"), false),
        (wanted("get", "ns", "persistentvolumeclaims", "claim"), true),
        (wanted("get", "ns", "persistentvolumeclaims", "p-e"), true),
        (wanted("get", "", "persistentvolumes", "pv"), true),
        (wanted("create", "ns", "serviceaccounts/token", "sa"), true),
        (wanted("create", "ns", "serviceaccounts/token", "other"), false),
        (wanted("get", "ns", "pods", "p"), true),
        (wanted("get", "ns", "pods/log", "p"), false),
        (wanted("list", "", "pods", ""), false),
        (Attributes { field_selector: "spec.nodeName=n1", ..wanted("watch", "", "pods", "") }, true),
        (Attributes { field_selector: "spec.nodeName=n2", ..wanted("watch", "", "pods", "") }, false),
        (Attributes { field_selector: "spec.nodeName!=n1", ..wanted("watch", "", "pods", "") }, false),
        (wanted("update", "kube-node-lease", lease, "n1"), true),
        (wanted("update", "kube-node-lease", lease, "n2"), false),
        (wanted("update", "kube-system", lease, "n1"), false),
        (wanted("watch", "", "nodes", ""), true),
        (wanted("delete", "", "nodes", "n1"), false),
        (wanted("list", "", "namespaces", ""), false),
        (wanted("create", "", "rbac.authorization.k8s.io:clusterrolebindings", ""), false),
    ] {
        assert_eq!(allowed(&authorizer, &n1, &wanted), expected, "{wanted:?}");
    }
    let refused = authorizer.authorize(&n2, &wanted("get", "ns", "secrets", "pull")).unwrap_err();
    assert!(
        refused.message.ends_with("in the namespace \"ns\": no relationship found between node 'n2' and this object"),
        "{}",
        refused.message
    );
    // Somebody who only has the name of a node is none.
    assert!(!allowed(&authorizer, &User::new("system:node:n1", []), &wanted("get", "ns", "secrets", "pull")));

    let key_secret = Thing { sort: Sort::Secret, key: key("ns", "key") };
    graph.set_pod(&pod("q", "n1", 6), false);
    graph.set_pod(&pod("p", "n1", 7), true);
    assert!(graph.needs("n1", &key_secret), "another pod needs it as well");
    graph.set_pod(&pod("q", "n2", 8), false);
    assert!(!graph.needs("n1", &key_secret) && graph.needs("n2", &key_secret));
    graph.set_pod(&pod("q", "n2", 9), true);
    assert!(!graph.needs("n2", &key_secret) && !graph.needs_volume("n2", "pv"));
}

fn write<'a>(operation: &'a str, resource: &'a str, name: &'a str, object: Option<&'a Value>, old: Option<&'a Value>) -> Written<'a> {
    let (group, resource) = resource.split_once(':').unwrap_or(("", resource));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Written { operation, group, resource, subresource, namespace: "ns", name, object, old }
}

#[test]
fn a_node_writes_only_about_itself() {
    let authorizer = authorizer();
    let n1 = User::new("system:node:n1", [NODES.to_string()]);
    let refused = |written: &Written<'_>| authorizer.check_write(&n1, written).err().map(|e| e.message).unwrap_or_default();
    let own = json!({ "metadata": { "name": "n1", "labels": { "kubernetes.io/hostname": "n1", "own": "x" } }, "spec": {} });
    assert_eq!(refused(&write("CREATE", "nodes", "", Some(&own), None)), "");
    let mut worse = own.clone();
    worse["metadata"]["labels"]["node-role.kubernetes.io/master"] = "".into();
    assert!(
        refused(&write("UPDATE", "nodes", "n1", Some(&worse), Some(&own)))
            .ends_with("is not allowed to modify labels: node-role.kubernetes.io/master")
    );
    let mut tainted = own.clone();
    tainted["spec"]["taints"] = json!([{ "key": "k", "effect": "NoSchedule" }]);
    assert_eq!(
        refused(&write("UPDATE", "nodes", "n1", Some(&own), Some(&tainted))),
        "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify taints"
    );
    let other = json!({ "metadata": { "name": "n2" } });
    assert!(
        refused(&write("UPDATE", "nodes/status", "n2", Some(&other), Some(&other)))
            .ends_with("node \"n1\" is not allowed to modify node \"n2\"")
    );
    let (mine, theirs) = (pod("p", "n1", 1).parse(), pod("p", "n2", 1).parse());
    assert_eq!(refused(&write("UPDATE", "pods/status", "p", Some(&mine), Some(&mine))), "");
    assert!(refused(&write("UPDATE", "pods/status", "p", Some(&theirs), Some(&theirs))).contains("only update pod status for pods"));
    let mut labelled = mine.clone();
    labelled["metadata"]["labels"]["a"] = "c".into();
    assert!(refused(&write("UPDATE", "pods/status", "p", Some(&labelled), Some(&mine))).contains("cannot update labels"));
    assert!(refused(&write("CREATE", "pods", "", Some(&mine), None)).contains("can only create mirror pods"));
    let lease = json!({ "metadata": { "name": "n2" } });
    assert!(!refused(&write("CREATE", "coordination.k8s.io:leases", "", Some(&lease), None)).is_empty());
}

#[test]
fn nobody_rises_by_writing_roles() {
    let authorizer = authorizer();
    let jane = User::new("jane", []);
    change(&authorizer, |index| {
        index.set_role(&key("ns", "mine"), Some(&role("pods", &["get"])));
        index.set_binding(&key("ns", "mine"), Some(&binding("Role/mine", json!({ "kind": "User", "name": "jane" }))));
    });
    let (roles, bindings) = ("rbac.authorization.k8s.io:roles", "rbac.authorization.k8s.io:rolebindings");
    let outcome = |resource: &str, object: &Value, old: Option<&Value>| {
        authorizer.check_write(&jane, &write("CREATE", resource, "", Some(object), old)).err().map(|e| e.message).unwrap_or_default()
    };
    let named = |mut object: Value| {
        object["metadata"]["name"] = "r".into();
        object
    };
    assert_eq!(outcome(roles, &named(role("pods", &["get"])), None), "");
    assert_eq!(
        outcome(roles, &named(role("secrets", &["get"])), None),
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}"
    );
    let me = || json!({ "kind": "User", "name": "jane" });
    assert_eq!(outcome(bindings, &named(binding("Role/mine", me())), None), "");
    assert!(outcome(bindings, &named(binding("ClusterRole/cluster-admin", me())), None).contains("attempting to grant"));
    assert_eq!(
        outcome(bindings, &named(binding("ClusterRole/none", me())), None),
        "clusterrole.rbac.authorization.k8s.io \"none\" not found"
    );
    // A role that stays as it is may be taken apart by the garbage collector.
    let held = named(role("secrets", &["get"]));
    let mut owned = held.clone();
    owned["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(outcome(roles, &owned, Some(&held)), "");
    // Whoever may bind a role, or escalate, needs no more.
    change(&authorizer, |index| {
        let rules = json!({ "rules": [
            { "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["view"], "verbs": ["bind"] },
            { "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"] },
        ] });
        index.set_role(&key("ns", "mine"), Some(&rules));
    });
    assert_eq!(outcome(bindings, &named(binding("ClusterRole/view", me())), None), "");
    assert!(!outcome(bindings, &named(binding("ClusterRole/cluster-admin", me())), None).is_empty());
    assert_eq!(outcome(roles, &named(role("secrets", &["get"])), None), "");
}

/// `cargo nextest run --run-ignored only -E 'test(ten_thousand_bindings)' --no-capture`
#[test]
#[ignore = "figures, not a test"]
fn ten_thousand_bindings() {
    let authorizer = authorizer();
    change(&authorizer, |index| {
        for i in 0..10_000 {
            let subject = json!({ "kind": "User", "name": format!("user-{}", i % 2_000) });
            index.set_binding(
                &key(&format!("ns-{}", i % 100), &format!("b-{i}")),
                Some(&binding("ClusterRole/system:aggregate-to-view", subject)),
            );
        }
    });
    let user = User::new("user-7", ["dev".to_string()]);
    let rounds = 100_000;
    for (what, wanted) in [("refused", wanted("get", "ns-7", "secrets", "s")), ("allowed", wanted("get", "ns-7", "pods", "p"))] {
        let begin = std::time::Instant::now();
        let count = (0..rounds).filter(|_| allowed(&authorizer, &user, &wanted)).count();
        eprintln!("{what}: {:?} a decision", begin.elapsed() / rounds);
        assert_eq!(count > 0, what == "allowed", "a figure of something else");
    }
    let begin = std::time::Instant::now();
    change(&authorizer, |index| {
        index.set_binding(&key("ns-7", "more"), Some(&binding("ClusterRole/view", json!({ "kind": "User", "name": "x" }))))
    });
    eprintln!("a change: {:?}", begin.elapsed());
}
