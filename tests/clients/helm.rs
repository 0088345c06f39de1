//! The life of a release: a chart with a definition and an object of it, hooks, and one of each of the small kinds.
use super::{file, program, server, tools};
use crate::kubectl::newest;
use crate::run::{Run, run};
use serde_json::Value;

const NAMESPACE: &str = "bakery";

#[track_caller]
fn helm(line: &str) -> Run {
    let mut command = program(&tools().join("helm"));
    command.args(["--namespace", NAMESPACE]).args(line.split_whitespace());
    run(&mut command)
}

/// Installs or changes the release.
#[track_caller]
fn chart(verb: &str, flour: &str) -> String {
    let chart = file("chart");
    helm(&format!("{verb} bread {} --set flour={flour} --wait --timeout 15s", chart.display())).ok()
}

/// The names of the ConfigMaps, apart from the one that every namespace has.
fn maps(list: &Value) -> Vec<&str> {
    let names = list["items"].as_array().expect("items").iter().map(|i| i["metadata"]["name"].as_str().unwrap_or_default());
    names.filter(|n| *n != "kube-root-ca.crt").collect()
}

#[test]
fn a_release_is_installed_upgraded_rolled_back_and_uninstalled() {
    let kubectl = server().kubectl(newest(), NAMESPACE);
    kubectl.make_namespace();
    assert!(chart("install", "wheat").contains("STATUS: deployed"));
    assert_eq!(maps(&kubectl.json("get configmaps")), ["bread", "bread-hook"]);
    let oven = kubectl.json("get ovens.bakery.example.com bread");
    assert_eq!((oven["spec"]["flour"].as_str(), oven["spec"]["fan"].as_bool()), (Some("wheat"), Some(true)));
    assert_eq!(oven["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    let may = |verb: &str| kubectl.run(&format!("auth can-i {verb} ovens.bakery.example.com --as=system:serviceaccount:{NAMESPACE}:bread"));
    assert_eq!(may("list").ok().trim(), "yes");
    may("delete").refused();

    assert!(chart("upgrade", "rye").contains("REVISION: 2"));
    assert_eq!(maps(&kubectl.json("get configmaps")), ["bread", "bread-hook", "bread-sourdough"]);
    assert_eq!(kubectl.json("get ovens bread")["spec"]["flour"], "rye");
    assert_eq!(kubectl.json("get configmap bread-hook")["data"]["flour"], "rye");
    assert_eq!(kubectl.json("get secret bread")["data"]["recipe"], "c2VjcmV0IHJ5ZQ==");

    // What the server would refuse leaves the release as it is.
    let refused = helm(&format!("upgrade bread {} --set flour=rye,degrees=9999 --timeout 15s", file("chart").display())).refused();
    assert!(refused.contains("spec.degrees") && refused.contains("should be less than or equal to 500"), "{refused}");

    helm("rollback bread 1 --wait --timeout 15s").ok();
    assert_eq!(maps(&kubectl.json("get configmaps")), ["bread", "bread-hook"]);
    assert_eq!(kubectl.json("get ovens bread")["spec"]["flour"], "wheat");
    let history: Value = serde_json::from_str(&helm("history bread -o json").ok()).expect("JSON");
    let states: Vec<&str> = history.as_array().expect("a list").iter().map(|r| r["status"].as_str().unwrap_or_default()).collect();
    assert_eq!(states, ["superseded", "superseded", "failed", "deployed"]);
    assert!(helm("status bread").ok().contains("Rollback to 1"));

    helm("uninstall bread --wait --timeout 15s").ok();
    // Hooks and definitions are no part of the release.
    assert_eq!(maps(&kubectl.json("get configmaps")), ["bread-hook"]);
    for kind in ["ovens", "secrets", "roles", "rolebindings", "services"] {
        assert_eq!(kubectl.ok(&format!("get {kind} -o name")), "", "{kind}");
    }
    kubectl.ok("delete crd ovens.bakery.example.com");
    kubectl.drop_namespace();
}
