//! Who may do what, as kubectl's users see it: questions, roles, tokens.
use crate::cluster::{Cluster, Options};
use crate::kubectl::{Kubectl, newest, selected};
use crate::run::{Run, run, wait_for};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
const JANE: &str = "token-of-jane-0123456789abcdef";

/// `kubectl <line>` with this bearer token and no certificate.
fn as_bearer(kubectl: &Kubectl, token: &str, line: &str) -> Run {
    let mut command = kubectl.command(&[]);
    let server = kubectl.ok("config view --minify -o jsonpath={.clusters[0].cluster.server}");
    command.env("KUBECONFIG", "/dev/null").args(["--server", server.trim(), "--insecure-skip-tls-verify", "--token", token]);
    command.args(line.split_whitespace());
    run(&mut command)
}

#[test]
fn rights_are_asked_for_given_and_used() {
    let config = format!("users:\n  - {{token: {JANE}, name: jane, groups: [dev]}}\n");
    let cluster = Cluster::start(Options { name: "rights", no_node: true, config, ..Options::default() });
    for tool in selected("rights") {
        let kubectl = cluster.kubectl(tool, &format!("rights-1-{}", tool.minor));
        kubectl.make_namespace();
        people(&kubectl);
        accounts(&kubectl);
    }
    defaults(&cluster.kubectl(newest(), "default"));
}

/// A user without rights gets some.
fn people(kubectl: &Kubectl) {
    assert_eq!(kubectl.ok("auth can-i delete nodes").trim(), "yes");
    let namespace = &kubectl.namespace;
    let refused = as_bearer(kubectl, JANE, "get configmaps").refused();
    assert!(refused.contains("User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace"), "{refused}");
    assert_eq!(as_bearer(kubectl, JANE, "auth can-i list configmaps").stdout.trim(), "no");
    assert_eq!(kubectl.run("auth can-i list configmaps --as jane --as-group dev").stdout.trim(), "no");
    kubectl.ok("create rolebinding dev --clusterrole=view --group=dev");
    wait_for("jane may look", SOON, || (as_bearer(kubectl, JANE, "get configmaps").code == Some(0)).then_some(()));
    assert_eq!(kubectl.ok("auth can-i list configmaps --as jane --as-group dev").trim(), "yes");
    let listed = as_bearer(kubectl, JANE, "auth can-i --list").ok();
    assert!(listed.lines().any(|l| l.starts_with("pods ")) && listed.contains("selfsubjectaccessreviews.authorization.k8s.io"), "{listed}");
    let who = as_bearer(kubectl, JANE, "auth whoami").ok();
    assert!(who.contains("jane") && who.contains("dev") && who.contains("system:authenticated"), "{who}");
    assert!(kubectl.ok("auth whoami").contains("[X509SHA256="), "a certificate names itself");
    let refused = as_bearer(kubectl, JANE, "get configmaps --as root").refused();
    assert!(refused.contains("User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"), "{refused}");
    let grown = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: dev, namespace: {namespace}}}, \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}, \
         subjects: [{{kind: User, name: joe, apiGroup: rbac.authorization.k8s.io}}]}}"
    );
    kubectl.feed("auth reconcile", &grown).ok();
    let subjects = kubectl.json("get rolebinding dev")["subjects"].as_array().map(Vec::len);
    assert_eq!(subjects, Some(2), "reconcile adds");
}

/// A service account gets a token, and loses it.
fn accounts(kubectl: &Kubectl) {
    kubectl.ok("create serviceaccount bot");
    let token = kubectl.ok("create token bot --duration=20m").trim().to_string();
    let who = as_bearer(kubectl, &token, "auth whoami").ok();
    assert!(who.contains(&format!("system:serviceaccount:{}:bot", kubectl.namespace)), "{who}");
    assert!(as_bearer(kubectl, &token, "get secrets").refused().contains("is forbidden"));
    kubectl.ok(&format!("create rolebinding bot --clusterrole=edit --serviceaccount={}:bot", kubectl.namespace));
    wait_for("the bot may read secrets", SOON, || (as_bearer(kubectl, &token, "get secrets").code == Some(0)).then_some(()));
    let secret = "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, \
                  metadata: {name: old, annotations: {kubernetes.io/service-account.name: bot}}}";
    kubectl.feed("create", secret).ok();
    let filled = || kubectl.json("get secret old")["data"]["token"].as_str().map(String::from);
    assert!(wait_for("the secret has a token", SOON, filled).len() > 100);
    kubectl.ok("delete serviceaccount bot");
    let refused = as_bearer(kubectl, &token, "auth whoami");
    assert!(refused.code != Some(0), "a token outlived its account: {refused}");
    wait_for("the secret goes with its account", SOON, || (kubectl.run("get secret old").code != Some(0)).then_some(()));
}

/// What every cluster has.
fn defaults(kubectl: &Kubectl) {
    let admin = kubectl.json("get clusterrole admin");
    assert!(admin["rules"].as_array().is_some_and(|r| r.len() > 20), "admin is made of others: {admin}");
    assert!(kubectl.ok("get clusterrolebindings").contains("ClusterRole/cluster-admin"));
    let kinds = kubectl.ok("api-resources -o name");
    assert!(kinds.contains("selfsubjectreviews.authentication.k8s.io") && kinds.contains("roles.rbac.authorization.k8s.io"), "{kinds}");
    assert!(kubectl.ok("get --raw /openid/v1/jwks").contains("\"ES256\""));
}
