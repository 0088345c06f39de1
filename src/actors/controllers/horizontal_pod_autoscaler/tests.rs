//! The calculations by table, after upstream's cases; the controller by what it writes and tells.
use super::behavior::{Policy, Rules, Select};
use super::calculator::{Measured, Values, by_average, by_share, by_total, by_utilization};
use super::pods::Readiness;
use super::question::{Answer, Answers, Question};
use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::index::Index;
use crate::actors::controllers::testing::{Model, at, key as object_key, mk_pod};
use crate::actors::controllers::world::View as Eyes;
use crate::protocol::light::Phase;
use std::sync::Mutex;

/// Now, in the tables: half an hour after the pods' start.
const NOW: i64 = 1_800_000;

/// A pod that has long been ready, with requests of its one container `c` in milli-CPUs and of its sidecar `s`.
fn pod(number: usize, request: i64) -> PodFacts {
    let resources = |milli: i64| json!({ "requests": { "cpu": format!("{milli}m") } });
    let containers = json!([{ "name": "c", "resources": resources(request) }]);
    PodFacts {
        name: format!("p{number}").into(),
        phase: Phase::Running,
        ready: Some(Readiness { status: true, denied: false, since: 1000 }),
        started: Some(0),
        object: json!({ "spec": { "containers": containers } }),
        ..PodFacts::default()
    }
}

fn pods(count: usize, request: i64) -> Vec<PodFacts> {
    (0..count).map(|n| pod(n, request)).collect()
}

fn values(list: &[i64]) -> Values {
    let measured = |value: i64| Measured { at: NOW, window: 60_000, value };
    list.iter().enumerate().map(|(n, value)| (format!("p{n}").into(), measured(*value))).collect()
}

fn basis(pods: &[PodFacts], current: i64) -> Basis<'_> {
    Basis { pods, current, tolerances: tolerances(None), resource: Some("cpu"), now: NOW }
}

/// What is special about pods.
type Twist = fn(&mut Vec<PodFacts>);

const STARTING: Twist = |pods| {
    pods[0].started = Some(NOW - 60_000);
    pods[0].ready = Some(Readiness { status: false, denied: true, since: NOW - 60_000 });
};
/// Ready for half a window only.
const FRESH: Twist = |pods| {
    pods[0].started = Some(NOW - 60_000);
    pods[0].ready = Some(Readiness { status: true, denied: false, since: NOW - 30_000 });
};
const PENDING: Twist = |pods| pods[0].phase = Phase::Pending;
const FAILED: Twist = |pods| pods[0].phase = Phase::Failed;
const DELETED: Twist = |pods| pods[0].deleting = true;
/// It was ready once and is not now: its work goes on somewhere.
const FELL_ILL: Twist = |pods| pods[0].ready = Some(Readiness { status: false, denied: true, since: NOW - 300_000 });
const NOTHING: Twist = |_| {};

