//! Jobs and cron jobs, by table.
use super::{indexes, schedule};
use crate::actors::kinds::Part;
use crate::actors::kinds::tests::{create, findings, kind, settled, stored, update};
use serde_json::{Value, json};

fn job(extra: Value) -> Value {
    let pod = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] });
    let mut body = json!({ "metadata": { "name": "j" }, "spec": { "template": { "spec": pod } } });
    for (key, value) in extra.as_object().into_iter().flatten() {
        body["spec"][key] = value.clone();
    }
    body
}

fn cron(extra: Value) -> Value {
    let mut body =
        json!({ "metadata": { "name": "c" }, "spec": { "schedule": "@hourly", "jobTemplate": { "spec": job(json!({}))["spec"] } } });
    for (key, value) in extra.as_object().into_iter().flatten() {
        body["spec"][key] = value.clone();
    }
    body
}

#[test]
fn a_job_is_completed() {
    let made = create("Job", job(json!({}))).expect("a job");
    let labels = json!({ "batch.kubernetes.io/controller-uid": "uid-1", "batch.kubernetes.io/job-name": "j", "controller-uid": "uid-1", "job-name": "j" });
    let mut spec = made["spec"].clone();
    spec.as_object_mut().map(|s| s.remove("template"));
    let want = json!({ "parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false, "manualSelector": false,
        "podReplacementPolicy": "TerminatingOrFailed", "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "uid-1" } } });
    assert_eq!(spec, want);
    assert_eq!((&made["spec"]["template"]["metadata"]["labels"], &made["metadata"]["labels"]), (&labels, &labels));
    assert_eq!((&made["status"], &made["metadata"]["generation"]), (&json!({}), &json!(1)));
    settled("Job", &made);

    let queue = create("Job", job(json!({ "parallelism": 3 }))).expect("a job");
    assert!(queue["spec"].get("completions").is_none());
    let policy = json!({ "rules": [{ "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget" }] }] });
    let policed =
        create("Job", job(json!({ "podFailurePolicy": policy, "completions": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1 })))
            .expect("a job");
    assert_eq!(policed["spec"]["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
    assert_eq!((&policed["spec"]["podReplacementPolicy"], &policed["spec"]["backoffLimit"]), (&json!("Failed"), &json!(i32::MAX)));
}

#[test]
fn bad_jobs() {
    let codes = |codes: Value| json!({ "podFailurePolicy": { "rules": [{ "action": "FailJob", "onExitCodes": codes }] } });
    let rules = "spec.podFailurePolicy.rules[0]";
    let mut always = job(json!({}))["spec"]["template"].clone();
    always["spec"].as_object_mut().map(|s| s.remove("restartPolicy"));
    let mut labelled = job(json!({}))["spec"]["template"].clone();
    labelled["metadata"]["labels"] = json!({ "job-name": "other" });
    let indexed = |extra: Value| {
        let mut spec = json!({ "completionMode": "Indexed", "completions": 3 });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        spec
    };
    let cases = [
        (json!({ "template": always }), vec!["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"".into()]),
        (json!({ "parallelism": -1 }), vec!["spec.parallelism: Invalid value: -1: must be greater than or equal to 0".into()]),
        (json!({ "maxFailedIndexes": 1 }), vec![
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified".into(),
            "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode".into(),
        ]),
        (json!({ "completionMode": "Indexed", "parallelism": 100_001 }), vec![
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed".into(),
            "spec.completions: Required value: when completion mode is Indexed".into(),
        ]),
        (json!({ "managedBy": "me" }), vec!["spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")".into()]),
        (json!({ "podReplacementPolicy": "Never" }), vec!["spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"".into()]),
        (codes(json!({ "operator": "In", "values": [2, 1, 0, 2] })), vec![
            format!("{rules}.onExitCodes.values[2]: Invalid value: 0: must not be 0 for the In operator"),
            format!("{rules}.onExitCodes.values[3]: Duplicate value: 2"),
            format!("{rules}.onExitCodes.values: Invalid value: [2,1,0,2]: must be ordered"),
        ]),
        (codes(json!({ "operator": "Is", "values": [], "containerName": "x" })), vec![
            format!("{rules}.onExitCodes.operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\""),
            format!("{rules}.onExitCodes.containerName: Invalid value: \"x\": must be one of the container or initContainer names in the pod template"),
            format!("{rules}.onExitCodes.values: Invalid value: []: at least one value is required"),
        ]),
        (json!({ "podFailurePolicy": { "rules": [{ "action": "" }] } }), vec![
            format!("{rules}.action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            format!("{rules}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"),
        ]),
        (indexed(json!({ "successPolicy": { "rules": [{}] } })), vec!["spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified".into()]),
        (indexed(json!({ "successPolicy": { "rules": [{ "succeededIndexes": "0-1", "succeededCount": 3 }] } })), vec!["spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)".into()]),
        (indexed(json!({ "successPolicy": { "rules": [{ "succeededIndexes": "1,1" }] } })), vec!["spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"1,1\": error parsing succeededIndexes: non-increasing order, previous: 1, current: 1".into()]),
        (json!({ "template": labelled }), vec!["spec.template.metadata.labels[job-name]: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"uid-1\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":\"uid-1\",\"job-name\":\"other\"}: must be 'j'".into()]),
        (json!({ "manualSelector": true }), vec!["spec.selector: Required value".into(), "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`".into()]),
    ];
    for (extra, said) in cases {
        let said: Vec<String> = said;
        assert_eq!(findings(create("Job", job(extra.clone()))), said, "{extra}");
    }
}

#[test]
fn job_updates() {
    let old = stored("Job", job(json!({ "completionMode": "Indexed", "completions": 3, "parallelism": 3 })));
    let main = |old: &Value, change: fn(&mut Value)| findings(update("Job", Part::Main, old, change));
    assert_eq!(
        main(&old, |o| o["spec"]["completions"] = 4.into()),
        ["spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"]
    );
    let both: fn(&mut Value) = |o| {
        o["spec"]["completions"] = 4.into();
        o["spec"]["parallelism"] = 4.into();
    };
    assert_eq!(main(&old, both), Vec::<String>::new());
    let plain = stored("Job", job(json!({})));
    assert_eq!(main(&plain, |o| o["spec"]["completions"] = 2.into()), ["spec.completions: Invalid value: 2: field is immutable"]);
    let node: fn(&mut Value) = |o| o["spec"]["template"]["spec"]["nodeSelector"] = json!({ "k": "v" });
    assert!(main(&plain, node)[0].starts_with("spec.template: Invalid value: "));
    let mut suspended = plain.clone();
    suspended["spec"]["suspend"] = true.into();
    assert_eq!(main(&suspended, node), Vec::<String>::new());
    suspended["status"]["startTime"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(main(&suspended, node).len(), 1);

    let status = |old: &Value, status: Value| findings(update("Job", Part::Status, old, |o| o["status"] = status));
    let done = json!({ "conditions": [{ "type": "Complete", "status": "True" }], "active": 1 });
    assert_eq!(
        status(&plain, done),
        [
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.startTime: Required value: startTime is required for finished job",
            "status.completionTime: Required value: completionTime is required for Complete jobs",
        ]
    );
    let mut failed = plain.clone();
    failed["status"] = json!({ "failed": 2, "startTime": "2026-01-01T00:00:00Z", "conditions": [{ "type": "Failed", "status": "True" }] });
    assert_eq!(
        status(&failed, json!({ "failed": 1, "startTime": "2026-01-01T00:00:00Z" })),
        [
            "status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
            "status.failed: Invalid value: 1: cannot decrease the failed counter",
        ]
    );
}

#[test]
fn index_texts() {
    assert_eq!(indexes::parse_indexes("0,2-4", 5), Ok(vec![(0, 0), (2, 4)]));
    for (text, why) in [
        ("5", "too large index: \"5\""),
        ("a", "cannot convert string to integer for index: \"a\""),
        ("3-2", "non-increasing order, previous: 3, current: 2"),
        ("1-2-3", "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'"),
    ] {
        assert_eq!(indexes::parse_indexes(text, 5), Err(why.to_string()));
    }
    assert_eq!((indexes::overlap("0-2,4", "3", 9), indexes::overlap("0-2,4", "1,3", 9)), (None, Some(1)));
}

#[test]
fn schedules() {
    for good in ["* * * * *", "*/5 0-23/2 1,15 jan-MAR ?", "@hourly", "@every 1h30m", "5/15 * * * sun", "TZ=UTC 0 0 * * *"] {
        assert_eq!(schedule::check(good), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
        ("@often", "unrecognized descriptor: @often"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
    ] {
        assert_eq!(schedule::check(bad), Err(why.to_string()), "{bad}");
    }
}

#[test]
fn cron_jobs() {
    let made = create("CronJob", cron(json!({ "timeZone": "Etc/UTC" }))).expect("a cron job");
    let spec = &made["spec"];
    assert_eq!(
        (&spec["concurrencyPolicy"], &spec["suspend"], &spec["successfulJobsHistoryLimit"], &spec["failedJobsHistoryLimit"]),
        (&json!("Allow"), &json!(false), &json!(3), &json!(1))
    );
    assert!(spec["jobTemplate"]["spec"].get("backoffLimit").is_none());
    settled("CronJob", &made);
    let cases = [
        (json!({ "schedule": "" }), "spec.schedule: Required value"),
        (
            json!({ "schedule": "TZ=UTC 0 * * * *" }),
            "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
        (json!({ "timeZone": "Nowhere/Land" }), "spec.timeZone: Invalid value: \"Nowhere/Land\": unknown time zone Nowhere/Land"),
        (
            json!({ "timeZone": "local" }),
            "spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        ),
        (
            json!({ "concurrencyPolicy": "Maybe" }),
            "spec.concurrencyPolicy: Unsupported value: \"Maybe\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
        ),
    ];
    for (extra, said) in cases {
        assert_eq!(findings(create("CronJob", cron(extra.clone()))), [said], "{extra}");
    }
    let mut long = cron(json!({}));
    long["metadata"]["name"] = "c".repeat(53).into();
    assert!(findings(create("CronJob", long))[0].ends_with("must be no more than 52 characters"));
    let row = (kind("CronJob").row)(&made, 0);
    assert_eq!(row[1..6], [json!("@hourly"), json!("Etc/UTC"), json!("False"), json!(0), json!("<none>")]);
    assert_eq!((row.len(), kind("Job").columns.len()), (kind("CronJob").columns.len(), (kind("Job").row)(&json!({}), 0).len()));
}
