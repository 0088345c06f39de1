//! What kubectl does with every kind: few calls with all kinds in each, and one per kind where it takes one only.
use super::table::cases;
use super::{Resource, VIEWS, admin, manifest, resources, server};
use crate::kubectl::{Kubectl, newest};
use crate::run::{Run, run, wait_for};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// So many kubectls run at the same time.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_by_kubectl() {
    let _turn = super::TURN.lock().await;
    let all = resources(&admin()).await;
    tokio::task::spawn_blocking(move || {
        let kubectl = server().kubectl(newest(), "by-kubectl");
        kubectl.make_namespace();
        let mut walk = Walk { file: write(&kubectl, &all), kubectl, kinds: Vec::new(), faults: Vec::new() };
        walk.commands();
        walk.listings(&all);
        walk.one_by_one(&all);
        walk.ends();
        assert!(walk.faults.is_empty(), "{} faults:\n{}", walk.faults.len(), walk.faults.join("\n"));
    })
    .await
    .expect("the walk ends");
}

/// All good manifests in one file.
fn write(kubectl: &Kubectl, all: &[Resource]) -> String {
    let mut items: Vec<Value> = Vec::new();
    for case in cases().into_iter().filter(|c| !VIEWS.contains(&c.of)) {
        let Some(resource) = all.iter().find(|r| r.of() == case.of) else { continue };
        let mut object = manifest(case, resource);
        if resource.namespaced {
            object["metadata"]["namespace"] = kubectl.namespace.as_str().into();
        }
        let text = object.to_string().replace("\"walk\"", &format!("\"{}\"", kubectl.namespace));
        items.push(serde_json::from_str(&text).expect("still JSON"));
    }
    let path = kubectl.cluster.scratch().join("all.json");
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
    std::fs::write(&path, list.to_string()).expect("write the manifests");
    path.display().to_string()
}

struct Walk<'a> {
    kubectl: Kubectl<'a>,
    file: String,
    /// All plurals.
    kinds: Vec<String>,
    faults: Vec<String>,
}

