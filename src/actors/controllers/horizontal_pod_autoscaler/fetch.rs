//! Getting answers: from our own figures, and from extension API servers where those are asked.
use super::calculator::{Measured, Values};
use super::question::{Answer, Answers, Meters, Question};
use crate::actors::aggregation::{Aggregation, Route};
use crate::actors::base::Mailbox;
use crate::actors::controllers::runner::{Key, Message};
use crate::actors::kinds::Kinds;
use crate::actors::metrics::{Metrics, PodUsage};
use crate::protocol::duration::go_duration;
use crate::protocol::quantity::Quantity;
use crate::protocol::selector::LabelSelector;
use crate::protocol::user::User;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// On whose behalf extension API servers are asked.
const ACCOUNT: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
/// For so long answers are good for the plan that asked.
const FRESH: Duration = Duration::from_secs(10);
/// Who has not answered by then never will.
const LOST: Duration = Duration::from_secs(60);
/// Autoscalers that ask at the same time.
const WIDTH: usize = 16;
/// A window that nobody told, milliseconds.
const WINDOW: i64 = 60_000;

/// See the module.
pub struct Fetcher {
    kinds: Arc<Kinds>,
    metrics: Metrics,
    aggregation: Arc<Aggregation>,
    controller: OnceLock<Mailbox<Message>>,
    held: Mutex<HashMap<Key, Held>>,
    width: Semaphore,
}

struct Held {
    questions: Vec<Question>,
    since: Instant,
    answers: Option<Answers>,
}

impl Fetcher {
    pub fn new(kinds: Arc<Kinds>, metrics: Metrics, aggregation: Arc<Aggregation>) -> Arc<Fetcher> {
        let (controller, held) = (OnceLock::new(), Mutex::default());
        Arc::new(Fetcher { kinds, metrics, aggregation, controller, held, width: Semaphore::new(WIDTH) })
    }

    /// Who is told when answers are there.
    pub fn tell(&self, controller: Mailbox<Message>) {
        let _ = self.controller.set(controller);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, key: Key, questions: Vec<Question>) {
        let mut answers = Vec::with_capacity(questions.len());
        // It is never closed.
        let seat = self.width.acquire().await;
        for question in &questions {
            answers.push(self.answer(&key.object.namespace, question).await);
        }
        drop(seat);
        if let Some(held) = self.held().get_mut(&key).filter(|held| held.questions == questions) {
            held.answers = Some(answers);
            held.since = Instant::now();
        }
        if let Some(controller) = self.controller.get() {
            controller.deliver(Message::Look(key)).await;
        }
    }

    async fn answer(&self, namespace: &str, question: &Question) -> Result<Answer, String> {
        let from = |api: &'static str| move |why: String| format!("unable to fetch metrics from {api} metrics API: {why}");
        match question {
            Question::Resource { resource, container, pods } => {
                let list = match self.aggregation.route("metrics.k8s.io", "v1beta1") {
                    Some(route) => {
                        let path = format!("{}/namespaces/{namespace}/pods?{}", route.path(), query("labelSelector", pods));
                        let list = self.get(&route, &path, "pods.metrics.k8s.io").await.map_err(from("resource"))?;
                        items(&list).iter().map(ListedPod::parse).collect()
                    }
                    None => self.own(namespace, pods).await,
                };
                of_resource(list, namespace, resource, container).map(Answer::Pods)
            }
            Question::Pods { metric, pods, selector } => {
                let route = self.custom().map_err(from("custom"))?;
                let selectors = format!("{}&{}", query("labelSelector", pods), query("metricLabelSelector", selector));
                let path = format!("{}/namespaces/{namespace}/pods/*/{}?{selectors}", route.path(), escaped(metric));
                let list = self.get(&route, &path, &format!("pods.{} *", route.group)).await.map_err(from("custom"))?;
                of_pods(&list).map(Answer::Pods)
            }
            Question::Object { resource, name, metric, selector } => {
                let route = self.custom().map_err(from("custom"))?;
                let (metric, selector) = (escaped(metric), query("metricLabelSelector", selector));
                let path = match resource.as_str() {
                    // Whatever the name says: an autoscaler looks at its own namespace.
                    "namespaces" => format!("{}/namespaces/{namespace}/metrics/{metric}?{selector}", route.path()),
                    _ => format!("{}/namespaces/{namespace}/{resource}/{}/{metric}?{selector}", route.path(), escaped(name)),
                };
                let list = self.get(&route, &path, &format!("{resource}.{} {name}", route.group)).await.map_err(from("custom"))?;
                match items(&list) {
                    [one] => Ok(Answer::Total(milli(&one["value"]))),
                    many => Err(from("custom")(format!(
                        "the custom metrics API server returned {} results when we asked for exactly one",
                        many.len()
                    ))),
                }
            }
            Question::External { metric, selector } => {
                let of = format!("{metric}.external.metrics.k8s.io");
                let route =
                    self.aggregation.route("external.metrics.k8s.io", "v1beta1").ok_or_else(|| from("external")(refusal(404, &of)))?;
                let selector = query("labelSelector", selector);
                let path = format!("{}/namespaces/{namespace}/{}?{selector}", route.path(), escaped(metric));
                let list = self.get(&route, &path, &of).await.map_err(from("external"))?;
                let values = items(&list);
                if values.is_empty() {
                    return Err("no metrics returned from external metrics API".into());
                }
                Ok(Answer::Total(values.iter().fold(0, |sum, item| sum.saturating_add(milli(&item["value"])))))
            }
        }
    }

