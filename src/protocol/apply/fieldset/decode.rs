//! Sets from `FieldsV1`.
use super::{Element, MAX_DEPTH, Node, Set};
use serde_json::{Map, Value};

/// What is wrong with a `FieldsV1`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    #[error("key must be 2 characters long:")]
    Short,
    #[error("missing colon: {0}")]
    Colon(String),
    #[error("parsing key as path element: {key}: {why}")]
    Element { key: String, why: String },
    #[error("expected an object in fieldsV1, got {0}")]
    NotAnObject(String),
    #[error("fieldsV1 exceeds the maximum depth of {MAX_DEPTH}")]
    TooDeep,
}

/// The set that a `FieldsV1` stands for. Elements of a kind that nobody knows are left out, as upstream does.
pub fn from_value(value: &Value) -> Result<Set, FieldsError> {
    match value {
        Value::Object(map) => Ok(read(map, 0)?.0),
        Value::Null => Ok(Set::default()),
        other => Err(not_an_object(other)),
    }
}

fn not_an_object(value: &Value) -> FieldsError {
    let kind = match value {
        Value::Array(_) => "an array",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        _ => "null",
    };
    FieldsError::NotAnObject(kind.into())
}

/// The set below, and whether the field itself is in it: it says so, or nothing is below it.
fn read(map: &Map<String, Value>, depth: usize) -> Result<(Set, bool), FieldsError> {
    if depth > MAX_DEPTH {
        return Err(FieldsError::TooDeep);
    }
    let mut set = Set::default();
    let mut member = false;
    for (key, value) in map {
        if key == "." {
            member = true;
            continue;
        }
        let Some(element) = parse(key)? else { continue };
        let (below, itself) = match value {
            Value::Object(inner) => read(inner, depth + 1)?,
            Value::Null => (Set::default(), true),
            other => return Err(not_an_object(other)),
        };
        set.put(Node { element, member: itself, below });
    }
    let itself = member || set.is_empty();
    Ok((set, itself))
}

/// One element from its text; `None` for a kind of element that nobody knows.
pub(in crate::apply) fn parse(text: &str) -> Result<Option<Element>, FieldsError> {
    if text.len() < 2 {
        return Err(FieldsError::Short);
    }
    if text.as_bytes().get(1) != Some(&b':') {
        return Err(FieldsError::Colon(text.into()));
    }
    let Some((head, rest)) = text.split_once(':') else { return Err(FieldsError::Colon(text.into())) };
    let bad = |why: String| FieldsError::Element { key: text.into(), why };
    Ok(Some(match head {
        "f" => Element::Field(rest.into()),
        "v" => Element::Value(serde_json::from_str(rest).map_err(|e| bad(e.to_string()))?),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|e| bad(e.to_string()))?;
            Element::key(keys.iter().map(|(name, value)| (name.as_str(), value.clone())))
        }
        "i" => Element::Index(rest.parse().map_err(|_| bad("not a number".into()))?),
        _ => return Ok(None),
    }))
}
