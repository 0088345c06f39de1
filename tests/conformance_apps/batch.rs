//! Jobs and cron jobs.
use super::*;

const BATCH: &str = "batch/v1";

fn job(name: &str, line: &str, spec: &Value) -> Value {
    let mut template = template(name, line);
    template["spec"]["restartPolicy"] = "Never".into();
    let mut job = json!({"metadata": {"name": name}, "spec": {"template": template}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        job["spec"][field] = value.clone();
    }
    job
}

const WAIT: &str = "trap exit TERM; while true; do sleep 0.2; done";

fn done(job: &Value) -> bool {
    holds(job, "Complete").is_some()
}

fn failed(job: &Value) -> bool {
    holds(job, "Failed").is_some()
}

#[test]
fn jobs_keep_their_pods_and_their_status() {
    let mut place = Place::new("jobs");
    place.create(BATCH, "jobs", &job("two", WAIT, &json!({"parallelism": 2, "completions": 4, "suspend": false})));
    let pods = place.until_items("two run", "v1", "pods", |pods| pods.len() == 2 && pods.iter().all(ready));
    let path = format!("pods/{}", name(&pods[0]));
    place.patch("v1", &path, &json!({"metadata": {"ownerReferences": null}}));
    place.until("the orphan is adopted", "v1", &path, |pod| owner(pod) == "Job");
    place.patch("v1", &path, &json!({"metadata": {"labels": {"job-name": null, "batch.kubernetes.io/job-name": null, "controller-uid": null, "batch.kubernetes.io/controller-uid": null}}}));
    place.until("it is let go", "v1", &path, |pod| pod["metadata"]["ownerReferences"].is_null());
    place.until("another takes its place", BATCH, "jobs/two", |j| j["status"]["active"] == 2 && j["status"]["failed"].is_null());
    place.change_status(BATCH, "jobs/two");
    place.delete(BATCH, "jobs/two?propagationPolicy=Foreground");
    let client = &mut place.client;
    let gone = format!("/apis/batch/v1/namespaces/{}/jobs/two", place.kubectl.namespace);
    wait_for("it is gone", SOON, || (client.get(&gone).ok()?.status == 404).then_some(()));

    // Suspended, patched, replaced, resumed.
    place.create(BATCH, "jobs", &job("later", "true", &json!({"suspend": true})));
    place.until("it is suspended", BATCH, "jobs/later", |j| holds(j, "Suspended").is_some());
    place.patch(BATCH, "jobs/later", &json!({"metadata": {"labels": {"patched": "yes"}}}));
    let resumed = place.change(BATCH, "jobs/later", |job| {
        job["metadata"]["annotations"] = json!({"updated": "true"});
        job["spec"]["suspend"] = false.into();
    });
    assert_eq!(resumed["metadata"]["annotations"]["updated"], "true");
    place.until("it is done", BATCH, "jobs/later", done);
    place.collection(BATCH, "jobs", &job("x", "true", &json!({"suspend": true})));
}

#[test]
fn indexes_have_names_numbers_and_limits() {
    let mut place = Place::new("jobs-indexed");
    let indexed = |more: &Value| {
        let mut spec = json!({"completions": 4, "parallelism": 4, "completionMode": "Indexed"});
        more.as_object().into_iter().flatten().for_each(|(field, value)| spec[field] = value.clone());
        spec
    };
    place.create(BATCH, "jobs", &job("names", "test $(hostname) = names-$JOB_COMPLETION_INDEX", &indexed(&json!({}))));
    let end = place.until("all succeed", BATCH, "jobs/names", done);
    assert_eq!((&end["status"]["succeeded"], &end["status"]["completedIndexes"]), (&4.into(), &"0-3".into()));
    for pod in place.items("v1", "pods") {
        let index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"].as_str().unwrap_or_default().to_string();
        assert_eq!(pod["spec"]["hostname"], format!("names-{index}"));
    }

    // Odd indexes fail, each twice.
    let odd = "test $JOB_COMPLETION_INDEX = 0 || test $JOB_COMPLETION_INDEX = 2";
    place.create(BATCH, "jobs", &job("odd", odd, &indexed(&json!({"backoffLimitPerIndex": 1}))));
    let end = place.until("it ends", BATCH, "jobs/odd", failed);
    let told = ["failedIndexes", "completedIndexes", "failed", "succeeded"].map(|f| end["status"][f].clone());
    assert_eq!(told, [json!("1,3"), json!("0,2"), json!(4), json!(2)]);
    assert_eq!(holds(&end, "Failed").as_deref(), Some("FailedIndexes"));

    place.create(
        BATCH,
        "jobs",
        &job("many", "exit 1", &indexed(&json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 0, "parallelism": 1}))),
    );
    let end = place.until("it is ended", BATCH, "jobs/many", failed);
    assert_eq!((holds(&end, "Failed").as_deref(), &end["status"]["failed"]), (Some("MaxFailedIndexesExceeded"), &1.into()));

    let rules = json!({"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}]});
    let line = "test $JOB_COMPLETION_INDEX != 0 || exit 42";
    place.create(BATCH, "jobs", &job("index", line, &indexed(&json!({"backoffLimitPerIndex": 3, "podFailurePolicy": rules}))));
    let end = place.until("the index fails at once", BATCH, "jobs/index", failed);
    let told = ["failedIndexes", "completedIndexes", "failed"].map(|f| end["status"][f].clone());
    assert_eq!(told, [json!("0"), json!("1-3"), json!(1)]);
}

#[test]
fn failures_by_their_policy() {
    let mut place = Place::new("jobs-policies");
    let rules = json!({"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}]});
    place.create(BATCH, "jobs", &job("early", "exit 42", &json!({"backoffLimit": 6, "podFailurePolicy": rules})));
    let end = place.until("it fails early", BATCH, "jobs/early", failed);
    assert_eq!((holds(&end, "Failed").as_deref(), &end["status"]["failed"]), (Some("PodFailurePolicy"), &1.into()));

    let rules = json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]});
    let mut patient = job("patient", WAIT, &json!({"backoffLimit": 0, "podFailurePolicy": rules}));
    // It fails when it is told to end, and succeeds when there is a mark.
    patient["spec"]["template"]["spec"]["containers"][0]["command"] =
        json!(["sh", "-c", "trap 'exit 1' TERM; while true; do test -f /tmp/done && exit 0; sleep 0.2; done"]);
    place.create(BATCH, "jobs", &patient);
    let selector = "pods?labelSelector=app%3Dpatient";
    let pods = place.until_items("it runs", "v1", selector, |pods| pods.len() == 1 && ready(&pods[0]));
    let first = name(&pods[0]);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first}});
    let answer = place.client.post(&place.path("v1", &format!("pods/{first}/eviction")), &eviction).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
    let pods = place.until_items("another runs", "v1", selector, |pods| pods.iter().any(|p| name(p) != first && ready(p)));
    let second = pods.iter().map(name).find(|n| *n != first).unwrap_or_default();
    place.kubectl.ok(&format!("exec {second} -- touch /tmp/done"));
    let end = place.until("it is done", BATCH, "jobs/patient", done);
    assert!(end["status"]["failed"].is_null(), "an ignored failure was counted: {}", end["status"]);

    // Restarted in place.
    let mut retry = job("retry", "test -f /data/seen || { touch /data/seen; exit 1; }", &json!({"completions": 2, "parallelism": 2}));
    retry["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    retry["spec"]["template"]["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    retry["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    place.create(BATCH, "jobs", &retry);
    let end = place.until("it is done", BATCH, "jobs/retry", done);
    assert_eq!((&end["status"]["succeeded"], &end["status"]["failed"]), (&2.into(), &Value::Null));
}

#[test]
fn successes_by_their_policy() {
    let mut place = Place::new("jobs-success");
    let line = "test $JOB_COMPLETION_INDEX = 0 && exit 0; trap 'exit 1' TERM; while true; do sleep 0.2; done";
    let cases = [
        ("all", "true", json!({"succeededIndexes": "0-1"})),
        ("count", line, json!({"succeededCount": 1})),
        ("these", line, json!({"succeededIndexes": "0"})),
    ];
    for (name, line, rule) in cases {
        let spec =
            json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 0, "successPolicy": {"rules": [rule]}});
        place.create(BATCH, "jobs", &job(name, line, &spec));
        let end = place.until("it is content", BATCH, &format!("jobs/{name}"), done);
        assert_eq!(holds(&end, "SuccessCriteriaMet").as_deref(), Some("SuccessPolicy"), "{name}");
        assert_eq!(holds(&end, "Complete").as_deref(), Some("SuccessPolicy"), "{name}");
    }
}