#[test]
fn utilization_makes_replicas() {
    // What is special about the pods, their replicas, values, the target; replicas, percentage and average value then.
    let cases: &[(&str, Twist, i64, &[i64], i64, (i64, i64, i64))] = &[
        ("up", NOTHING, 3, &[300, 500, 700], 30, (5, 50, 500)),
        ("up, with a pod that starts", STARTING, 3, &[300, 500, 700], 30, (4, 60, 600)),
        ("up, with a pod that is fresh", FRESH, 3, &[300, 500, 700], 30, (4, 60, 600)),
        ("a pod that fell ill counts", FELL_ILL, 3, &[300, 500, 700], 30, (5, 50, 500)),
        ("up, with a pending pod", PENDING, 3, &[300, 500, 700], 30, (4, 60, 600)),
        ("a failed pod is none", FAILED, 2, &[300, 500, 700], 30, (4, 60, 600)),
        ("a pod that goes is none", DELETED, 2, &[300, 500, 700], 30, (4, 60, 600)),
        ("pods that start may not turn up into down", STARTING, 3, &[900, 330, 330], 30, (3, 33, 330)),
        ("down", NOTHING, 5, &[100, 300, 500, 250, 250], 50, (3, 28, 280)),
        ("down, with a pod that starts", STARTING, 5, &[900, 300, 500, 250, 250], 50, (3, 32, 325)),
        ("within tolerance", NOTHING, 3, &[1010, 1030, 1020], 100, (3, 102, 1020)),
        ("missing ones use nothing on the way up", NOTHING, 4, &[1000, 1000], 40, (5, 100, 1000)),
        ("missing ones may not turn it", NOTHING, 4, &[1000, 1000], 60, (4, 100, 1000)),
        ("missing ones use all on the way down", NOTHING, 4, &[400, 95], 100, (3, 24, 247)),
        ("missing ones use the target above all", NOTHING, 4, &[400, 95], 300, (3, 24, 247)),
        ("nothing is used", NOTHING, 2, &[0, 0], 50, (0, 0, 0)),
    ];
    for (what, change, current, list, target, want) in cases {
        let mut pods = pods((*current as usize).max(list.len()), 1000);
        change(&mut pods);
        let found = by_utilization(&basis(&pods, *current), &values(list), "", *target);
        assert_eq!(found.as_ref(), Ok(want), "{what}");
    }
}

#[test]
fn requests_must_be_known() {
    let mut pods = pods(1, 100);
    let ask = |pods: &[PodFacts], container: &str| by_utilization(&basis(pods, 1), &values(&[100]), container, 50).map(|(n, ..)| n);
    assert_eq!(ask(&pods, "c"), Ok(2));
    assert_eq!(ask(&pods, "d"), Err("container d not found in Pod p0".into()));
    pods[0].object["spec"]["initContainers"] = json!([{ "name": "s", "restartPolicy": "Always" }, { "name": "once" }]);
    assert_eq!(ask(&pods, "c"), Ok(2));
    assert_eq!(ask(&pods, ""), Err("missing request for cpu in container s of Pod p0".into()));
    pods[0].object["spec"]["resources"] = json!({ "requests": { "cpu": "50m" } });
    assert_eq!(ask(&pods, ""), Ok(4));
    pods[0].object["spec"]["resources"] = json!({ "requests": { "memory": "1Mi" } });
    assert_eq!(ask(&pods, ""), Err("missing pod-level request for cpu in Pod p0".into()));
    STARTING(&mut pods);
    assert_eq!(ask(&pods, "c"), Err("did not receive metrics for targeted pods (pods might be unready)".into()));
    assert_eq!(ask(&[], "c"), Err("no pods returned by selector while calculating replica count".into()));
}

#[test]
fn other_targets_make_replicas() {
    let average = |list: &[i64], current: usize, target: i64| {
        let pods = pods(current, 0);
        by_average(&Basis { resource: None, ..basis(&pods, current as i64) }, &values(list), target)
    };
    assert_eq!(average(&[20_000, 10_000, 30_000], 3, 15_000), Ok((4, 20_000)));
    assert_eq!(average(&[12_000, 12_000, 12_000, 12_000, 12_000], 5, 20_000), Ok((3, 12_000)));
    assert_eq!(average(&[20_000, 19_000, 21_000], 3, 19_000), Ok((3, 20_000)));
    assert_eq!(average(&[50_000, 10_000], 4, 25_000), Ok((4, 30_000)), "with the missing ones it would be down");
    assert_eq!(average(&[10_000, 10_000], 4, 20_000), Ok((3, 10_000)), "the missing ones use what they may");
    let total = |value, target, current: usize| {
        let mut pods = pods(current, 0);
        if current > 1 {
            STARTING(&mut pods);
        }
        by_total(&basis(&pods, current as i64), value, target)
    };
    assert_eq!(total(20_000, 15_000, 3), Ok(3), "two are ready, and they are a third too few");
    assert_eq!(total(8_600, 4_400, 3), Ok(4));
    assert_eq!(total(4_500, 4_400, 3), Ok(3));
    assert_eq!(total(10_000, 4_000, 0), Ok(3), "from nothing");
    assert_eq!(total(0, 4_000, 0), Ok(0));
    assert_eq!(total(i64::MAX, 1, 1), Ok(calculator::MOST));
    let share = |value, target, running| by_share(value, target, running, tolerances(None));
    assert_eq!(share(8_600, 2_150, 3), (4, 2_867));
    assert_eq!(share(8_600, 2_867, 3), (3, 2_867));
    assert_eq!(share(0, 2_867, 0), (0, 0));
    assert_eq!(share(5_000, 1_000, 0), (5, 5_000));
    let wide = Behavior::parse(&json!({ "scaleUp": { "tolerance": "500m" } }));
    assert_eq!(by_share(8_600, 2_150, 3, tolerances(wide.as_ref())), (3, 2_867), "a third is within a half");
}

