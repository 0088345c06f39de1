use super::super::feed::Objects;
use super::*;
use crate::actors::controllers::testing::{Bench, Model, at, key};

fn zone(name: &str) -> TimeZone {
    if name == "UTC" { TimeZone::UTC } else { TimeZone::get(name).unwrap() }
}

#[test]
fn when_schedules_are_due() {
    let cases = [
        ("*/15 * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"),
        ("30 4 1,15 * 5", "UTC", "2026-01-01T05:00:00Z", "2026-01-02T04:30:00Z"),
        ("0 0 29 feb *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("@weekly", "UTC", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("@every 90s", "UTC", "2026-01-01T00:00:00.5Z", "2026-01-01T00:01:30Z"),
        ("0 9 * * *", "America/New_York", "2026-07-01T00:00:00Z", "2026-07-01T13:00:00Z"),
        // The clock skips 02:30 on that night.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"),
    ];
    for (text, name, after, want) in cases {
        let schedule = schedule::parse(text).unwrap();
        let found = times::next(&schedule, &zone(name), after.parse().unwrap());
        assert_eq!(found, Some(want.parse().unwrap()), "{text} {name}");
    }
    assert_eq!(times::next(&schedule::parse("0 0 31 2 *").unwrap(), &TimeZone::UTC, at(0)), None);
    let minutely = schedule::parse("* * * * *").unwrap();
    let due = times::due(&minutely, &TimeZone::UTC, at(0), at(1_000_000_000)).unwrap();
    assert_eq!((due.latest.as_second(), due.many), (1_000_000_000 / 60 * 60, true));
}

fn cron(policy: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c", "namespace": "default"}, "spec": {
        "schedule": "*/10 * * * *", "concurrencyPolicy": policy, "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0,
        "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": {}}}}}})
}

fn jobs(model: &Model) -> Vec<String> {
    model.list(JOBS, None).iter().filter(|j| j.meta.deleting.is_none()).map(|j| j.key.name.to_string()).collect()
}

fn look(model: &Model, now: i64) {
    // A fresh controller every time, as after a crash.
    let mut controller = CronJobs;
    Bench::new(model, &mut controller).converge(&mut controller, now);
}

fn end(model: &Model, name: &str, how: &str) {
    let status = json!({"status": {"conditions": [{"type": how, "status": "True"}], "completionTime": "1970-01-01T00:11:00Z"}});
    model.edit(JOBS, &key(name), status);
}

#[test]
fn one_job_for_each_time_whatever_the_clock_does() {
    let model = Model::default();
    model.put(CRON_JOBS, cron("Allow"));
    for (now, want) in [(599, vec![]), (601, vec!["c-10"]), (700, vec!["c-10"]), (60, vec!["c-10"]), (650, vec!["c-10"])] {
        look(&model, now);
        assert_eq!(jobs(&model), want, "at {now}");
    }
    let job = model.get(JOBS, &key("c-10")).unwrap().parse();
    assert_eq!(job["metadata"]["annotations"][SCHEDULED], "1970-01-01T00:10:00Z");
    assert_eq!((&job["metadata"]["labels"]["a"], &job["metadata"]["ownerReferences"][0]["kind"]), (&json!("b"), &json!("CronJob")));
    let status = |model: &Model| model.get(CRON_JOBS, &key("c")).unwrap().parse()["status"].clone();
    assert_eq!(
        (&status(&model)["active"][0]["name"], &status(&model)["lastScheduleTime"]),
        (&json!("c-10"), &json!("1970-01-01T00:10:00Z"))
    );
    // A job that is gone is not made again.
    end(&model, "c-10", "Complete");
    look(&model, 700);
    assert_eq!((&status(&model)["active"], &status(&model)["lastSuccessfulTime"]), (&Value::Null, &json!("1970-01-01T00:11:00Z")));
    model.delete_now(JOBS, &key("c-10"), Propagation::Background);
    look(&model, 710);
    assert!(jobs(&model).is_empty());
    // Of the times that were missed only the latest is made up for.
    look(&model, 6010);
    assert_eq!(jobs(&model), ["c-100"]);
}

#[test]
fn concurrency_and_history() {
    for (policy, want) in [("Allow", vec!["c-10", "c-20"]), ("Forbid", vec!["c-10"]), ("Replace", vec!["c-20"])] {
        let model = Model::default();
        model.put(CRON_JOBS, cron(policy));
        look(&model, 601);
        look(&model, 1201);
        assert_eq!(jobs(&model), want, "{policy}");
    }
    let model = Model::default();
    model.put(CRON_JOBS, cron("Allow"));
    for now in [601, 1201, 1801] {
        look(&model, now);
    }
    for (name, how) in [("c-10", "Complete"), ("c-20", "Complete"), ("c-30", "Failed")] {
        end(&model, name, how);
    }
    look(&model, 1802);
    assert_eq!(jobs(&model), ["c-20"]);
    assert!(model.events().iter().any(|e| e.reason == "SawCompletedJob" && e.message == "Saw completed job: c-30, condition: Failed"));
}