fn cron(name: &str, policy: &str, line: &str) -> Value {
    let inner = job(name, line, &json!({}));
    json!({"metadata": {"name": name}, "spec": {"schedule": "* * * * *", "concurrencyPolicy": policy, "jobTemplate": {"spec": inner["spec"]}}})
}

/// As if its last time were so many minutes ago: the latest of the times since then is due at once.
fn forget(place: &mut Place, name: &str, minutes: i64) {
    let then = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() - minutes * 60).expect("a time");
    let then = then.strftime("%Y-%m-%dT%H:%M:00Z").to_string();
    place.patch(BATCH, &format!("cronjobs/{name}/status"), &json!({"status": {"lastScheduleTime": then}}));
}

#[test]
fn cron_jobs_and_what_still_runs() {
    let mut place = Place::new("cron");
    for (name, policy) in [("allow", "Allow"), ("forbid", "Forbid"), ("replace", "Replace")] {
        place.create(BATCH, "cronjobs", &cron(name, policy, WAIT));
        forget(&mut place, name, 2);
    }
    let mut asleep = cron("asleep", "Allow", WAIT);
    asleep["spec"]["suspend"] = true.into();
    place.create(BATCH, "cronjobs", &asleep);
    forget(&mut place, "asleep", 2);
    let active = |count: usize| move |c: &Value| c["status"]["active"].as_array().map_or(0, Vec::len) == count;
    let mut first = String::new();
    for name in ["allow", "forbid", "replace"] {
        let cron = place.until("one runs", BATCH, &format!("cronjobs/{name}"), active(1));
        first = cron["status"]["active"][0]["name"].as_str().unwrap_or_default().to_string();
    }
    // A minute later.
    place.until("two run at once", BATCH, "cronjobs/allow", active(2));
    place.until("the old one was replaced", BATCH, "cronjobs/replace", |c| {
        active(1)(c) && c["status"]["active"][0]["name"] != first.as_str()
    });
    assert!(active(1)(&place.get(BATCH, "cronjobs/forbid")), "a second one runs although it is forbidden");
    assert!(place.get(BATCH, "cronjobs/asleep")["status"]["active"].is_null(), "a suspended one runs");

    // The API, with a job by hand.
    place.change_cron();
}

