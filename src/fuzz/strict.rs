//! What bodies hold that they should not: members that nobody knows, and members twice. Both are told, neither is stored.
use super::corpus::Corpus;
use super::models::Models;
use super::objects::Outcome;
use super::random::Random;
use serde_json::Value;

const STRANGER: &str = "fuzzUnknown";

/// Puts a member that no kind has at a place whose members are declared.
pub fn unknown(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let seeded = random.pick(&corpus.kinds);
    let kind = &*seeded.kind;
    if seeded.bodies.is_empty() {
        return Ok(());
    }
    let mut body = random.pick(&seeded.bodies).clone();
    let Some(schema) = corpus.models.of(kind) else { return Ok(()) };
    let Some(place) = declared(random, &corpus.models, schema, &mut body) else { return Ok(()) };
    place[STRANGER] = 1.into();
    let Ok(checked) = kind.check(body.to_string().as_bytes()) else { return Ok(()) };
    if checked.value.to_string().contains(STRANGER) {
        return Err(format!("an unknown field is taken in: {body}"));
    }
    let told = checked.findings().iter().any(|said| said.contains(STRANGER));
    if told && kind.strict_error(&checked.findings()).is_some() { Ok(()) } else { Err(format!("an unknown field is not told: {body}")) }
}

/// A random object of the body whose members the schema names.
fn declared<'v>(random: &mut Random, models: &Models, schema: &Value, value: &'v mut Value) -> Option<&'v mut Value> {
    let schema = models.resolve(schema);
    let known = schema["properties"].is_object() && schema["x-kubernetes-preserve-unknown-fields"] != true;
    let inner: Vec<String> = match &*value {
        Value::Object(members) => members.iter().filter(|(_, v)| v.is_object() || v.is_array()).map(|(k, _)| k.clone()).collect(),
        Value::Array(items) => (0..items.len()).map(|at| at.to_string()).collect(),
        _ => return None,
    };
    if inner.is_empty() || (known && random.one_in(4)) {
        return (known && value.is_object()).then_some(value);
    }
    let name = random.pick(&inner).clone();
    match value {
        Value::Object(members) => declared(random, models, models.child(Some(schema), Some(&name))?, members.get_mut(&name)?),
        Value::Array(items) => declared(random, models, models.child(Some(schema), None)?, items.get_mut(name.parse::<usize>().ok()?)?),
        _ => None,
    }
}

/// Writes one member twice.
pub fn doubled(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let seeded = random.pick(&corpus.kinds);
    if seeded.bodies.is_empty() {
        return Ok(());
    }
    let body = random.pick(&seeded.bodies);
    let (mut left, mut text) = (random.below(members(body)), String::new());
    write(body, &mut left, &mut text);
    let Ok(checked) = seeded.kind.check(text.as_bytes()) else { return Ok(()) };
    match seeded.kind.strict_error(&checked.findings()) {
        Some(error) if error.to_string().contains("duplicate field") => Ok(()),
        _ => Err(format!("a member that is there twice is not told: {:?} {text}", checked.findings())),
    }
}

/// How many members a value has in all.
fn members(value: &Value) -> usize {
    match value {
        Value::Object(of) => of.values().map(|inner| 1 + members(inner)).sum(),
        Value::Array(items) => items.iter().map(members).sum(),
        _ => 0,
    }
}

/// Writes a value as JSON, and the member that `left` counts down to twice.
fn write(value: &Value, left: &mut usize, text: &mut String) {
    match value {
        Value::Object(of) => {
            let mut gap = "{";
            for (key, inner) in of {
                let twice = *left == 0;
                *left = left.wrapping_sub(1);
                let begun = text.len() + gap.len();
                text.push_str(gap);
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(inner, left, text);
                gap = ",";
                if twice {
                    let again = text.get(begun..).unwrap_or_default().to_string();
                    text.push_str(gap);
                    text.push_str(&again);
                }
            }
            text.push_str(if of.is_empty() { "{}" } else { "}" });
        }
        Value::Array(items) => {
            text.push('[');
            for (at, inner) in items.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                write(inner, left, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}