impl Walk<'_> {
    /// Runs a command on all manifests; it must succeed and say `word` once for each of them.
    fn all(&mut self, line: &str, words: &[&str], word: &str) -> Run {
        let mut args: Vec<&str> = line.split_whitespace().collect();
        args.extend(["-f", &self.file]);
        args.extend(words);
        let run = run(&mut self.kubectl.command(&args));
        let count = run.stdout.lines().filter(|l| l.contains(word)).count();
        let wanted = cases().len() - VIEWS.len();
        if run.code != Some(0) || (!word.is_empty() && count != wanted) {
            let missing: Vec<&str> = run.stdout.lines().filter(|l| !l.contains(word)).collect();
            self.faults.push(format!("{line}: {count} of {wanted}, {:?}: {} {}", run.code, run.stderr, missing.join("\n")));
        }
        run
    }

    fn commands(&mut self) {
        self.all("create --dry-run=server", &[], "created (server dry run)");
        self.all("create", &[], " created");
        self.all("wait --for=create --timeout=10s", &[], "condition met");
        let text = self.all("get --show-managed-fields -o yaml", &[], "").stdout;
        let managed = text.matches("manager: kubectl-create").count();
        if managed < cases().len() - VIEWS.len() {
            self.faults.push(format!("get -o yaml shows {managed} managed fields of kubectl-create"));
        }
        self.all("apply --server-side", &[], "serverside-applied");
        self.all("apply --server-side", &[], "serverside-applied");
        let diff = self.all("diff --server-side", &[], "").stdout;
        if !diff.is_empty() {
            self.faults.push(format!("diff after an apply: {diff}"));
        }
        self.all("patch --type=json", &["-p", r#"[{"op":"add","path":"/metadata/annotations","value":{"a":"1"}}]"#], "patched");
        self.all("patch --type=merge", &["-p", r#"{"metadata":{"annotations":{"b":"1"}}}"#], "patched");
        self.all("annotate", &["c=1"], "annotated");
        self.all("label", &["walk=yes"], "labeled");
        self.all("describe", &[], "");
        self.all("apply", &[], "configured");
        // kubectl itself sends a budget's selector each time.
        let again = self.all("apply", &[], "").stdout;
        let changed: Vec<&str> = again.lines().filter(|l| !l.ends_with(" unchanged") && !l.starts_with("poddisruptionbudget")).collect();
        if !changed.is_empty() {
            self.faults.push(format!("apply without a change: {}", changed.join("\n")));
        }
        // What the server filled in may not be taken away from pods, jobs and nodes, so what is there replaces itself.
        let live = format!("{}.live", self.file);
        let objects = self.all("get -o json", &[], "").stdout;
        std::fs::write(&live, objects).expect("write the objects");
        let manifests = std::mem::replace(&mut self.file, live);
        self.all("replace", &[], "replaced");
        self.file = manifests;
    }

    /// Lists of all kinds in one call each.
    fn listings(&mut self, all: &[Resource]) {
        let known = self.kubectl.ok("api-resources --no-headers");
        let names: Vec<String> = all.iter().map(|r| r.plural.clone()).collect();
        for resource in all {
            let line = |l: &&str| {
                let words: Vec<&str> = l.split_whitespace().collect();
                words.first() == Some(&resource.plural.as_str()) && words.last() == Some(&resource.kind.as_str())
            };
            if !known.lines().any(|l| line(&l)) {
                self.faults.push(format!("api-resources has no {}", resource.of()));
            }
        }
        let mut names = names;
        names.sort();
        names.dedup();
        // kubectl sends five requests a second: in pieces of one only what the walk has made, one of each kind.
        let pieces = [
            ("--chunk-size=1 -l walk=yes", names.join(",")),
            ("--chunk-size=1 -l walk=yes -o wide", names.join(",")),
            ("--chunk-size=9", "clusterroles".into()),
        ];
        for (how, names) in pieces {
            let run = self.kubectl.run(&format!("get {names} --all-namespaces {how}"));
            if run.code != Some(0) || run.stdout.lines().count() < names.split(',').count() {
                self.faults.push(format!("get {how}: {}", run.stderr));
            }
        }
        self.kinds = names;
        let events = self.kubectl.run("events");
        if events.code != Some(0) || !events.stdout.contains("Tested") {
            self.faults.push(format!("events: {events}"));
        }
    }

    /// What kubectl does with one kind at a time.
    fn one_by_one(&mut self, all: &[Resource]) {
        let mut lines: Vec<(String, String)> = Vec::new();
        for case in cases() {
            let Some(resource) = all.iter().find(|r| r.of() == case.of) else { continue };
            if resource.version.starts_with("settings.k8s.io/") {
                continue;
            }
            lines.push((
                format!("explain {} --recursive --api-version={}", resource.plural, resource.version),
                format!("KIND:       {}", resource.kind),
            ));
            let group = resource.version.split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
            lines.push((format!("auth can-i deletecollection {}{group}", resource.plural), "yes".into()));
        }
        lines.push(("explain pod.spec.restartPolicy".into(), "ENUM:\n    Always\n    Never\n    OnFailure".into()));
        let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let (kubectl, lines) = (&self.kubectl, &lines);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some((line, word)) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let run = kubectl.run(line);
                        if run.code != Some(0) || !run.stdout.contains(word) {
                            faults.lock().expect("no panic while held").push(format!("{run}"));
                        }
                    }
                });
            }
        });
        self.faults.extend(faults.into_inner().expect("no panic while held"));
    }

    fn ends(&mut self) {
        self.all("delete --now --wait=false", &[], "deleted");
        let left = format!("get {} --all-namespaces -l walk=yes -o name", self.kinds.join(","));
        wait_for("nothing is left", SOON, || {
            let left = self.kubectl.run(&left);
            (left.code == Some(0) && left.stdout.is_empty()).then_some(())
        });
        self.kubectl.drop_namespace();
    }
}