fn rules(select: Select, policies: &[(bool, i64, i64)], window: i64) -> Rules {
    let policy = |(percent, value, period): &(bool, i64, i64)| Policy { percent: *percent, value: *value, period: *period };
    Rules { window, select, policies: policies.iter().map(policy).collect(), tolerance: None }
}

#[test]
fn policies_limit_the_pace() {
    let pods_4 = (false, 4, 60);
    let percent_10 = (true, 10, 60);
    // The way the target went before (seconds ago, from, to), where it is, what is wanted, the rules for both ways; the result.
    type Way = &'static [(i64, i64, i64)];
    let cases: &[(&str, Way, (i64, i64), Rules, i64, &str)] = &[
        ("pods", &[], (3, 30), rules(Select::Max, &[pods_4], 0), 7, "ScaleUpLimit"),
        ("the larger", &[], (50, 100), rules(Select::Max, &[pods_4, percent_10], 0), 56, "ScaleUpLimit"),
        ("the smaller", &[], (50, 100), rules(Select::Min, &[pods_4, percent_10], 0), 54, "ScaleUpLimit"),
        ("percent round up", &[], (3, 30), rules(Select::Max, &[percent_10], 0), 4, "ScaleUpLimit"),
        ("never", &[], (3, 30), rules(Select::Disabled, &[pods_4], 0), 3, "ScaleUpLimit"),
        ("most", &[], (98, 200), rules(Select::Max, &[pods_4], 0), 100, "TooManyReplicas"),
        ("a period that is used up", &[(30, 3, 7)], (7, 30), rules(Select::Max, &[pods_4], 0), 7, "ScaleUpLimit"),
        ("a period that is over", &[(61, 3, 7)], (7, 30), rules(Select::Max, &[pods_4], 0), 11, "ScaleUpLimit"),
        ("down and up again", &[(30, 9, 3)], (3, 30), rules(Select::Max, &[pods_4], 0), 13, "ScaleUpLimit"),
        ("down by pods", &[], (30, 3), rules(Select::Max, &[pods_4], 0), 26, "ScaleDownLimit"),
        ("down by percent", &[], (33, 3), rules(Select::Max, &[percent_10], 0), 29, "ScaleDownLimit"),
        ("down by the smaller", &[], (100, 3), rules(Select::Min, &[pods_4, percent_10], 0), 96, "ScaleDownLimit"),
        ("down never", &[], (30, 3), rules(Select::Disabled, &[pods_4], 0), 30, "ScaleDownLimit"),
        ("down, used up", &[(59, 34, 30)], (30, 3), rules(Select::Max, &[pods_4], 0), 30, "ScaleDownLimit"),
        ("fewest", &[], (4, 0), rules(Select::Max, &[pods_4], 0), 2, "TooFewReplicas"),
        ("within", &[], (4, 6), rules(Select::Max, &[pods_4], 0), 6, "DesiredWithinRange"),
    ];
    for (what, way, (current, desired), rules, want, reason) in cases {
        let behavior = Behavior { up: rules.clone(), down: rules.clone() };
        let mut history = History::default();
        for (ago, from, to) in *way {
            history.scaled(*from, *to, Some(&behavior), at(1000 - ago));
        }
        let wish = Wish { current: *current, desired: *desired, min: 2, max: 100 };
        let verdict = history.judge(wish, Some(&behavior), at(1000));
        assert_eq!((verdict.replicas, verdict.limit.0), (*want, *reason), "{what}");
        assert_eq!(verdict.limited, *reason != "DesiredWithinRange", "{what}");
    }
}

