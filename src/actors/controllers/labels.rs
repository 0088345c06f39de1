//! Label selectors as the controllers use them: parsed once from canonical JSON, matched against the light metadata.
use crate::protocol::meta::Meta;
use serde_json::Value;
use std::collections::BTreeMap;

/// A parsed `metav1.LabelSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    pub values: Vec<String>,
}

/// The operators of label selectors and, with the last two, of node selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
}

impl LabelSelector {
    /// Parses canonical JSON. `None` when it is no selector, or an empty one: those select nothing, as upstream's
    /// controllers hold it.
    pub fn parse(json: &str) -> Option<LabelSelector> {
        let value: Value = serde_json::from_str(json).ok()?;
        let mut requirements = Vec::new();
        for (key, label) in value["matchLabels"].as_object().into_iter().flatten() {
            let values = vec![label.as_str()?.to_string()];
            requirements.push(Requirement { key: key.clone(), operator: Operator::In, values });
        }
        for expression in value["matchExpressions"].as_array().into_iter().flatten() {
            requirements.push(Requirement::parse(expression)?);
        }
        (!requirements.is_empty()).then_some(LabelSelector { requirements })
    }

    pub fn matches(&self, meta: &Meta) -> bool {
        self.requirements.iter().all(|r| r.holds(meta.label(&r.key)))
    }

    /// Whether a template's labels would be selected.
    pub fn matches_map(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|r| r.holds(labels.get(&r.key).map(String::as_str)))
    }
}

impl Requirement {
    /// Parses `{"key": …, "operator": …, "values": […]}`.
    pub fn parse(value: &Value) -> Option<Requirement> {
        let operator = match value["operator"].as_str()? {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::Gt,
            "Lt" => Operator::Lt,
            _ => return None,
        };
        let values = value["values"].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_string)).collect();
        Some(Requirement { key: value["key"].as_str()?.to_string(), operator, values })
    }

    /// Whether the condition holds for a label's value (`None`: no such label).
    pub fn holds(&self, label: Option<&str>) -> bool {
        let listed = |l: &str| self.values.iter().any(|v| v == l);
        let number = || Some((label?.parse::<i64>().ok()?, self.values.first()?.parse::<i64>().ok()?));
        match self.operator {
            Operator::In => label.is_some_and(listed),
            Operator::NotIn => !label.is_some_and(listed),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::Gt => number().is_some_and(|(have, bound)| have > bound),
            Operator::Lt => number().is_some_and(|(have, bound)| have < bound),
        }
    }
}
