//! Structural schemas: what a CustomResourceDefinition's `openAPIV3Schema` says about its objects.
//!
//! A schema is parsed once per version of a definition and used for every object: pruning, defaults, validation, rules. All of them
//! take a time that is bounded by the sizes of schema and object.
//!
//! - `parse`: from JSON; the keywords that are known
//! - `invariants`: what makes a schema structural, in upstream's words
//! - `prune`, `defaults`: what happens to an object on its way in
//! - `validate`, `formats`, `lists`: what an object must be
//! - `rules`, `rule_types`, `evaluate`: `x-kubernetes-validations`
mod default_values;
mod defaults;
mod embedded;
mod evaluate;
mod formats;
mod invariants;
mod lists;
mod parse;
mod prune;
mod rule_types;
mod rules;
#[cfg(test)]
mod tests;
mod validate;

pub use default_values::check_defaults;
pub use defaults::apply_defaults;
pub use embedded::check_embedded;
pub use evaluate::evaluate_rules;
pub use formats::is_known as format_is_known;
pub use invariants::check_structural;
pub use lists::check_lists;
pub use parse::{MAX_DEPTH, MAX_NODES, ParseError};
pub use prune::prune;
pub use rules::{CompiledRules, RuleFindings, compile_rules, compile_stored_rules};
pub use validate::{validate, validate_update};

use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// `type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Unset,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// `additionalProperties`
#[derive(Clone, Debug, Default)]
pub enum Additional {
    #[default]
    Unset,
    Allowed(bool),
    Schema(Box<Structural>),
}

/// `x-kubernetes-list-type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// As `Atomic`, when nothing is said.
    #[default]
    Unset,
    Atomic,
    Set,
    Map,
}

/// A schema node. The parts below `allOf`, `anyOf`, `oneOf` and `not` are nodes as well, in which fewer keywords are allowed.
#[derive(Clone, Debug, Default)]
pub struct Structural {
    pub kind: Kind,
    pub title: bool,
    pub description: bool,
    pub external_docs: bool,
    pub items: Option<Box<Structural>>,
    pub properties: BTreeMap<String, Structural>,
    pub additional: Additional,
    pub nullable: bool,
    pub default: Option<Value>,
    pub preserve: bool,
    pub embedded: bool,
    pub int_or_string: bool,
    pub list_type: ListType,
    pub list_keys: Vec<String>,
    /// `x-kubernetes-map-type: atomic`
    pub map_type: Option<String>,
    pub rules: Vec<Rule>,
    pub values: ValueRules,
}

/// Keywords that restrict values without changing what is pruned or filled in.
#[derive(Clone, Debug, Default)]
pub struct ValueRules {
    pub format: String,
    pub maximum: Option<f64>,
    pub exclusive_maximum: bool,
    pub minimum: Option<f64>,
    pub exclusive_minimum: bool,
    pub multiple_of: Option<f64>,
    pub max_length: Option<u64>,
    pub min_length: Option<u64>,
    pub pattern: Option<Pattern>,
    pub max_items: Option<u64>,
    pub min_items: Option<u64>,
    pub unique_items: bool,
    pub max_properties: Option<u64>,
    pub min_properties: Option<u64>,
    pub allowed: Vec<Value>,
    pub required: Vec<String>,
    pub all_of: Vec<Structural>,
    pub any_of: Vec<Structural>,
    pub one_of: Vec<Structural>,
    pub not: Option<Box<Structural>>,
}

/// A regular expression, compiled once. Matching takes time linear in the text.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub source: String,
    pub regex: Result<Regex, String>,
}

/// One of `x-kubernetes-validations`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    pub rule: String,
    pub message: String,
    pub message_expression: String,
    pub reason: Option<String>,
    pub field_path: String,
    pub optional_old_self: Option<bool>,
}

impl Structural {
    /// Parses a schema. It needn't be structural: [`check_structural`] tells.
    pub fn parse(schema: &Value) -> Result<Structural, ParseError> {
        parse::parse(schema)
    }

    /// The schema of a member of an object.
    pub fn member(&self, name: &str) -> Option<&Structural> {
        self.properties.get(name).or(match &self.additional {
            Additional::Schema(schema) => Some(schema),
            _ => None,
        })
    }

    /// Whether any node has rules.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
            || self.items.as_deref().is_some_and(Structural::has_rules)
            || self.properties.values().any(Structural::has_rules)
            || matches!(&self.additional, Additional::Schema(schema) if schema.has_rules())
    }
}

/// `spec.replicas`, `spec.items[0]`, `spec.map[key]`: the last part is appended.
pub(crate) fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

pub(crate) fn keyed(path: &str, key: impl std::fmt::Display) -> String {
    format!("{path}[{key}]")
}