    fn custom(&self) -> Result<Arc<Route>, String> {
        let of = |version| self.aggregation.route("custom.metrics.k8s.io", version);
        of("v1beta2").or_else(|| of("v1beta1")).ok_or_else(|| "no custom metrics API (custom.metrics.k8s.io) registered".to_string())
    }

    /// The pods of a namespace that run, with our own figures.
    async fn own(&self, namespace: &str, selector: &LabelSelector) -> Vec<ListedPod> {
        let Some(served) = self.kinds.by_shelf("pods") else { return Vec::new() };
        let figures = self.metrics.figures().await;
        let snapshot = served.shelf.snapshot();
        let chosen = snapshot.iter_namespace(namespace).filter(|pod| selector.matches(&pod.meta.labels));
        chosen.filter_map(|pod| Some(ListedPod::of(&pod.key.name, figures.pod(pod)?))).collect()
    }

    async fn get(&self, route: &Route, path: &str, of: &str) -> Result<Value, String> {
        if !route.available {
            return Err(refusal(503, of));
        }
        let account = User::new(ACCOUNT, ["system:serviceaccounts".to_string(), "system:serviceaccounts:kube-system".to_string()]);
        let (code, body) = self.aggregation.ask(route, path, &account).await?;
        let parsed: Option<Value> = serde_json::from_slice(&body).ok();
        match parsed {
            Some(body) if (200..300).contains(&code) => Ok(body),
            Some(status) if status["kind"] == "Status" && status["message"].is_string() => {
                Err(status["message"].as_str().unwrap_or_default().to_string())
            }
            _ => Err(refusal(code, of)),
        }
    }
}

impl Meters<Key> for Arc<Fetcher> {
    fn read(&self, key: &Key, questions: &[Question]) -> Option<Answers> {
        let mut held = self.held();
        if let Some(known) = held.get(key) {
            let age = known.since.elapsed();
            if known.answers.is_none() && age < LOST {
                return None;
            }
            if known.answers.is_some() && known.questions == questions && age < FRESH {
                return held.remove(key)?.answers;
            }
        }
        let questions = questions.to_vec();
        held.insert(key.clone(), Held { questions: questions.clone(), since: Instant::now(), answers: None });
        let (me, key) = (self.clone(), key.clone());
        tokio::spawn(async move { me.fetch(key, questions).await });
        None
    }

    fn forget(&self, key: &Key) {
        self.held().remove(key);
    }
}

/// A pod as the resource metrics API lists it: times in milliseconds, values in thousandths.
struct ListedPod {
    name: String,
    at: i64,
    window: i64,
    containers: Vec<(String, Option<i64>, Option<i64>)>,
}

impl ListedPod {
    fn of(name: &str, used: &PodUsage) -> ListedPod {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let (at, window) = used.containers.first().map(|(_, c)| (c.at.as_millisecond(), millis(c.window))).unwrap_or_default();
        let value = |n: u64, per: u64| i64::try_from(n.div_ceil(per)).ok();
        let containers = used.containers.iter().map(|(name, c)| {
            let memory = i64::try_from(c.memory).ok().map(|bytes| bytes.saturating_mul(1000));
            (name.to_string(), value(c.nano_cores, 1_000_000), memory)
        });
        ListedPod { name: name.into(), at, window, containers: containers.collect() }
    }

