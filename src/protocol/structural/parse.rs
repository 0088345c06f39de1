//! From the JSON of a schema to its nodes.
use super::{Additional, Kind, ListType, Pattern, Rule, Structural, ValueRules};
use regex::RegexBuilder;
use serde_json::{Map, Value};

/// Nodes above each other.
pub const MAX_DEPTH: usize = 100;
/// Nodes altogether. The largest schemas in use have some ten thousand.
pub const MAX_NODES: usize = 200_000;
/// Bytes that a compiled regular expression may take.
const REGEX_SIZE: usize = 1 << 20;

/// Why a schema can't be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("the schema is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the schema has more than {MAX_NODES} nodes")]
    TooLarge,
    #[error("the schema is not an object")]
    NotAnObject,
}

pub(super) fn parse(schema: &Value) -> Result<Structural, ParseError> {
    Parser { nodes: 0 }.node(schema, 0)
}

struct Parser {
    nodes: usize,
}

impl Parser {
    fn node(&mut self, schema: &Value, depth: usize) -> Result<Structural, ParseError> {
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        if self.nodes > MAX_NODES {
            return Err(ParseError::TooLarge);
        }
        let schema = schema.as_object().ok_or(ParseError::NotAnObject)?;
        let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
        let flag = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or(false);
        let given = |key: &str| schema.get(key).filter(|v| !v.is_null());
        let mut node = Structural {
            kind: kind_of(text("type")),
            title: !text("title").is_empty(),
            description: !text("description").is_empty(),
            external_docs: given("externalDocs").is_some(),
            nullable: flag("nullable"),
            default: given("default").cloned(),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            list_type: list_type(text("x-kubernetes-list-type")),
            list_keys: texts(schema.get("x-kubernetes-list-map-keys")),
            map_type: given("x-kubernetes-map-type").and_then(Value::as_str).map(str::to_string),
            rules: schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten().map(rule).collect(),
            values: self.values(schema, depth)?,
            ..Structural::default()
        };
        if let Some(items @ Value::Object(_)) = schema.get("items") {
            node.items = Some(Box::new(self.node(items, depth + 1)?));
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            node.properties.insert(name.clone(), self.node(property, depth + 1)?);
        }
        node.additional = match schema.get("additionalProperties") {
            Some(Value::Bool(allowed)) => Additional::Allowed(*allowed),
            Some(schema @ Value::Object(_)) => Additional::Schema(Box::new(self.node(schema, depth + 1)?)),
            _ => Additional::Unset,
        };
        Ok(node)
    }

    fn values(&mut self, schema: &Map<String, Value>, depth: usize) -> Result<ValueRules, ParseError> {
        let number = |key: &str| schema.get(key).and_then(Value::as_f64);
        let count = |key: &str| schema.get(key).and_then(Value::as_f64).filter(|n| *n >= 0.0).map(|n| n as u64);
        let flag = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or(false);
        let pattern = schema.get("pattern").and_then(Value::as_str).filter(|p| !p.is_empty());
        let mut values = ValueRules {
            format: schema.get("format").and_then(Value::as_str).unwrap_or_default().to_string(),
            maximum: number("maximum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            minimum: number("minimum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            multiple_of: number("multipleOf"),
            max_length: count("maxLength"),
            min_length: count("minLength"),
            pattern: pattern.map(compiled),
            max_items: count("maxItems"),
            min_items: count("minItems"),
            unique_items: flag("uniqueItems"),
            max_properties: count("maxProperties"),
            min_properties: count("minProperties"),
            allowed: schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            required: texts(schema.get("required")),
            ..ValueRules::default()
        };
        for (key, list) in [("allOf", &mut values.all_of), ("anyOf", &mut values.any_of), ("oneOf", &mut values.one_of)] {
            for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                list.push(self.node(part, depth + 1)?);
            }
        }
        if let Some(part @ Value::Object(_)) = schema.get("not") {
            values.not = Some(Box::new(self.node(part, depth + 1)?));
        }
        Ok(values)
    }
}

fn kind_of(text: &str) -> Kind {
    match text {
        "object" => Kind::Object,
        "array" => Kind::Array,
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        _ => Kind::Unset,
    }
}

fn list_type(text: &str) -> ListType {
    match text {
        "atomic" => ListType::Atomic,
        "set" => ListType::Set,
        "map" => ListType::Map,
        _ => ListType::Unset,
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(|v| v.as_str().map(str::to_string)).collect()
}

fn compiled(pattern: &str) -> Pattern {
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build();
    let regex = regex.map_err(|e| e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string());
    Pattern { source: pattern.to_string(), regex }
}

fn rule(value: &Value) -> Rule {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
    Rule {
        rule: text("rule"),
        message: text("message"),
        message_expression: text("messageExpression"),
        reason: value["reason"].as_str().map(str::to_string),
        field_path: text("fieldPath"),
        optional_old_self: value["optionalOldSelf"].as_bool(),
    }
}
