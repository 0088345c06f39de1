//! The published schemas of the built-in kinds, and values made after them.
use super::odd;
use super::random::Random;
use crate::actors::kinds::{Kind, all};
use crate::protocol::openapi::{OpenApi, model_name};
use serde_json::{Map, Value, json};

/// Definitions by name.
pub struct Models(Map<String, Value>);

/// Deeper than this, values become empty.
const DEEPEST: usize = 6;

impl Models {
    pub fn load() -> Models {
        let kinds = all();
        let openapi = OpenApi::new(kinds.iter().map(|k| &k.resource), Vec::new(), Box::new(|_, _| None), "fuzz");
        let bytes = openapi.v2_json().plain().expect("a document");
        let mut document: Value = serde_json::from_slice(&bytes).expect("JSON");
        match document["definitions"].take() {
            Value::Object(definitions) => Models(definitions),
            _ => panic!("a document without definitions"),
        }
    }

    /// The schema of a kind's objects.
    pub fn of(&self, kind: &Kind) -> Option<&Value> {
        let resource = &kind.resource;
        self.0.get(&model_name(resource.group, resource.version, resource.kind))
    }

    pub fn definition(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The name of the definition that a schema refers to.
    pub fn reference(schema: &Value) -> Option<&str> {
        schema["allOf"].get(0).unwrap_or(schema)["$ref"].as_str()?.rsplit('/').next()
    }

    /// The definition that a schema refers to, or itself.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        Models::reference(schema).and_then(|name| self.0.get(name)).unwrap_or(schema)
    }

    /// The schema of a member or item.
    pub fn child<'a>(&'a self, schema: Option<&'a Value>, key: Option<&str>) -> Option<&'a Value> {
        let schema = self.resolve(schema?);
        match key {
            None => schema.get("items"),
            Some(key) => schema["properties"].get(key).or_else(|| schema.get("additionalProperties")),
        }
    }

    /// A declared field and a value for it.
    pub fn field(&self, random: &mut Random, schema: Option<&Value>) -> Option<(String, Value)> {
        let properties = self.resolve(schema?).get("properties")?.as_object()?;
        let (name, of) = properties.iter().nth(random.below(properties.len()))?;
        Some((name.clone(), self.value(random, of, 0)))
    }

    /// A value that the schema admits, mostly.
    pub fn value(&self, random: &mut Random, schema: &Value, depth: usize) -> Value {
        let schema = self.resolve(schema);
        if random.one_in(60) {
            return odd::value(random);
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("string"), Some("date-time")) => odd::time(random).into(),
            (Some("string"), Some("byte")) => json!(["aGVsbG8=", "", "!", "e30="][random.below(4)]),
            (Some("string"), Some("int-or-string")) => odd::int_or_string(random),
            (Some("string"), _) => match schema["enum"].as_array() {
                Some(words) if !words.is_empty() => random.pick(words).clone(),
                _ => odd::word(random).into(),
            },
            (Some("integer"), _) => odd::integer(random).into(),
            (Some("number"), _) => odd::number(random),
            (Some("boolean"), _) => random.one_in(2).into(),
            (Some("array"), _) => self.items(random, schema, depth),
            _ => self.object(random, schema, depth),
        }
    }

    fn items(&self, random: &mut Random, schema: &Value, depth: usize) -> Value {
        let count = if depth > DEEPEST { 0 } else { [0, 1, 1, 1, 2, 3][random.below(6)] };
        (0..count).map(|_| self.value(random, &schema["items"], depth + 1)).collect()
    }

    fn object(&self, random: &mut Random, schema: &Value, depth: usize) -> Value {
        let mut made = Map::new();
        if depth > DEEPEST {
            return made.into();
        }
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (name, of) in schema["properties"].as_object().into_iter().flatten() {
            let needed = required.iter().any(|r| r == name) && !random.one_in(20);
            if needed || random.one_in(3 + depth * 2) {
                made.insert(name.clone(), self.value(random, of, depth + 1));
            }
        }
        if let Some(of) = schema.get("additionalProperties").filter(|a| a.is_object()) {
            for _ in 0..random.below(3) {
                made.insert(odd::word(random), self.value(random, of, depth + 1));
            }
        }
        made.into()
    }
}
