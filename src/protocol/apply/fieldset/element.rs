//! One step of a path into an object.
use serde_json::{Number, Value};
use std::cmp::Ordering;
use std::fmt;

/// One step of a path. Their order is the order of the variants, and within one the order of what they hold.
#[derive(Clone, Debug)]
pub enum Element {
    /// A field of a struct or a key of a map: `.name`
    Field(Box<str>),
    /// The item of a list with these values in its key fields, which are sorted by name: `[containerPort=80,protocol="TCP"]`
    Key(Box<[(Box<str>, Value)]>),
    /// The item of a set that equals this value: `[="a"]`
    Value(Value),
    /// The item at this place: `[3]`
    Index(i64),
}

impl Element {
    pub fn field(name: &str) -> Element {
        Element::Field(name.into())
    }

    /// An item by its keys, in any order.
    pub fn key<'a>(keys: impl IntoIterator<Item = (&'a str, Value)>) -> Element {
        let mut keys: Vec<(Box<str>, Value)> = keys.into_iter().map(|(name, value)| (name.into(), value)).collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        Element::Key(keys.into())
    }

    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => {
                let pair = |((an, av), (bn, bv)): (&(Box<str>, Value), &(Box<str>, Value))| an.cmp(bn).then_with(|| order(av, bv));
                a.iter().zip(b.iter()).map(pair).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Element::Value(a), Element::Value(b)) => order(a, b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(keys) => {
                f.write_str("[")?;
                for (i, (name, value)) in keys.iter().enumerate() {
                    write!(f, "{}{name}={value}", if i > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Equal as upstream compares values: numbers by what they amount to.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || number(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

/// A total order of values: numbers, strings, booleans, lists, maps, null.
pub(super) fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => number(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            a.iter().zip(b).map(|(a, b)| order(a, b)).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let pair = |((an, av), (bn, bv)): ((&String, &Value), (&String, &Value))| an.cmp(bn).then_with(|| order(av, bv));
            a.iter().zip(b).map(pair).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn number(a: &Number, b: &Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
    }
}
