use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::testing::{Bench, Model, at, key};

pub(super) fn mk_job(spec: Value) -> Value {
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "default"}, "spec": {
        "parallelism": 1, "completions": 1, "backoffLimit": 6, "selector": {"matchLabels": {"job": "j"}},
        "template": {"metadata": {"labels": {"job": "j"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}}});
    for (field, value) in spec.as_object().unwrap() {
        job["spec"][field] = value.clone();
    }
    job
}

fn settle(model: &Model, now: i64) {
    let mut controller = Jobs;
    Bench::new(model, &mut controller).converge(&mut controller, now);
}

fn live(model: &Model) -> Vec<Arc<Entry>> {
    let all = model.list("pods", None).into_iter();
    all.filter(|p| Pod::of(p.clone()).is_some_and(|p| p.active())).collect()
}

/// Ends the pods that are active, each with this code, at `now`.
fn finish(model: &Model, code: i64, now: i64) {
    for pod in live(model) {
        end_pod(model, &pod, code, now);
    }
}

fn end_pod(model: &Model, pod: &Entry, code: i64, now: i64) {
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let ended = json!({"exitCode": code, "finishedAt": rfc3339(at(now))});
    let status = json!({"phase": phase, "containerStatuses": [{"name": "c", "state": {"terminated": ended}}]});
    model.edit("pods", &pod.key, json!({ "status": status }));
}

fn status(model: &Model) -> Value {
    model.get(JOBS, &key("j")).unwrap().parse()["status"].clone()
}

/// The reasons of the conditions that hold, by type.
fn conditions(model: &Model) -> Vec<String> {
    let status = status(model);
    let held = status["conditions"].as_array().into_iter().flatten().filter(|c| c["status"] == "True");
    held.map(|c| format!("{}/{}", c["type"].as_str().unwrap(), c["reason"].as_str().unwrap())).collect()
}

fn reasons(model: &Model) -> Vec<&'static str> {
    model.events().iter().map(|e| e.reason).collect()
}

