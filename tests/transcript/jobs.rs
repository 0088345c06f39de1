//! Work that ends: jobs that succeed and that fail, and cron jobs run by hand.
use super::with_each_kubectl;
use crate::busybox::IMAGE;
use crate::run::wait_for;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A job of one container that runs a shell line.
fn job(name: &str, line: &str, more: &str) -> String {
    format!(
        r#"apiVersion: batch/v1
kind: Job
metadata: {{ name: {name} }}
spec:
{more}
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers:
      - {{ name: work, image: "{IMAGE}", imagePullPolicy: IfNotPresent, command: [sh, -c, "{line}"] }}
"#
    )
}

#[test]
fn jobs_end() {
    with_each_kubectl("jobs", |kubectl| {
        kubectl
            .feed(
                "create",
                &job("sums", "echo index $JOB_COMPLETION_INDEX", "  completions: 3\n  parallelism: 2\n  completionMode: Indexed"),
            )
            .ok();
        kubectl.ok("wait --for=condition=complete job/sums --timeout=60s");
        let line = kubectl.ok("get job sums --no-headers");
        assert!(line.contains("Complete") && line.contains("3/3"), "{line}");
        let status = &kubectl.json("get job sums")["status"];
        assert_eq!((&status["succeeded"], &status["completedIndexes"]), (&3.into(), &"0-2".into()), "{status}");
        assert!(kubectl.ok("logs -l job-name=sums,batch.kubernetes.io/job-completion-index=1").contains("index 1"));
        let events = kubectl.ok("describe job sums");
        assert!(events.contains("SuccessfulCreate") && events.contains("Completed"), "{events}");

        kubectl.feed("create", &job("hopeless", "exit 7", "  backoffLimit: 0")).ok();
        kubectl.ok("wait --for=condition=failed job/hopeless --timeout=60s");
        let conditions = kubectl.ok("get job hopeless -o jsonpath={.status.conditions[*].reason}");
        assert_eq!(conditions, "BackoffLimitExceeded BackoffLimitExceeded");

        kubectl.ok(&format!("create cronjob tick --image={IMAGE} --schedule=@yearly -- true"));
        kubectl.ok("create job by-hand --from=cronjob/tick");
        kubectl.ok("wait --for=condition=complete job/by-hand --timeout=60s");
        assert_eq!(kubectl.ok("get job by-hand -o jsonpath={.metadata.ownerReferences[0].kind}"), "CronJob");

        // Nobody waits for pods that were counted.
        kubectl.ok("delete job sums hopeless");
        kubectl.ok("delete cronjob tick");
        wait_for("the jobs' pods are gone", SOON, || kubectl.json("get pods")["items"].as_array()?.is_empty().then_some(()));
    });
}