#[test]
fn recent_wishes_hold_back() {
    let wish = |current, desired| Wish { current, desired, min: 1, max: 100 };
    let go = |behavior: Option<&Behavior>, earlier: &[(i64, i64)], now: Wish| {
        let mut history = History::default();
        history.begin(now.current, at(0));
        for (ago, desired) in earlier {
            history.judge(wish(now.current, *desired), behavior, at(1000 - ago));
        }
        let verdict = history.judge(now, behavior, at(1000));
        (verdict.replicas, verdict.able.0)
    };
    // Without rules: down waits for five minutes; up goes at once, to the double or four.
    assert_eq!(go(None, &[(200, 5)], wish(6, 2)), (5, "ScaleDownStabilized"));
    assert_eq!(go(None, &[(301, 5)], wish(6, 2)), (2, "ReadyForNewScale"));
    assert_eq!(go(None, &[(10, 2)], wish(3, 9)), (6, "ReadyForNewScale"));
    assert_eq!(go(None, &[], wish(1, 9)), (4, "ReadyForNewScale"));
    let free = |up, down| Behavior { up: rules(Select::Max, &[(false, 100, 15)], up), down: rules(Select::Max, &[(true, 100, 15)], down) };
    assert_eq!(go(Some(&free(60, 0)), &[(30, 4)], wish(3, 9)), (4, "ScaleUpStabilized"));
    assert_eq!(go(Some(&free(60, 0)), &[(30, 2)], wish(3, 9)), (3, "ScaleUpStabilized"), "not down while it wants up");
    assert_eq!(go(Some(&free(60, 0)), &[(70, 2)], wish(3, 9)), (9, "ReadyForNewScale"));
    assert_eq!(go(Some(&free(0, 60)), &[(30, 7)], wish(9, 3)), (7, "ScaleDownStabilized"));
    assert_eq!(go(Some(&free(0, 60)), &[(30, 12)], wish(9, 3)), (9, "ScaleDownStabilized"));
    let given = Behavior::parse(&json!({ "scaleDown": { "selectPolicy": "Min" } })).unwrap();
    assert_eq!((given.up.window, given.down.window, given.up.policies.len(), given.down.select), (0, 300, 2, Select::Min));
}

struct Scales(Arc<Model>);

impl Targets for Scales {
    fn find(&self, reference: &Reference, namespace: &str) -> Result<Target, String> {
        reference.group()?;
        let key = ObjectKey::new(namespace, reference.name.as_str());
        let entry = self.0.get("deployments.apps", &key).ok_or_else(|| format!("deployments.apps \"{}\" not found", reference.name))?;
        let object = entry.parse();
        Ok(Target {
            shelf: "deployments.apps".into(),
            key,
            uid: entry.meta.uid.clone(),
            revision: entry.revision,
            replicas: object["spec"]["replicas"].as_i64().unwrap_or_default(),
            running: object["spec"]["replicas"].as_i64().unwrap_or_default(),
            selector: object["spec"]["selector"].as_str().unwrap_or_default().into(),
        })
    }

    fn resource(&self, _group: &str, kind: &str) -> Option<String> {
        (kind == "Service").then(|| "services".into())
    }
}

/// Answers at the second question.
#[derive(Clone, Default)]
struct Gauge(Arc<Mutex<(Option<Vec<Question>>, Answers)>>);