#[test]
fn a_job_runs_to_completion() {
    let model = Model::default();
    model.put(JOBS, mk_job(json!({"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 60})));
    settle(&model, 10);
    assert_eq!(
        (live(&model).len(), &status(&model)["active"], &status(&model)["startTime"]),
        (2, &json!(2), &json!("1970-01-01T00:00:10Z"))
    );
    finish(&model, 0, 11);
    settle(&model, 11);
    assert_eq!((live(&model).len(), &status(&model)["succeeded"]), (1, &json!(2)));
    finish(&model, 0, 12);
    settle(&model, 12);
    let end = status(&model);
    assert_eq!(conditions(&model), ["SuccessCriteriaMet/CompletionsReached", "Complete/CompletionsReached"]);
    assert_eq!((&end["succeeded"], &end["active"], &end["completionTime"]), (&json!(3), &Value::Null, &json!("1970-01-01T00:00:12Z")));
    assert_eq!(end["uncountedTerminatedPods"], json!({}));
    assert!(model.list("pods", None).iter().all(|p| !is_tracked(p)));
    assert!(reasons(&model).contains(&"Completed"));
    settle(&model, 71);
    assert!(model.get(JOBS, &key("j")).unwrap().meta.deleting.is_none());
    settle(&model, 72);
    assert!(model.get(JOBS, &key("j")).unwrap().meta.deleting.is_some());
}

#[test]
fn failures_are_paused_for_and_limited() {
    let model = Model::default();
    model.put(JOBS, mk_job(json!({"backoffLimit": 2})));
    // The pause is 10 s, then 20 s.
    for (now, early) in [(0, 9), (10, 29)] {
        settle(&model, now);
        assert_eq!(live(&model).len(), 1, "at {now}");
        finish(&model, 1, now);
        settle(&model, early);
        assert_eq!(live(&model).len(), 0, "at {early}");
    }
    settle(&model, 30);
    assert_eq!((live(&model).len(), &status(&model)["failed"]), (1, &json!(2)));
    finish(&model, 1, 31);
    settle(&model, 31);
    assert_eq!(conditions(&model), ["FailureTarget/BackoffLimitExceeded", "Failed/BackoffLimitExceeded"]);
    assert_eq!((&status(&model)["failed"], reasons(&model).contains(&"BackoffLimitExceeded")), (&json!(3), true));
}

#[test]
fn indexes_have_pods_of_their_own() {
    let model = Model::default();
    let spec =
        json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 1, "backoffLimit": i32::MAX});
    model.put(JOBS, mk_job(spec));
    settle(&model, 0);
    let pods = live(&model);
    let mut hosts: Vec<String> = pods.iter().map(|p| p.parse()["spec"]["hostname"].as_str().unwrap().into()).collect();
    hosts.sort();
    assert_eq!(hosts, ["j-0", "j-1", "j-2"]);
    let first = pods[0].parse();
    assert_eq!(
        (&first["spec"]["containers"][0]["env"][0]["name"], &first["metadata"]["annotations"][facts::INDEX_FAILURES]),
        (&json!("JOB_COMPLETION_INDEX"), &json!("0"))
    );
    let of = |index: &str| live(&model).into_iter().find(|p| p.meta.label(facts::INDEX) == Some(index)).unwrap();
    end_pod(&model, &of("0"), 0, 1);
    end_pod(&model, &of("1"), 1, 1);
    end_pod(&model, &of("2"), 0, 1);
    settle(&model, 2);
    assert_eq!((&status(&model)["completedIndexes"], &status(&model)["failedIndexes"], live(&model).len()), (&json!("0,2"), &json!(""), 0));
    settle(&model, 11);
    assert_eq!(of("1").parse()["metadata"]["annotations"][facts::INDEX_FAILURES], "1");
    end_pod(&model, &of("1"), 1, 12);
    settle(&model, 12);
    assert_eq!(
        (&status(&model)["failedIndexes"], &status(&model)["failed"], &status(&model)["succeeded"]),
        (&json!("1"), &json!(2), &json!(2))
    );
    assert_eq!(conditions(&model), ["FailureTarget/FailedIndexes", "Failed/FailedIndexes"]);
}

#[test]
fn suspension_policies_and_deadlines() {
    let model = Model::default();
    model.put(JOBS, mk_job(json!({"suspend": true, "activeDeadlineSeconds": 50})));
    settle(&model, 0);
    assert_eq!(
        (live(&model).len(), conditions(&model), &status(&model)["startTime"]),
        (0, vec!["Suspended/JobSuspended".to_string()], &Value::Null)
    );
    model.edit(JOBS, &key("j"), json!({"spec": {"suspend": false}}));
    settle(&model, 5);
    assert_eq!((live(&model).len(), conditions(&model).len(), reasons(&model).contains(&"Resumed")), (1, 0, true));
    model.edit(JOBS, &key("j"), json!({"spec": {"suspend": true}}));
    settle(&model, 6);
    model.reap_pods();
    settle(&model, 7);
    assert_eq!((live(&model).len(), &status(&model)["failed"]), (0, &Value::Null));
    model.edit(JOBS, &key("j"), json!({"spec": {"suspend": false}}));
    settle(&model, 60);
    settle(&model, 109);
    assert_eq!(conditions(&model).len(), 0);
    settle(&model, 110);
    model.reap_pods();
    settle(&model, 110);
    assert_eq!(conditions(&model), ["FailureTarget/DeadlineExceeded", "Failed/DeadlineExceeded"]);

    let rules = json!([{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]);
    let model = Model::default();
    model.put(JOBS, mk_job(json!({"backoffLimit": 0, "podFailurePolicy": {"rules": rules}})));
    settle(&model, 0);
    finish(&model, 3, 0);
    settle(&model, 20);
    assert_eq!((live(&model).len(), &status(&model)["failed"]), (1, &Value::Null));
    finish(&model, 42, 20);
    settle(&model, 21);
    assert_eq!(conditions(&model), ["FailureTarget/PodFailurePolicy", "Failed/PodFailurePolicy"]);

    let model = Model::default();
    let spec =
        json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3, "successPolicy": {"rules": [{"succeededIndexes": "0"}]}});
    model.put(JOBS, mk_job(spec));
    settle(&model, 0);
    let zero = live(&model).into_iter().find(|p| p.meta.label(facts::INDEX) == Some("0")).unwrap();
    end_pod(&model, &zero, 0, 1);
    settle(&model, 1);
    model.reap_pods();
    settle(&model, 2);
    assert_eq!(
        (conditions(&model), live(&model).len()),
        (vec!["SuccessCriteriaMet/SuccessPolicy".into(), "Complete/SuccessPolicy".to_string()], 0)
    );
}

#[test]
fn pods_without_a_job_are_let_go() {
    let model = Model::default();
    model.put(JOBS, mk_job(json!({})));
    settle(&model, 0);
    model.delete_now(JOBS, &key("j"), Propagation::Background);
    let mut controller = Jobs;
    Bench::new(&model, &mut controller).converge(&mut controller, 1);
    assert!(model.list("pods", None).iter().all(|p| !is_tracked(p)));
}
