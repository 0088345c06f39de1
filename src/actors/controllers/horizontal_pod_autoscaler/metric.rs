//! One metric of an autoscaler: what to ask for it, and what its answer proposes.
use super::calculator::{Basis, Values, by_average, by_share, by_total, by_utilization};
use super::question::{Answer, Question, printed, selector_of};
use super::target::Targets;
use crate::protocol::quantity::Quantity;
use crate::protocol::selector::LabelSelector;
use serde_json::{Value, json};

/// What a metric proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub replicas: i64,
    /// In sentences: `cpu resource utilization (percentage of request)`.
    pub name: String,
    /// For `status.currentMetrics`.
    pub status: Value,
}

/// Why a metric proposes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Of the event and the condition.
    pub reason: &'static str,
    /// What they say.
    pub message: String,
    /// What the sum of all problems says.
    pub error: String,
}

/// A metric as the specification has it.
pub struct Metric<'a> {
    spec: &'a Value,
    source: &'a Value,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Resource,
    ContainerResource,
    Pods,
    Object,
    External,
    Unknown,
}

/// Numbers that the calculations of one metric rest on.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub basis: Basis<'a>,
    /// The replicas that there are.
    pub running: i64,
    pub namespace: &'a str,
}

impl<'a> Metric<'a> {
    pub fn of(spec: &'a Value) -> Metric<'a> {
        let (kind, field) = match spec["type"].as_str() {
            Some("Resource") => (Kind::Resource, "resource"),
            Some("ContainerResource") => (Kind::ContainerResource, "containerResource"),
            Some("Pods") => (Kind::Pods, "pods"),
            Some("Object") => (Kind::Object, "object"),
            Some("External") => (Kind::External, "external"),
            _ => (Kind::Unknown, ""),
        };
        Metric { spec, source: &spec[field], kind }
    }

    /// What to ask; `pods` selects those of the target.
    ///
    /// # Errors
    /// When the metric makes no sense.
    pub fn question(&self, pods: &LabelSelector, targets: &dyn Targets, namespace: &str) -> Result<Question, Problem> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let (source, pods) = (self.source, pods.clone());
        let metric = text(&source["metric"]["name"]);
        let selector = || selector_of(&source["metric"]).map_err(|e| self.problem(e));
        Ok(match self.kind {
            Kind::Resource => Question::Resource { resource: text(&source["name"]), container: String::new(), pods },
            Kind::ContainerResource => Question::Resource { resource: text(&source["name"]), container: text(&source["container"]), pods },
            Kind::Pods => Question::Pods { metric, pods, selector: selector()? },
            Kind::Object => {
                let object = &source["describedObject"];
                let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
                let group = version.split_once('/').map_or("", |(group, _)| group);
                let resource = targets.resource(group, &kind).ok_or_else(|| {
                    let why = format!("unable to map kind {kind}.{group} to resource: no matches for kind \"{kind}\" in group \"{group}\"");
                    self.problem(self.explained(format!("unable to fetch metrics from custom metrics API: {why}"), namespace))
                })?;
                Question::Object { resource, name: text(&object["name"]), metric, selector: selector()? }
            }
            Kind::External => Question::External { metric, selector: selector()? },
            Kind::Unknown => {
                let error = format!("unknown metric source type {:?}", self.spec["type"].as_str().unwrap_or_default());
                return Err(Problem { reason: "InvalidMetricSourceType", message: error.clone(), error });
            }
        })
    }

    /// What the answer proposes.
    ///
    /// # Errors
    /// When there is none, or nothing follows from it.
    pub fn propose(&self, answer: Result<Answer, String>, scene: &Scene<'_>) -> Result<Proposal, Problem> {
        match (self.kind, answer) {
            (Kind::Resource | Kind::ContainerResource, answer) => self.of_resource(answer, scene),
            (Kind::Pods, Ok(Answer::Pods(values))) => {
                let basis = Basis { resource: None, ..scene.basis };
                let wanted = self.wanted("averageValue").unwrap_or_default();
                let (replicas, average) = by_average(&basis, &values, wanted).map_err(|e| self.problem(e))?;
                let current = json!({ "averageValue": shown(average) });
                Ok(self.proposal(replicas, format!("pods metric {}", self.metric_name()), current))
            }
            (Kind::Object | Kind::External, Ok(Answer::Total(value))) => self.of_total(value, scene),
            (_, Err(why)) => Err(self.problem(self.explained(why, scene.namespace))),
            (_, Ok(_)) => Err(self.problem("the answer is about something else".into())),
        }
    }