impl Meters<Key> for Gauge {
    fn read(&self, _key: &Key, questions: &[Question]) -> Option<Answers> {
        let mut held = self.0.lock().unwrap();
        match held.0.take() {
            Some(asked) => {
                assert_eq!(asked, questions);
                Some(held.1.clone())
            }
            None => {
                held.0 = Some(questions.to_vec());
                None
            }
        }
    }

    fn forget(&self, _key: &Key) {}
}

struct Stage {
    model: Arc<Model>,
    gauge: Gauge,
    controller: HorizontalPodAutoscalers,
}

impl Stage {
    /// A deployment `web` of so many pods, and an autoscaler `h` of 1 to 5 for it.
    fn new(replicas: i64, spec: Value) -> Stage {
        let (model, gauge) = (Arc::new(Model::default()), Gauge::default());
        model.put(
            "deployments.apps",
            json!({ "metadata": { "name": "web", "namespace": "default" }, "spec": { "replicas": replicas, "selector": "app=web" } }),
        );
        for number in 0..replicas {
            let mut pod = mk_pod(&format!("p{number}"), json!({ "app": "web" }));
            pod["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "100m" } });
            pod["status"] = json!({ "phase": "Running", "startTime": "1970-01-01T00:00:00Z",
                "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:01Z" }] });
            model.put("pods", pod);
        }
        let controller = HorizontalPodAutoscalers::new(Arc::new(Scales(model.clone())), Box::new(gauge.clone()), Box::new(|now| now));
        let stage = Stage { model, gauge, controller };
        stage.add("h", spec);
        stage
    }

    fn add(&self, name: &str, spec: Value) {
        let mut full = json!({ "minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }] });
        for (field, value) in spec.as_object().unwrap() {
            full[field] = value.clone();
        }
        self.model.put(SHELF, json!({ "metadata": { "name": name, "namespace": "default" }, "spec": full, "status": {} }));
    }

    fn measured(&self, list: &[i64]) {
        self.answers(vec![Ok(Answer::Pods(values(list)))]);
    }

    fn answers(&self, answers: Answers) {
        self.gauge.0.lock().unwrap().1 = answers;
    }

    /// Looks as the runner does, until it is to wait for time.
    fn look(&mut self, name: &str, seconds: i64) {
        let (key, mut failure) = (Key::of(SHELF, &object_key(name)), None);
        for _ in 0..4 {
            let index = Index::default();
            let world = Eyes { objects: &*self.model, index: &index };
            let plan = self.controller.plan(&key, &world, at(seconds), failure.as_ref());
            let refused = plan.actions.iter().find_map(|action| self.model.apply(action).err());
            failure = refused.map(|e| Failure { reason: "", message: e.message });
            let waits = plan.requeue_after.is_some_and(|d| d > Duration::ZERO && d <= SYNC);
            if waits && failure.is_none() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn status(&self, name: &str) -> Value {
        self.model.get(SHELF, &object_key(name)).unwrap().parse()["status"].clone()
    }

    fn condition(&self, type_: &str) -> (String, String, String) {
        let status = self.status("h");
        let found = status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == type_).cloned().unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_string();
        (text("status"), text("reason"), text("message"))
    }

    fn replicas(&self) -> i64 {
        self.model.get("deployments.apps", &object_key("web")).unwrap().parse()["spec"]["replicas"].as_i64().unwrap()
    }

    fn events(&self) -> Vec<(&'static str, String)> {
        self.model.events().into_iter().map(|note| (note.reason, note.message)).collect()
    }
}

fn told(status: &str, reason: &str, message: &str) -> (String, String, String) {
    (status.into(), reason.into(), message.into())
}

#[test]
fn it_scales_and_tells() {
    let mut stage = Stage::new(1, json!({}));
    stage.measured(&[250]);
    stage.look("h", 1000);
    assert_eq!(stage.replicas(), 4);
    let why = "New size: 4; reason: cpu resource utilization (percentage of request) above target";
    assert_eq!(stage.events(), [("SuccessfulRescale", why.to_string())]);
    let status = stage.status("h");
    assert_eq!((&status["currentReplicas"], &status["desiredReplicas"], &status["observedGeneration"]), (&json!(1), &json!(4), &json!(1)));
    assert_eq!(status["lastScaleTime"], "1970-01-01T00:16:40Z");
    let current = json!({ "averageUtilization": 250, "averageValue": "250m" });
    assert_eq!(status["currentMetrics"], json!([{ "type": "Resource", "resource": { "name": "cpu", "current": current } }]));
    assert_eq!(
        stage.condition("AbleToScale"),
        told("True", "SucceededRescale", "the HPA controller was able to update the target scale to 4")
    );
    let valid = "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)";
    assert_eq!(stage.condition("ScalingActive"), told("True", "ValidMetricFound", valid));
    let fast = "the desired replica count is increasing faster than the maximum scale rate";
    assert_eq!(stage.condition("ScalingLimited"), told("True", "ScaleUpLimit", fast));
    // Its own write brings it back at once; the rhythm makes it wait.
    stage.look("h", 1001);
    assert_eq!(stage.gauge.0.lock().unwrap().0, None);
    // The new pods are not measured and taken to do nothing: up stays up, and the most is the limit.
    stage.measured(&[2000]);
    stage.look("h", 1016);
    assert_eq!(stage.replicas(), 5);
    assert_eq!(stage.condition("ScalingLimited").1, "TooManyReplicas");
    // Down waits.
    stage.measured(&[0]);
    stage.look("h", 1032);
    assert_eq!(stage.replicas(), 5);
    assert_eq!(stage.condition("AbleToScale").1, "ScaleDownStabilized");
    stage.look("h", 1400);
    assert_eq!(stage.replicas(), 1);
    assert_eq!(stage.events().last().unwrap().1, "New size: 1; reason: All metrics below target");
}

#[test]
fn limits_hold_without_metrics() {
    let mut stage = Stage::new(8, json!({}));
    stage.look("h", 1000);
    assert_eq!(
        (stage.replicas(), stage.events()[0].1.as_str()),
        (5, "New size: 5; reason: Current number of replicas above Spec.MaxReplicas")
    );
    let mut stage = Stage::new(1, json!({ "minReplicas": 2 }));
    stage.look("h", 1000);
    assert_eq!(
        (stage.replicas(), stage.events()[0].1.as_str()),
        (2, "New size: 2; reason: Current number of replicas below Spec.MinReplicas")
    );
    let mut stage = Stage::new(0, json!({}));
    stage.look("h", 1000);
    let zero = "scaling is disabled since the replica count of the target is zero";
    assert_eq!((stage.replicas(), stage.condition("ScalingActive")), (0, told("False", "ScalingDisabled", zero)));
    let target = json!({ "averageValue": "10", "type": "AverageValue" });
    let external = json!([{ "type": "External", "external": { "metric": { "name": "jobs" }, "target": target } }]);
    let mut stage = Stage::new(0, json!({ "minReplicas": 0, "metrics": external }));
    stage.answers(vec![Ok(Answer::Total(25_000))]);
    stage.look("h", 1000);
    assert_eq!(stage.replicas(), 3, "what may be zero wakes");
}

#[test]
fn what_is_wrong_is_said() {
    let mut stage = Stage::new(2, json!({}));
    stage.answers(vec![Err("no metrics returned from resource metrics API".into())]);
    stage.look("h", 1000);
    let inner = "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API";
    let outer = format!("invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {inner}");
    assert_eq!(stage.events(), [("FailedGetResourceMetric", inner.to_string()), ("FailedComputeMetricsReplicas", outer)]);
    let unable = format!("the HPA was unable to compute the replica count: {inner}");
    assert_eq!(stage.condition("ScalingActive"), told("False", "FailedGetResourceMetric", &unable));
    assert_eq!(stage.status("h")["currentReplicas"], 2);

    let mut stage = Stage::new(2, json!({ "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "none" } }));
    stage.look("h", 1000);
    let unable = "the HPA controller was unable to get the target's current scale: deployments.apps \"none\" not found";
    assert_eq!(stage.condition("AbleToScale"), told("False", "FailedGetScale", unable));

    // Two look after the same pods: neither does, once it knows of the other.
    let mut stage = Stage::new(2, json!({}));
    stage.add("i", json!({}));
    stage.measured(&[50, 50]);
    stage.look("h", 1000);
    stage.look("i", 1000);
    let both = "pods by selector app=web are controlled by multiple HPAs: [{h default} {i default}]";
    assert_eq!(stage.events().first(), Some(&("AmbiguousSelector", both.to_string())));
    assert_eq!(stage.condition("ScalingActive").1, "ValidMetricFound");
    stage.look("h", 1016);
    assert_eq!(stage.condition("ScalingActive"), told("False", "AmbiguousSelector", both));
}

#[test]
fn some_metrics_may_fail() {
    let selector = json!({ "matchLabels": { "q": "a" } });
    let external = |field: &str| json!({ "type": "External", "external": { "metric": { "name": "jobs", "selector": selector }, "target": { field: "10" } } });
    let object = json!({ "type": "Object", "object": { "metric": { "name": "rps" }, "target": { "type": "Value", "value": "10" },
        "describedObject": { "apiVersion": "v1", "kind": "Service", "name": "s" } } });
    let metrics = json!([external("averageValue"), object]);
    for (total, replicas) in [(15_000, 2), (40_000, 4)] {
        let mut stage = Stage::new(2, json!({ "metrics": metrics }));
        stage.answers(vec![Ok(Answer::Total(total)), Err("no custom metrics API (custom.metrics.k8s.io) registered".into())]);
        stage.look("h", 1000);
        assert_eq!(stage.replicas(), replicas, "the unknown one might ask for as many as there are, so it goes up and not down");
        let why = "unable to get metric rps: no custom metrics API (custom.metrics.k8s.io) registered on Service default/s";
        assert_eq!(stage.events()[0], ("FailedGetObjectMetric", why.to_string()));
        assert_eq!(stage.status("h")["currentMetrics"][1], json!({ "type": "" }));
    }
    let series =
        "external metric jobs(&LabelSelector{MatchLabels:map[string]string{q: a,},MatchExpressions:[]LabelSelectorRequirement{},})";
    let mut stage = Stage::new(2, json!({ "metrics": [external("value")] }));
    stage.answers(vec![Ok(Answer::Total(20_000))]);
    stage.look("h", 1000);
    assert_eq!(stage.events()[0].1, format!("New size: 4; reason: {series} above target"));
}

#[test]
fn a_refused_write_is_told() {
    let mut stage = Stage::new(1, json!({}));
    stage.measured(&[250]);
    let key = Key::of(SHELF, &object_key("h"));
    let index = Index::default();
    for _ in 0..2 {
        let world = Eyes { objects: &*stage.model, index: &index };
        stage.controller.plan(&key, &world, at(1000), None);
    }
    let world = Eyes { objects: &*stage.model, index: &index };
    let plan = stage.controller.plan(&key, &world, at(1000), Some(&Failure { reason: "", message: "no".into() }));
    plan.actions.iter().for_each(|action| stage.model.apply(action).unwrap());
    assert_eq!(
        stage.condition("AbleToScale"),
        told("False", "FailedUpdateScale", "the HPA controller was unable to update the target scale: no")
    );
    let (reason, message) = stage.events().pop().unwrap();
    assert_eq!(reason, "FailedRescale");
    assert!(message.starts_with("New size: 4; reason: cpu ") && message.ends_with("; error: no"), "{message}");
    assert_eq!(plan.requeue_after, Some(SYNC));
}
