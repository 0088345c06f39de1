//! What is made and changed without a manifest: pods, deployments, jobs and cron jobs; sizes with conditions; and what a deletion
//! takes along.
use super::with_each_kubectl;
use crate::busybox::IMAGE;
use crate::kubectl::Kubectl;
use crate::run::{run_with, wait_for};
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const KUBIA: &str = "impresario.local/kubia:latest";

#[test]
fn made_by_hand() {
    with_each_kubectl("by-hand", |kubectl| {
        run_pods(kubectl);
        made(kubectl);
        sized(kubectl);
        taken_along(kubectl);
    });
}

/// One that is there, one that is only shown, and one that ends with what one has to say to it.
fn run_pods(kubectl: &Kubectl) {
    let said = kubectl.ok(&format!("run web --image={KUBIA} --port=8080 --env=COLOUR=blue --labels=app=by-hand --expose"));
    assert!(said.contains("service/web created") && said.contains("pod/web created"), "{said}");
    let pod = &kubectl.json("get pod web")["spec"]["containers"][0];
    assert_eq!((&pod["ports"][0]["containerPort"], &pod["env"][0]["value"]), (&8080.into(), &"blue".into()));
    kubectl.ok("wait --for=condition=Ready pod/web --timeout=60s");
    assert!(kubectl.ok(&format!("run not --image={KUBIA} --dry-run=server -o yaml")).contains("uid: "));
    assert!(kubectl.run("get pod not").refused().contains("NotFound"));
    let line = format!("run once --image={IMAGE} --image-pull-policy=IfNotPresent --restart=Never --rm -i --quiet -- cat");
    let words: Vec<&str> = line.split_whitespace().collect();
    let run = run_with(&mut kubectl.command(&words), b"spoken to\n", SOON);
    assert!(run.code == Some(0) && run.stdout.contains("spoken to\n"), "{run}");
    assert!(kubectl.run("get pod once").refused().contains("NotFound"));
    kubectl.ok("delete pod,service web");
}

fn made(kubectl: &Kubectl) {
    assert_eq!(kubectl.ok(&format!("create job sum --image={IMAGE} -- true")).trim(), "job.batch/sum created");
    assert_eq!(kubectl.ok(&format!("create cronjob tick --image={IMAGE} --schedule=@yearly -- true")).trim(), "cronjob.batch/tick created");
    let refused = kubectl.run(&format!("create cronjob tock --image={IMAGE} --schedule=sometimes")).refused();
    assert!(refused.contains("spec.schedule: Invalid value: \"sometimes\""), "{refused}");
    kubectl.ok(&format!("create deployment web --image={KUBIA} --replicas=2 --port=8080"));
    let spec = kubectl.json("get deployment web")["spec"].clone();
    assert_eq!((&spec["replicas"], &spec["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]), (&2.into(), &8080.into()));
    kubectl.ok("wait --for=condition=complete job/sum --timeout=60s");
    kubectl.ok("rollout status deployment/web --timeout=60s");
    // A job runs its course: only what can be rolled out has a status.
    assert!(kubectl.run("rollout status job/sum").refused().contains("no status viewer has been implemented for Job"));
}

/// Changed only from what one believes it to be.
fn sized(kubectl: &Kubectl) {
    let refused = kubectl.run("scale deployment/web --current-replicas=5 --replicas=1").refused();
    assert!(refused.contains("Expected replicas to be 5, was 2"), "{refused}");
    assert!(kubectl.ok("scale deployment/web --current-replicas=2 --replicas=1").contains("scaled"));
    wait_for("one is left", SOON, || (pods(kubectl).len() == 1).then_some(()));
    assert!(kubectl.run("scale job/sum --replicas=2").refused().contains("could not find the requested resource"));
    kubectl.ok("set resources deployment/web --requests=cpu=10m");
    kubectl.ok("set image deployment/web *=luksa/kubia");
    kubectl.ok("rollout status deployment/web --timeout=60s");
    assert!(kubectl.ok("rollout undo deployment/web --to-revision=1").contains("rolled back"));
    kubectl.ok("rollout status deployment/web --timeout=60s");
    let container = &kubectl.json("get deployment web")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((container["image"].as_str(), &container["resources"]["requests"]), (Some(KUBIA), &Value::Null));
}

/// Jobs as deployments: with their pods or without.
fn taken_along(kubectl: &Kubectl) {
    let of_jobs = |count: usize| {
        let list = || kubectl.json("get pods -l batch.kubernetes.io/job-name")["items"].as_array().map_or(0, Vec::len);
        wait_for("the jobs' pods", SOON, || (list() == count).then_some(()));
    };
    kubectl.ok("create job again --from=cronjob/tick");
    kubectl.ok("wait --for=condition=complete job/again --timeout=60s");
    of_jobs(2);
    kubectl.ok("delete job sum --cascade=orphan");
    assert_eq!(kubectl.json("get pods -l batch.kubernetes.io/job-name=sum")["items"][0]["metadata"]["ownerReferences"], Value::Null);
    kubectl.ok("delete cronjob tick --cascade=foreground --timeout=60s");
    assert!(kubectl.run("get job again").refused().contains("NotFound"));
    of_jobs(1);
    kubectl.ok("delete pods --all");
    kubectl.ok("delete deployment web --cascade=background");
    wait_for("nothing is left", SOON, || kubectl.json("get replicasets,pods -l app=web")["items"].as_array()?.is_empty().then_some(()));
}

fn pods(kubectl: &Kubectl) -> Vec<Value> {
    kubectl.json("get pods -l app=web")["items"].as_array().cloned().unwrap_or_default()
}
