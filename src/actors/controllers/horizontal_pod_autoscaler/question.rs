//! What an autoscaler asks metrics APIs, and what they answer.
use super::calculator::Values;
use crate::protocol::selector::LabelSelector;
use serde_json::Value;
use std::fmt::Write;

/// One question about one metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// What pods, or their containers of this name, use of a resource; answered with [`Answer::Pods`].
    Resource { resource: String, container: String, pods: LabelSelector },
    /// A metric that pods tell of themselves; answered with [`Answer::Pods`].
    Pods { metric: String, pods: LabelSelector, selector: LabelSelector },
    /// A metric of one object; answered with [`Answer::Total`].
    Object { resource: String, name: String, metric: String, selector: LabelSelector },
    /// A metric of nothing in the cluster; answered with [`Answer::Total`].
    External { metric: String, selector: LabelSelector },
}

/// Values in thousandths.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Pods(Values),
    Total(i64),
}

/// Why there is no answer, in the words of upstream's clients.
pub type Answers = Vec<Result<Answer, String>>;

/// Who asks. Asking takes time, so an answer is fetched while the autoscaler does something else.
pub trait Meters<K>: Send + Sync {
    /// The answers in the order of the questions, once. `None`: they are being fetched, and the controller is told to look at the
    /// key again when they are there.
    fn read(&self, key: &K, questions: &[Question]) -> Option<Answers>;

    /// Nobody wants answers for that key any more.
    fn forget(&self, key: &K);
}

/// The selector of a metric: all series when there is none.
///
/// # Errors
/// When it is no selector.
pub fn selector_of(metric: &Value) -> Result<LabelSelector, String> {
    match &metric["selector"] {
        // A missing selector selects nothing among pods, but every series of a metric.
        Value::Null => Ok(LabelSelector::everything()),
        selector => LabelSelector::from_object(selector).map_err(|e| e.to_string()),
    }
}

/// A selector as upstream prints it into sentences.
pub fn printed(selector: &Value) -> String {
    if selector.is_null() {
        return "nil".into();
    }
    let mut out = String::from("&LabelSelector{MatchLabels:map[string]string{");
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        let _ = write!(out, "{key}: {},", value.as_str().unwrap_or_default());
    }
    out.push_str("},MatchExpressions:[]LabelSelectorRequirement{");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let values: Vec<String> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        let (key, operator) = (text(&expression["key"]), text(&expression["operator"]));
        let _ = write!(out, "LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "));
    }
    out.push_str("},}");
    out
}