impl Place {
    fn change_cron(&mut self) {
        let status = json!({"status": {"lastSuccessfulTime": "2026-01-01T00:00:00Z"}});
        assert_eq!(self.patch(BATCH, "cronjobs/asleep/status", &status)["status"]["lastSuccessfulTime"], "2026-01-01T00:00:00Z");
        let later =
            self.change(BATCH, "cronjobs/asleep/status", |cron| cron["status"]["lastSuccessfulTime"] = "2026-02-01T00:00:00Z".into());
        assert_eq!(later["status"]["lastSuccessfulTime"], "2026-02-01T00:00:00Z");
        self.patch(BATCH, "cronjobs/asleep", &json!({"metadata": {"annotations": {"patched": "true"}}}));
        let updated = self.change(BATCH, "cronjobs/asleep", |cron| cron["metadata"]["annotations"]["updated"] = "true".into());
        assert_eq!(updated["metadata"]["annotations"]["updated"], "true");
        for name in ["allow", "forbid", "replace", "asleep"] {
            self.delete(BATCH, &format!("cronjobs/{name}"));
        }
        self.collection(BATCH, "cronjobs", &{
            let mut asleep = cron("x", "Allow", "true");
            asleep["spec"]["suspend"] = true.into();
            asleep
        });
    }
}
