//! Evaluating the rules of an object.
use super::rules::{CompiledRule, CompiledRules};
use super::{ListType, child, keyed};
use crate::cel::{Budget, Fault, Value, Variables, from_json, optional_none, optional_of};
use crate::status::FieldError;
use serde_json::Value as Json;

/// Longest message of a `messageExpression`, in bytes.
const LONGEST_MESSAGE: usize = 5 * 1024;
const EXHAUSTED: &str = "validation failed due to running out of cost budget, no further validation rules will be run";

/// The findings of all rules about an object, and about how it changed from `old`.
pub fn evaluate_rules(rules: &CompiledRules, value: &Json, old: Option<&Json>, budget: &mut Budget) -> Vec<FieldError> {
    let mut run = Run { budget, errors: Vec::new(), over: false };
    run.node(rules, value, old, false, "");
    run.errors
}

struct Run<'b> {
    budget: &'b mut Budget,
    errors: Vec<FieldError>,
    /// Nothing more is evaluated.
    over: bool,
}

impl Run<'_> {
    /// `unchanged`: something above this value is the same as before.
    fn node(&mut self, rules: &CompiledRules, value: &Json, old: Option<&Json>, unchanged: bool, path: &str) {
        if value.is_null() || self.over {
            return;
        }
        let unchanged = unchanged || old == Some(value);
        if !rules.rules.is_empty() {
            self.rules(rules, value, old.filter(|o| !o.is_null()), unchanged, path);
        }
        match value {
            Json::Array(items) => {
                let Some(below) = &rules.items else { return };
                let old = old.and_then(Json::as_array).filter(|_| rules.list_type == ListType::Map);
                for (at, item) in items.iter().enumerate() {
                    let before = old.and_then(|old| old.iter().find(|o| rules.list_keys.iter().all(|key| o.get(key) == item.get(key))));
                    self.node(below, item, before, unchanged, &keyed(path, at));
                }
            }
            Json::Object(members) => {
                let old = old.filter(|_| !rules.atomic);
                for (name, member) in members {
                    let before = old.and_then(|old| old.get(name));
                    match (rules.properties.get(name), &rules.additional) {
                        (Some(below), _) => self.node(below, member, before, unchanged, &child(path, name)),
                        (None, Some(below)) => self.node(below, member, before, unchanged, &keyed(path, name)),
                        (None, None) => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn rules(&mut self, node: &CompiledRules, value: &Json, old: Option<&Json>, unchanged: bool, path: &str) {
        let me = from_json(value, &node.of);
        let before = old.filter(|_| node.rules.iter().any(|r| r.uses_old)).map(|old| from_json(old, &node.of));
        for rule in &node.rules {
            if self.over {
                return;
            }
            let optional = rule.rule.optional_old_self == Some(true);
            if rule.uses_old && before.is_none() && !optional {
                // Transitions are judged only where there was something before.
                continue;
            }
            let mut variables = Variables::from([("self", me.clone())]);
            match &before {
                Some(before) if optional => _ = variables.insert("oldSelf", optional_of(before.clone())),
                Some(before) => _ = variables.insert("oldSelf", before.clone()),
                None => _ = variables.insert("oldSelf", optional_none()),
            }
            self.rule(rule, &variables, node.type_name, unchanged && !rule.uses_old, path);
        }
    }

    fn rule(&mut self, rule: &CompiledRule, variables: &Variables, type_name: &str, ratcheted: bool, path: &str) {
        let at = if path.is_empty() { "<nil>" } else { path };
        if self.budget.is_empty() {
            self.errors.push(FieldError::invalid(at, type_name, EXHAUSTED));
            self.over = true;
            return;
        }
        match rule.program.evaluate(variables, self.budget) {
            Ok(Value::Bool(true)) => {}
            Ok(_) => {
                let detail = self.message(rule, variables);
                let field = if rule.rule.field_path.is_empty() { at.to_string() } else { format!("{path}{}", rule.rule.field_path) };
                let field = field.trim_start_matches('.');
                if !ratcheted {
                    self.errors.push(finding(rule, field, type_name, detail));
                }
            }
            Err(Fault::OutOfBudget) => {
                self.errors.push(FieldError::invalid(at, type_name, EXHAUSTED));
                self.over = true;
            }
            Err(fault @ Fault::CostLimit) => {
                let why = "no further validation rules will be run due to call cost exceeds limit for rule";
                self.errors.push(FieldError::invalid(at, type_name, format!("'{fault}': {why}: {}", said(rule))));
                self.over = true;
            }
            Err(fault @ Fault::NoSuchOverload) => {
                let why = "call arguments did not match a supported operator, function or macro signature for rule";
                self.errors.push(FieldError::invalid(at, type_name, format!("'{fault}': {why}: {}", said(rule))));
            }
            Err(fault) => self.errors.push(FieldError::invalid(at, type_name, format!("{fault} evaluating rule: {}", said(rule)))),
        }
    }

    /// The message of a failed rule: its expression's when that works out, else the fixed one.
    fn message(&mut self, rule: &CompiledRule, variables: &Variables) -> String {
        if let Some(program) = &rule.message
            && let Ok(Value::String(text)) = program.evaluate(variables, self.budget)
        {
            let text = text.trim();
            if !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n') {
                return text.to_string();
            }
        }
        if rule.rule.message.is_empty() { format!("failed rule: {}", said(rule)) } else { rule.rule.message.trim().to_string() }
    }
}

/// How a rule is named in a finding.
fn said(rule: &CompiledRule) -> &str {
    let text = if rule.rule.message.is_empty() { &rule.rule.rule } else { &rule.rule.message };
    text.trim()
}

fn finding(rule: &CompiledRule, field: &str, type_name: &str, detail: String) -> FieldError {
    match rule.rule.reason.as_deref() {
        Some("FieldValueForbidden") => FieldError::forbidden(field, detail),
        Some("FieldValueRequired") => FieldError::required(field, detail),
        Some("FieldValueDuplicate") => FieldError::duplicate(field, type_name),
        _ => FieldError::invalid(field, type_name, detail),
    }
}
