//! Label selectors: what they are, and what they match.
use super::{MAX_TEXT, SelectorError, parser};
use crate::names;
use crate::status::FieldError;
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The operator of one requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: Box<str>,
    operator: Operator,
    /// Sorted, each once.
    values: Box<[Box<str>]>,
}

/// A conjunction of requirements, sorted by key. Without requirements it matches everything, unless it is [`LabelSelector::nothing`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    requirements: Box<[Requirement]>,
    nothing: bool,
}

impl Requirement {
    /// Checks key, number of values and values as upstream's `labels.NewRequirement`.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Requirement, SelectorError> {
        let mut faults = Vec::new();
        let key_faults = names::qualified_name(key);
        if !key_faults.is_empty() {
            faults.push(FieldError::invalid("key", key, key_faults.join("; ")));
        }
        values.sort_unstable();
        values.dedup();
        let count_fault = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => Some("for 'in', 'notin' operators, values set can't be empty"),
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if values.len() != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if values.len() != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        };
        faults.extend(count_fault.map(|why| FieldError::invalid("values", json!(values), why)));
        for (index, value) in values.iter().enumerate() {
            if matches!(operator, Operator::GreaterThan | Operator::LessThan) && value.parse::<i64>().is_err() {
                faults.push(FieldError::invalid(
                    format!("values[{index}]"),
                    value.as_str(),
                    "for 'Gt', 'Lt' operators, the value must be an integer",
                ));
            }
            let value_faults = names::label_value(value);
            if !value_faults.is_empty() {
                faults.push(FieldError::invalid(format!("values[{index}][{key}]"), value.as_str(), value_faults.join("; ")));
            }
        }
        match faults.as_slice() {
            [] => Ok(Requirement { key: key.into(), operator, values: values.into_iter().map(String::into_boxed_str).collect() }),
            [one] => Err(SelectorError::Syntax(one.to_string())),
            many => Err(SelectorError::Syntax(format!("[{}]", many.iter().map(FieldError::to_string).collect::<Vec<_>>().join(", ")))),
        }
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn operator(&self) -> Operator {
        self.operator
    }

    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|v| &**v)
    }

    /// Whether a label with this value, or its absence, fulfils the requirement.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let has = |value: &str| self.values.iter().any(|v| **v == *value);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(has),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(has),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.numbers(value).is_some_and(|(label, bound)| label > bound),
            Operator::LessThan => self.numbers(value).is_some_and(|(label, bound)| label < bound),
        }
    }

    fn numbers(&self, value: Option<&str>) -> Option<(i64, i64)> {
        Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

impl LabelSelector {
    /// The selector that matches every object.
    pub fn everything() -> Self {
        LabelSelector::default()
    }

    /// The selector that matches none: what a missing `LabelSelector` object means.
    pub fn nothing() -> Self {
        LabelSelector { requirements: Box::default(), nothing: true }
    }

    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// A conjunction of requirements.
    pub fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        LabelSelector { requirements: requirements.into(), nothing: false }
    }

    /// Parses the text form of the `labelSelector` parameter: `a=b,c!=d,e in (x,y),!f,g>1`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_TEXT {
            return Err(SelectorError::TooLong);
        }
        Ok(LabelSelector::of(parser::parse(text)?))
    }

    /// The object form, `{"matchLabels":…,"matchExpressions":…}`: null or absent matches nothing, the empty object everything.
    pub fn from_object(selector: &Value) -> Result<Self, SelectorError> {
        if selector.is_null() {
            return Ok(LabelSelector::nothing());
        }
        let mut requirements = equalities(&selector["matchLabels"])?;
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let operator = match expression["operator"].as_str().unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(SelectorError::Syntax(format!("\"{other}\" is not a valid label selector operator"))),
            };
            let values = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string);
            requirements.push(Requirement::new(expression["key"].as_str().unwrap_or_default(), operator, values.collect())?);
        }
        Ok(LabelSelector::of(requirements))
    }

    /// The map form of services and replication controllers: every label must be equal. An absent or empty map matches nothing.
    pub fn from_map(labels: &Value) -> Result<Self, SelectorError> {
        let requirements = equalities(labels)?;
        if requirements.is_empty() { Ok(LabelSelector::nothing()) } else { Ok(LabelSelector::of(requirements)) }
    }

    /// Whether labels, sorted by key as [`crate::meta::Meta`] has them, fulfil every requirement. Allocates nothing.
    pub fn matches(&self, labels: &[(Arc<str>, Arc<str>)]) -> bool {
        self.matches_with(|key| labels.binary_search_by(|(k, _)| (**k).cmp(key)).ok().and_then(|at| labels.get(at)).map(|(_, v)| &**v))
    }

    /// The same for `metadata.labels` as JSON.
    pub fn matches_value(&self, labels: &Value) -> bool {
        self.matches_with(|key| labels.get(key).and_then(Value::as_str))
    }

    /// The same for labels behind a look-up.
    pub fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(label(&r.key)))
    }

    /// The only value that the label may have, if the selector says so.
    pub fn exact(&self, key: &str) -> Option<&str> {
        let only = |r: &&Requirement| {
            *r.key == *key && matches!(r.operator, Operator::Equals | Operator::DoubleEquals | Operator::In) && r.values.len() == 1
        };
        self.requirements.iter().find(only).and_then(|r| r.values.first()).map(|v| &**v)
    }
}

fn equalities(labels: &Value) -> Result<Vec<Requirement>, SelectorError> {
    let pairs = labels.as_object().into_iter().flatten();
    pairs.map(|(key, value)| Requirement::new(key, Operator::Equals, vec![value.as_str().unwrap_or_default().to_string()])).collect()
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        LabelSelector::parse(text)
    }
}

impl fmt::Display for LabelSelector {
    /// Canonical text: by key, values sorted. `nothing` has no text form and prints as everything does: empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}