    fn of_resource(&self, answer: Result<Answer, String>, scene: &Scene<'_>) -> Result<Proposal, Problem> {
        let name = self.source["name"].as_str().unwrap_or_default();
        let values: Result<Values, String> = match answer {
            Ok(Answer::Pods(values)) => Ok(values),
            Ok(Answer::Total(_)) => Err("the answer is about something else".into()),
            Err(why) => Err(format!("unable to get metrics for resource {name}: {why}")),
        };
        let basis = Basis { resource: Some(name), ..scene.basis };
        if let Some(wanted) = self.wanted("averageValue") {
            let counted = values.and_then(|values| by_average(&basis, &values, wanted));
            let (replicas, average) = counted.map_err(|e| self.problem(format!("failed to get {name} usage: {e}")))?;
            return Ok(self.proposal(replicas, format!("{name} resource"), json!({ "averageValue": shown(average) })));
        }
        let Some(wanted) = self.source["target"]["averageUtilization"].as_i64().filter(|percent| *percent > 0) else {
            let why = "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set";
            return Err(self.problem(why.into()));
        };
        let container = if self.kind == Kind::ContainerResource { self.source["container"].as_str().unwrap_or_default() } else { "" };
        let counted = values.and_then(|values| by_utilization(&basis, &values, container, wanted));
        let (replicas, percent, average) = counted.map_err(|e| self.problem(format!("failed to get {name} utilization: {e}")))?;
        let of = if container.is_empty() { "resource" } else { "container resource" };
        let current = json!({ "averageUtilization": percent, "averageValue": shown(average) });
        Ok(self.proposal(replicas, format!("{name} {of} utilization (percentage of request)"), current))
    }

    fn of_total(&self, value: i64, scene: &Scene<'_>) -> Result<Proposal, Problem> {
        let metric = self.metric_name();
        let series = || format!("external metric {metric}({})", printed(&self.source["metric"]["selector"]));
        let (average, total) = (self.wanted("averageValue"), self.wanted("value"));
        // An object's target may hold both; its type says which counts.
        let average = average.filter(|_| self.kind == Kind::External || self.source["target"]["type"] == "AverageValue");
        if let Some(wanted) = average {
            let (replicas, each) = by_share(value, wanted, scene.running, scene.basis.tolerances);
            return Ok(self.proposal(replicas, series(), json!({ "averageValue": shown(each) })));
        }
        let Some(wanted) = total else {
            let which = if self.kind == Kind::Object { "object" } else { "external" };
            return Err(self.problem(format!("invalid {which} metric source: neither a value target nor an average value target was set")));
        };
        let replicas = by_total(&scene.basis, value, wanted).map_err(|e| self.problem(e))?;
        let name = match self.kind {
            Kind::Object => format!("{} metric {metric}", self.source["describedObject"]["kind"].as_str().unwrap_or_default()),
            _ => series(),
        };
        Ok(self.proposal(replicas, name, json!({ "value": shown(value) })))
    }

    fn proposal(&self, replicas: i64, name: String, current: Value) -> Proposal {
        let (type_, field) = match self.kind {
            Kind::Resource => ("Resource", "resource"),
            Kind::ContainerResource => ("ContainerResource", "containerResource"),
            Kind::Pods => ("Pods", "pods"),
            Kind::Object => ("Object", "object"),
            Kind::External | Kind::Unknown => ("External", "external"),
        };
        let mut source = json!({ "current": current });
        for part in ["name", "container", "metric", "describedObject"] {
            if !self.source[part].is_null() {
                source[part] = self.source[part].clone();
            }
        }
        Proposal { replicas, name, status: json!({ "type": type_, field: source }) }
    }

    /// A wanted value in thousandths.
    fn wanted(&self, field: &str) -> Option<i64> {
        let quantity: Quantity = self.source["target"][field].as_str()?.parse().ok()?;
        Some(quantity.milli_value()).filter(|value| *value > 0)
    }

    fn metric_name(&self) -> &str {
        self.source["metric"]["name"].as_str().unwrap_or_default()
    }

    /// An API's refusal in a sentence about this metric.
    fn explained(&self, why: String, namespace: &str) -> String {
        let metric = self.metric_name();
        match self.kind {
            Kind::Object => {
                let object = &self.source["describedObject"];
                let text = |field: &str| object[field].as_str().unwrap_or_default();
                format!("unable to get metric {metric}: {why} on {} {namespace}/{}", text("kind"), text("name"))
            }
            Kind::External => {
                format!("unable to get external metric {namespace}/{metric}/{}: {why}", printed(&self.source["metric"]["selector"]))
            }
            _ => format!("unable to get metric {metric}: {why}"),
        }
    }

    fn problem(&self, message: String) -> Problem {
        let (metric, per_pod) = (self.metric_name(), !self.source["target"]["averageValue"].is_null());
        let text = |field: &str| self.source[field].as_str().unwrap_or_default();
        let (reason, error) = match self.kind {
            Kind::Resource => ("FailedGetResourceMetric", format!("failed to get {} resource metric value: {message}", text("name"))),
            Kind::ContainerResource => {
                ("FailedGetContainerResourceMetric", format!("failed to get {} container metric value: {message}", text("container")))
            }
            Kind::Pods => ("FailedGetPodsMetric", format!("failed to get pods metric value: {message}")),
            Kind::Object if per_pod => {
                ("FailedGetObjectMetric", format!("failed to get object metric value: failed to get {metric} object metric: {message}"))
            }
            Kind::Object => ("FailedGetObjectMetric", format!("failed to get object metric value: {message}")),
            Kind::External => {
                let inner = if per_pod {
                    format!("failed to get {metric} external metric")
                } else {
                    format!("failed to get external metric {metric}")
                };
                ("FailedGetExternalMetric", format!("failed to get {metric} external metric value: {inner}: {message}"))
            }
            Kind::Unknown => ("InvalidMetricSourceType", message.clone()),
        };
        Problem { reason, message, error }
    }
}

/// A value in thousandths as it is shown.
fn shown(milli: i64) -> Value {
    Quantity::from_milli(milli).to_string().into()
}
