//! YAML bodies. Besides `nesting`, the only file that knows which YAML library is used.
use super::DecodeError;
use super::nesting::deeper_than;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Values that one body may expand to: aliases multiply, so the size of the text is no bound.
const MAX_NODES: usize = 1_000_000;
/// As deep as JSON bodies may be.
const MAX_DEPTH: usize = 128;
/// Bodies up to this size nest too little to keep the reader busy.
const HARMLESS: usize = 4096;
/// How a key that a map has twice is told of.
const TWICE: &str = "\" already set in map";
/// Documents in one stream.
const MAX_DOCUMENTS: usize = 10_000;

/// Keys given twice that are told of at most: the reader is begun anew for each.
const MAX_TOLD: usize = 10;
/// The same for documents that take long to read.
const LONG: usize = 256 * 1024;

/// A YAML document.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient {
    /// Of a key that is given twice the last value counts.
    pub value: Value,
    /// `line 5: key "foo" already set in map`, for each such key.
    pub twice: Vec<String>,
}

/// One YAML document as JSON bytes. A key given twice, a custom tag, or an expansion without bound is an error.
pub fn yaml_to_json(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    check_depth(body)?;
    let value = read(body, &Limits::new(0)).map_err(|e| fault(&e, body))?;
    serde_json::to_vec(&value).map_err(|e| DecodeError::Yaml(e.to_string()))
}

/// One YAML document in which keys may be given twice. A custom tag, or an expansion without bound, is an error.
pub fn yaml_leniently(body: &[u8]) -> Result<Lenient, DecodeError> {
    check_depth(body)?;
    let limits = Limits::new(usize::MAX);
    let value = read(body, &limits).map_err(|e| fault(&e, body))?;
    let found = usize::MAX - limits.pardons.get();
    let told = found.min(if body.len() > LONG { 1 } else { MAX_TOLD });
    let twice = (0..told).filter_map(|before| place_of(&read(body, &Limits::new(before)).err()?, body)).collect();
    Ok(Lenient { value, twice })
}

fn read(body: &[u8], limits: &Limits) -> Result<Value, serde_yaml::Error> {
    node(limits).deserialize(serde_yaml::Deserializer::from_slice(body))
}

/// What reading a document may cost, and pass over.
struct Limits {
    nodes: Cell<usize>,
    /// Keys given twice that are passed over before one is an error.
    pardons: Cell<usize>,
}

impl Limits {
    fn new(pardons: usize) -> Self {
        Limits { nodes: Cell::new(MAX_NODES), pardons: Cell::new(pardons) }
    }
}

/// All documents of a stream (`---` between them), empty ones left out.
pub fn yaml_documents(body: &[u8]) -> Result<Vec<Value>, DecodeError> {
    check_depth(body)?;
    let limits = Limits::new(0);
    let mut documents = Vec::new();
    for (count, document) in serde_yaml::Deserializer::from_slice(body).enumerate() {
        if count >= MAX_DOCUMENTS {
            return Err(DecodeError::Yaml(format!("more than {MAX_DOCUMENTS} documents")));
        }
        let value = node(&limits).deserialize(document).map_err(|e| fault(&e, body))?;
        if !value.is_null() {
            documents.push(value);
        }
    }
    Ok(documents)
}

/// The reader meets its own limit only after it has read everything, in a time that grows with the square of the depth.
fn check_depth(body: &[u8]) -> Result<(), DecodeError> {
    if body.len() > HARMLESS && deeper_than(body, MAX_DEPTH) {
        return Err(DecodeError::Yaml("yaml: exceeded max depth".into()));
    }
    Ok(())
}

fn fault(error: &serde_yaml::Error, body: &[u8]) -> DecodeError {
    let text = error.to_string();
    let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(head, _)| head);
    if let Some(place) = place_of(error, body) {
        return DecodeError::Yaml(format!("yaml: unmarshal errors:\n  {place}"));
    }
    let place = error.location().map(|l| format!("line {}: ", l.line())).unwrap_or_default();
    DecodeError::Yaml(format!("yaml: {place}{said}"))
}

/// `line 5: key "foo" already set in map`, when that is what is wrong.
fn place_of(error: &serde_yaml::Error, body: &[u8]) -> Option<String> {
    let text = error.to_string();
    let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(head, _)| head);
    let (key, place) = (key_of(said)?, error.location()?);
    let line = second(body, key, place.line(), place.column()).unwrap_or(place.line());
    Some(format!("line {line}: key {key:?} already set in map"))
}

/// The key of a finding of [`Node::visit_map`], behind the path that the reader puts before it.
fn key_of(said: &str) -> Option<&str> {
    let (_, key) = said.strip_suffix(TWICE)?.rsplit_once("key \"")?;
    Some(key)
}