    fn parse(item: &Value) -> ListedPod {
        let containers = item["containers"].as_array().into_iter().flatten().map(|c| {
            let usage = |resource: &str| c["usage"][resource].is_string().then(|| milli(&c["usage"][resource]));
            (c["name"].as_str().unwrap_or_default().to_string(), usage("cpu"), usage("memory"))
        });
        ListedPod {
            name: item["metadata"]["name"].as_str().unwrap_or_default().into(),
            at: millisecond(&item["timestamp"]),
            window: item["window"].as_str().and_then(|text| go_duration(text).ok()).map_or(WINDOW, |seconds| (seconds * 1000.0) as i64),
            containers: containers.collect(),
        }
    }
}

fn of_resource(list: Vec<ListedPod>, namespace: &str, resource: &str, container: &str) -> Result<Values, String> {
    if list.is_empty() {
        return Err("no metrics returned from resource metrics API".into());
    }
    let mut values = Values::new();
    for pod in list {
        let value = |(_, cpu, memory): &(String, Option<i64>, Option<i64>)| match resource {
            "cpu" => *cpu,
            "memory" => *memory,
            _ => None,
        };
        let found = if container.is_empty() {
            // A pod with a part that is not measured is not measured.
            let all: Option<Vec<i64>> = pod.containers.iter().map(value).collect();
            all.filter(|all| !all.is_empty()).map(|all| all.into_iter().fold(0, i64::saturating_add))
        } else {
            let one = pod.containers.iter().find(|(name, ..)| name == container).ok_or_else(|| {
                let why = format!("container {container} not present in metrics for pod {namespace}/{}", pod.name);
                format!("failed to get container metrics: {why}")
            })?;
            value(one)
        };
        if let Some(value) = found {
            values.insert(pod.name.into(), Measured { at: pod.at, window: pod.window, value });
        }
    }
    Ok(values)
}

fn of_pods(list: &Value) -> Result<Values, String> {
    let items = items(list);
    if items.is_empty() {
        return Err("no metrics returned from custom metrics API".into());
    }
    let value = |item: &Value| {
        let window = item["windowSeconds"].as_i64().or_else(|| item["window"].as_i64());
        let window = window.map_or(WINDOW, |seconds| seconds.saturating_mul(1000));
        let measured = Measured { at: millisecond(&item["timestamp"]), window, value: milli(&item["value"]) };
        (item["describedObject"]["name"].as_str().unwrap_or_default().into(), measured)
    };
    Ok(items.iter().map(value).collect())
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn milli(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse::<Quantity>().ok()).map_or(0, |q| q.milli_value())
}

fn millisecond(time: &Value) -> i64 {
    time.as_str().and_then(|text| text.parse::<Timestamp>().ok()).map_or(0, |t| t.as_millisecond())
}

/// What upstream's client makes of an answer that says nothing itself.
fn refusal(code: u16, of: &str) -> String {
    match code {
        404 => format!("the server could not find the requested resource (get {of})"),
        503 => format!("the server is currently unable to handle the request (get {of})"),
        _ => format!("an error on the server (\"unknown\") has prevented the request from succeeding (get {of})"),
    }
}

fn query(name: &str, selector: &LabelSelector) -> String {
    format!("{name}={}", escaped(&selector.to_string()))
}

/// A text as a part of a path or a query.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => _ = write!(out, "%{other:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_others_are_read() {
        let pod = |containers: Value| {
            let item =
                json!({ "metadata": { "name": "p" }, "timestamp": "1970-01-01T00:00:10Z", "window": "30s", "containers": containers });
            vec![ListedPod::parse(&item)]
        };
        let two = json!([{ "name": "a", "usage": { "cpu": "10m" } }, { "name": "b", "usage": { "cpu": "1500001n", "memory": "1Ki" } }]);
        let cpu = of_resource(pod(two.clone()), "ns", "cpu", "").unwrap();
        assert_eq!(cpu["p"], Measured { at: 10_000, window: 30_000, value: 12 });
        assert!(of_resource(pod(two.clone()), "ns", "memory", "").unwrap().is_empty(), "one container does not tell");
        assert_eq!(of_resource(pod(two.clone()), "ns", "memory", "b").unwrap()["p"].value, 1_024_000);
        let missing = "failed to get container metrics: container c not present in metrics for pod ns/p";
        assert_eq!(of_resource(pod(two), "ns", "cpu", "c"), Err(missing.into()));
        let custom = json!({ "items": [{ "describedObject": { "name": "p" }, "timestamp": "1970-01-01T00:00:10Z", "value": "2500m" }] });
        assert_eq!(of_pods(&custom).unwrap()["p"], Measured { at: 10_000, window: WINDOW, value: 2500 });
        assert_eq!(escaped("a=b,c in (d)"), "a%3Db%2Cc%20in%20%28d%29");
    }
}
