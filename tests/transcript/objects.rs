//! Making, reading, watching, changing and removing objects.
use super::with_each_kubectl;
use crate::kubectl::Kubectl;
use crate::run::{run, wait_for};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

const SETTINGS: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: { app: demo, tier: back }
data:
  colour: red
  size: large
";

#[test]
fn objects_live_and_change() {
    with_each_kubectl("objects", |kubectl| {
        applied(kubectl);
        read(kubectl);
        marked(kubectl);
        edited(kubectl);
        patched(kubectl);
        watched(kubectl);
        removed(kubectl);
    });
}

/// Apply creates, then patches, and takes away what the manifest no longer has.
fn applied(kubectl: &Kubectl) {
    assert_eq!(kubectl.feed("apply", SETTINGS).ok().trim(), "configmap/settings created");
    assert_eq!(kubectl.feed("apply", SETTINGS).ok().trim(), "configmap/settings unchanged");
    let changed = SETTINGS.replace("red", "blue").replace("  size: large\n", "");
    let difference = kubectl.feed("diff", &changed);
    assert!(difference.code == Some(1) && difference.stdout.contains("+  colour: blue"), "{difference}");
    assert_eq!(kubectl.feed("apply", &changed).ok().trim(), "configmap/settings configured");
    assert_eq!(kubectl.json("get configmap settings")["data"], serde_json::json!({ "colour": "blue" }));
    let said = kubectl.feed("create", SETTINGS).refused();
    assert!(said.contains("AlreadyExists") && said.contains("configmaps \"settings\" already exists"), "{said}");
    kubectl.feed("replace", SETTINGS).ok();
    assert_eq!(kubectl.json("get cm settings")["data"]["size"], "large");
    kubectl.ok("create secret generic keys --from-literal=password=secret");
    assert_eq!(kubectl.json("get secret keys")["data"]["password"], "c2VjcmV0");
    kubectl.ok("create serviceaccount robot");
    kubectl.ok("create service clusterip front --tcp=80:8080");
    assert!(kubectl.feed("create --dry-run=server", &SETTINGS.replace("settings", "never")).ok().contains("created (server dry run)"));
    assert!(kubectl.run("get cm never").refused().contains("NotFound"));
}

fn read(kubectl: &Kubectl) {
    assert!(kubectl.ok("get cm settings -o yaml").contains("colour: red"));
    assert_eq!(kubectl.json("get cm settings")["kind"], "ConfigMap");
    let table = kubectl.ok("get cm settings -o wide --show-labels");
    assert!(table.contains("NAME") && table.contains("app=demo,tier=back"), "{table}");
    kubectl.ok("create configmap other --from-literal=a=b");
    assert_eq!(kubectl.ok("get cm -l app=demo -o name").trim(), "configmap/settings");
    assert_eq!(kubectl.ok_words(&["get", "cm", "-l", "tier in (back, front),app!=x", "-o", "name"]).trim(), "configmap/settings");
    assert_eq!(kubectl.ok("get cm --field-selector metadata.name=other -o name").trim(), "configmap/other");
    assert!(kubectl.ok("get all,cm,sa,secrets").contains("serviceaccount/robot"));
    assert!(kubectl.ok("get cm -A --chunk-size=1").contains("settings"));
    assert!(kubectl.ok("describe cm settings").contains("colour"));
    assert!(kubectl.ok("describe namespace default").contains("Active"));
    assert!(kubectl.ok("describe node").contains("Capacity:"));
}

fn marked(kubectl: &Kubectl) {
    kubectl.ok("label cm settings colour=green");
    assert!(kubectl.run("label cm settings colour=yellow").refused().contains("overwrite"));
    kubectl.ok("label cm settings colour=yellow --overwrite");
    kubectl.ok("label cm settings tier-");
    kubectl.ok_words(&["annotate", "cm", "settings", "note=a longer text"]);
    let metadata = kubectl.json("get cm settings")["metadata"].clone();
    assert_eq!(metadata["labels"], serde_json::json!({ "app": "demo", "colour": "yellow" }));
    assert_eq!(metadata["annotations"]["note"], "a longer text");
}

/// `kubectl edit` with an editor that needs no hands.
fn edited(kubectl: &Kubectl) {
    let editor = kubectl.cluster.scratch().join(format!("editor-{}.sh", kubectl.tool.minor));
    std::fs::write(&editor, "#!/bin/sh\nexec sed -i 's/colour: red/colour: violet/' \"$1\"\n").expect("write the editor");
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).expect("make it a program");
    assert!(run(kubectl.command(&["edit", "cm", "settings"]).env("KUBE_EDITOR", &editor)).ok().contains("edited"));
    assert_eq!(kubectl.json("get cm settings")["data"]["colour"], "violet");
}

fn patched(kubectl: &Kubectl) {
    kubectl.ok_words(&["patch", "cm", "settings", "--type=merge", "-p", r#"{"data":{"size":null,"merged":"yes"}}"#]);
    kubectl.ok_words(&["patch", "cm", "settings", "--type=json", "-p", r#"[{"op":"add","path":"/data/json","value":"yes"}]"#]);
    kubectl.ok_words(&["patch", "svc", "front", "-p", r#"{"spec":{"ports":[{"port":80,"name":"web"},{"port":81,"name":"more"}]}}"#]);
    let data = kubectl.json("get cm settings")["data"].clone();
    assert_eq!(data, serde_json::json!({ "colour": "violet", "merged": "yes", "json": "yes" }));
    let ports = kubectl.json("get svc front")["spec"]["ports"].clone();
    // A strategic patch merges ports by their number: the new one is added, the old one keeps its target.
    let targets: Vec<(i64, &serde_json::Value)> =
        ports.as_array().into_iter().flatten().map(|p| (p["port"].as_i64().unwrap_or(0), &p["targetPort"])).collect();
    assert!(targets.contains(&(80, &8080.into())) && targets.len() == 2, "{ports}");
}

/// `get -w` shows what happens while it runs.
fn watched(kubectl: &Kubectl) {
    let mut child =
        kubectl.command(&["get", "cm", "-l", "seen=yes", "-w", "-o", "name"]).stdout(Stdio::piped()).spawn().expect("kubectl starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let making = kubectl.feed("create", "{apiVersion: v1, kind: ConfigMap, metadata: {name: seen, labels: {seen: 'yes'}}}");
    let first = lines.next();
    let _ = child.kill();
    let _ = child.wait();
    making.ok();
    assert_eq!(first.as_deref(), Some("configmap/seen"));
}

fn removed(kubectl: &Kubectl) {
    assert!(kubectl.ok("delete cm settings").contains("\"settings\" deleted"));
    assert!(kubectl.run("get cm settings").refused().contains("configmaps \"settings\" not found"));
    assert!(kubectl.run("delete cm settings").refused().contains("NotFound"));
    kubectl.ok("delete cm settings --ignore-not-found");
    kubectl.ok("delete cm --all");
    kubectl.ok("delete svc,secret front keys --ignore-not-found");
    // A namespace takes everything in it along.
    let inner = format!("{}-inner", kubectl.namespace);
    kubectl.ok(&format!("create namespace {inner}"));
    kubectl.ok(&format!("create configmap inside -n {inner}"));
    kubectl.ok(&format!("delete namespace {inner} --timeout=30s"));
    wait_for("the namespace is gone", SOON, || (kubectl.run(&format!("get cm -n {inner} inside")).code != Some(0)).then_some(()));
}