/// The line, from 1, of the second occurrence of a key in the block that begins at a line and column: the reader only tells where
/// the block begins. `None` when the map is written within one line.
fn second(body: &[u8], key: &str, line: usize, column: usize) -> Option<usize> {
    let text = std::str::from_utf8(body).ok()?;
    let is_key = |rest: &str| {
        [key.to_string(), format!("\"{key}\""), format!("'{key}'")]
            .iter()
            .any(|k| rest.strip_prefix(k.as_str()).is_some_and(|r| r.trim_start().starts_with(':')))
    };
    let rest_of = |(at, text): (usize, &'_ str)| Some((at + 1, text.get(column.checked_sub(1)?..)?.to_string()));
    let mut lines = text.lines().enumerate().skip(line.checked_sub(1)?).filter_map(rest_of).filter(|(_, rest)| is_key(rest));
    lines.next()?;
    lines.next().map(|(at, _)| at)
}

fn node(limits: &Limits) -> Node<'_> {
    Node { limits, depth: MAX_DEPTH }
}

/// Builds a JSON value within a budget of nodes and levels.
#[derive(Clone, Copy)]
struct Node<'a> {
    limits: &'a Limits,
    depth: usize,
}

impl<'a> Node<'a> {
    fn spend<E: Error>(&self) -> Result<(), E> {
        let left = self.limits.nodes.get().checked_sub(1).ok_or_else(|| E::custom("document contains excessive aliasing"))?;
        self.limits.nodes.set(left);
        Ok(())
    }

    fn inner<E: Error>(&self) -> Result<Node<'a>, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("exceeded max depth"))?;
        Ok(Node { limits: self.limits, depth })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        // JSON written by upstream has no `.0`: such a number must still pass as an integer.
        if v.fract() == 0.0 && v.abs() < 9.0e15 {
            return Ok((v as i64).into());
        }
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom(format!("unsupported value: {v}")))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Map::new();
        let mut bases = Vec::new();
        while let Some(key) = map.next_key_seed(inner)? {
            let key = match key {
                Value::String(key) => key,
                Value::Number(_) | Value::Bool(_) => key.to_string(),
                other => return Err(A::Error::custom(format!("unsupported map key: {other}"))),
            };
            if members.contains_key(&key) {
                let pardons = &self.limits.pardons;
                let left = pardons.get().checked_sub(1).ok_or_else(|| A::Error::custom(format!("key \"{key}{TWICE}")))?;
                pardons.set(left);
            }
            let value = map.next_value_seed(inner)?;
            if key == "<<" {
                bases.push(value);
            } else {
                members.insert(key, value);
            }
        }
        bases.into_iter().for_each(|base| merge_key(&mut members, base));
        Ok(members.into())
    }
}

/// `<<: *base`: members of the base that the map doesn't state itself.
fn merge_key(members: &mut Map<String, Value>, base: Value) {
    match base {
        Value::Object(base) => {
            for (key, value) in base {
                members.entry(key).or_insert(value);
            }
        }
        Value::Array(bases) => bases.into_iter().for_each(|b| merge_key(members, b)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn brackets_in_texts_are_texts() {
        let script = format!("data:\n  a: |\n    {}\n  b: \"{}\"\n", "[[ -f x ]".repeat(5000), "{".repeat(5000));
        assert!(yaml_to_json(script.as_bytes()).is_ok());
    }

    #[test]
    fn a_key_given_twice_is_told_with_its_line() {
        let said = |body: &str| yaml_to_json(body.as_bytes()).unwrap_err().to_string();
        let expected = "error converting YAML to JSON: yaml: unmarshal errors:\n  line 5: key \"foo\" already set in map";
        assert_eq!(said("a: b\nspec:\n  foo: x\n  bar: {foo: y}\n  foo: z\n"), expected);
        assert_eq!(said("\n- a: b\n  foo: x\n  bar: y\n  'foo': z\n"), expected);
        assert!(said("{foo: 1, foo: 2}").contains("line 1: key \"foo\" already set in map"));
    }

    #[test]
    fn who_does_not_mind_gets_the_last_value_and_hears_of_every_key() {
        let read = yaml_leniently(b"a: 1\nspec:\n  foo: x\n  foo: y\na: 2\nlist:\n- {k: 1, k: 2}\n").unwrap();
        assert_eq!(read.value, serde_json::json!({ "a": 2, "spec": { "foo": "y" }, "list": [{ "k": 2 }] }));
        let told = |line: usize, key: &str| format!("line {line}: key \"{key}\" already set in map");
        assert_eq!(read.twice, [told(4, "foo"), told(5, "a"), told(7, "k")]);
        assert!(yaml_leniently(b"{\"a\": 1, \"b\": {}}").unwrap().twice.is_empty());
    }

    #[test]
    fn bombs_are_refused_in_bounded_time() {
        let begun = Instant::now();
        let deep = |body: String| {
            let error = yaml_to_json(body.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, "error converting YAML to JSON: yaml: exceeded max depth", "{}", body.get(..20).unwrap_or_default());
        };
        deep("[".repeat(1 << 20));
        deep("- ".repeat(1 << 19));
        deep("[\"]\", ".repeat(1 << 17));
        deep("{a: ".repeat(1 << 18));
        let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for level in 1..30 {
            laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")));
        }
        assert!(yaml_to_json(laughs.as_bytes()).is_err());
        assert!(yaml_to_json(b"a: &a [*a]").is_err());
        let wide = format!("a: &a [{}]\nb: [{}]", "x,".repeat(2000), "*a,".repeat(2000));
        assert!(yaml_to_json(wide.as_bytes()).is_err());
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
