//! `x-kubernetes-validations`, compiled: the rules of every node, with what they may cost.
use super::rule_types::{most_items, most_members, type_of};
use super::{Additional, ListType, Rule, Structural, child, keyed};
use crate::cel::{CompileError, Program, RULE_ESTIMATE_LIMIT, SCHEMA_ESTIMATE_LIMIT, Type, cost_message};
use crate::jsonpath::JsonPath;
use crate::status::FieldError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rules that a schema may have; each costs a compilation.
const MOST_RULES: usize = 2_000;
/// How long compiling all rules of a schema may take. The parser's time for one hostile expression is bounded, but not small.
const PATIENCE: Duration = Duration::from_secs(10);
const REASONS: &[&str] = &["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// The rules of a schema and of all below it.
#[derive(Clone, Debug)]
pub struct CompiledRules {
    pub(super) rules: Vec<CompiledRule>,
    pub(super) of: Type,
    /// The schema's type, which findings show instead of the value.
    pub(super) type_name: &'static str,
    pub(super) items: Option<Box<CompiledRules>>,
    pub(super) properties: BTreeMap<String, CompiledRules>,
    pub(super) additional: Option<Box<CompiledRules>>,
    pub(super) list_type: ListType,
    pub(super) list_keys: Vec<String>,
    pub(super) atomic: bool,
}

#[derive(Clone, Debug)]
pub(super) struct CompiledRule {
    pub rule: Rule,
    pub program: Program,
    pub message: Option<Program>,
    pub uses_old: bool,
}

/// Compiled rules (`None` when there are none), and what is wrong with them.
#[derive(Debug, Default)]
pub struct RuleFindings {
    pub rules: Option<CompiledRules>,
    pub errors: Vec<FieldError>,
}

/// Compiles the rules of a schema at `path`.
pub fn compile_rules(schema: &Structural, path: &str) -> RuleFindings {
    compile(schema, path, PATIENCE)
}

/// Compiles the rules of a schema that was checked before it was stored: all of them, however long it takes.
pub fn compile_stored_rules(schema: &Structural) -> Option<CompiledRules> {
    compile(schema, "", Duration::MAX).rules
}

fn compile(schema: &Structural, path: &str, patience: Duration) -> RuleFindings {
    if !schema.has_rules() {
        return RuleFindings::default();
    }
    let mut compiler = Compiler { errors: Vec::new(), total: 0, costs: Vec::new(), count: 0, begun: Instant::now(), patience };
    let place = Place { path: path.into(), uncorrelatable: None, cardinality: 1 };
    let rules = compiler.node(schema, true, &place);
    if compiler.total > SCHEMA_ESTIMATE_LIMIT {
        let why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        compiler.costs.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        compiler.errors.extend(compiler.costs.iter().take(4).map(|(_, at)| FieldError::forbidden(at.clone(), why)));
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        compiler.errors.push(FieldError::forbidden(path, cost_message(what, compiler.total, SCHEMA_ESTIMATE_LIMIT)));
    }
    RuleFindings { rules, errors: compiler.errors }
}

/// Where a node is.
#[derive(Clone)]
struct Place {
    path: String,
    /// The list above it whose items can't be told from one another.
    uncorrelatable: Option<String>,
    /// How many values an object can have here.
    cardinality: u64,
}

impl Place {
    fn below(&self, path: String, times: u64) -> Place {
        Place { path, uncorrelatable: self.uncorrelatable.clone(), cardinality: self.cardinality.saturating_mul(times.max(1)) }
    }
}

struct Compiler {
    errors: Vec<FieldError>,
    total: u64,
    costs: Vec<(u64, String)>,
    count: usize,
    begun: Instant,
    patience: Duration,
}

impl Compiler {
    fn node(&mut self, s: &Structural, root: bool, place: &Place) -> Option<CompiledRules> {
        let of = type_of(s, root);
        let mut rules = Vec::new();
        for (at, rule) in s.rules.iter().enumerate() {
            let path = keyed(&child(&place.path, "x-kubernetes-validations"), at);
            self.count += 1;
            if self.count > MOST_RULES {
                self.errors.push(FieldError::forbidden(path, format!("a schema may have at most {MOST_RULES} rules")));
                break;
            }
            if self.begun.elapsed() > self.patience {
                self.errors.push(FieldError::forbidden(path, "the rules of the schema take too long to compile"));
                break;
            }
            rules.extend(self.rule(rule, s, &of, place, &path));
        }
        let items = s.items.as_deref().filter(|i| i.has_rules()).and_then(|items| {
            let path = child(&place.path, "items");
            let mut below = place.below(path, most_items(s));
            if s.list_type != ListType::Map && below.uncorrelatable.is_none() {
                below.uncorrelatable = Some(place.path.clone());
            }
            self.node(items, items.embedded, &below).map(Box::new)
        });
        let mut properties = BTreeMap::new();
        for (name, property) in s.properties.iter().filter(|(_, p)| p.has_rules()) {
            let below = place.below(keyed(&child(&place.path, "properties"), name), 1);
            properties.extend(self.node(property, property.embedded, &below).map(|rules| (name.clone(), rules)));
        }
        let additional = match &s.additional {
            Additional::Schema(schema) if schema.has_rules() => {
                let below = place.below(child(&place.path, "additionalProperties"), most_members(s));
                self.node(schema, schema.embedded, &below).map(Box::new)
            }
            _ => None,
        };
        if rules.is_empty() && items.is_none() && properties.is_empty() && additional.is_none() {
            return None;
        }
        Some(CompiledRules {
            rules,
            of,
            type_name: super::invariants::type_name(s.kind),
            items,
            properties,
            additional,
            list_type: s.list_type,
            list_keys: s.list_keys.clone(),
            atomic: s.map_type.as_deref() == Some("atomic"),
        })
    }

    fn rule(&mut self, rule: &Rule, s: &Structural, of: &Type, place: &Place, path: &str) -> Option<CompiledRule> {
        let before = self.errors.len();
        self.texts(rule, s, path);
        let at = child(path, "rule");
        if rule.rule.trim().is_empty() {
            self.errors.push(FieldError::required(at, "rule is not specified"));
            return None;
        }
        let program = match Program::compile(&rule.rule) {
            Ok(program) => program,
            Err(error) => {
                self.errors.push(FieldError::invalid(at, rule.rule.as_str(), error.to_string()));
                return None;
            }
        };
        let uses_old = program.mentions("oldSelf");
        let optional = rule.optional_old_self == Some(true);
        let old = if optional { Type::Optional(Arc::new(of.clone())) } else { of.clone() };
        let variables = [("self", of.clone()), ("oldSelf", old)];
        match program.check(&variables) {
            Ok(checked) if !matches!(checked.result, Type::Bool | Type::Dyn) => {
                self.errors.push(FieldError::invalid(at.clone(), rule.rule.as_str(), "cel expression must evaluate to a bool"));
            }
            Ok(checked) => self.spend(checked.cost, place, &at, "estimated rule cost"),
            Err(error) => self.errors.push(FieldError::invalid(at.clone(), rule.rule.as_str(), error.to_string())),
        }
        if uses_old && let Some(list) = &place.uncorrelatable {
            let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
            self.errors.push(FieldError::invalid(at, rule.rule.as_str(), why));
        }
        let message = self.message(rule, &variables, place, path);
        (self.errors.len() == before).then_some(CompiledRule { rule: rule.clone(), program, message, uses_old })
    }

    fn message(&mut self, rule: &Rule, variables: &[(&str, Type)], place: &Place, path: &str) -> Option<Program> {
        if rule.message_expression.is_empty() {
            return None;
        }
        let at = child(path, "messageExpression");
        let compiled = Program::compile(&rule.message_expression).and_then(|program| {
            let checked = program.check(variables)?;
            if !matches!(checked.result, Type::String(_) | Type::Dyn) {
                return Err(CompileError::Invalid("messageExpression must evaluate to a string".into()));
            }
            Ok((program, checked.cost))
        });
        match compiled {
            Ok((program, cost)) => {
                self.spend(cost, place, &at, "estimated messageExpression cost");
                Some(program)
            }
            Err(error) => {
                self.errors.push(FieldError::invalid(at, rule.message_expression.as_str(), error.to_string()));
                None
            }
        }
    }

    fn spend(&mut self, cost: u64, place: &Place, at: &str, what: &str) {
        let cost = cost.saturating_mul(place.cardinality);
        if cost > RULE_ESTIMATE_LIMIT {
            self.errors.push(FieldError::forbidden(at, cost_message(what, cost, RULE_ESTIMATE_LIMIT)));
        }
        self.total = self.total.saturating_add(cost);
        self.costs.push((cost, at.to_string()));
    }

    /// What a rule says besides its expression.
    fn texts(&mut self, rule: &Rule, s: &Structural, path: &str) {
        let at = |name: &str| child(path, name);
        let trimmed = rule.message.trim();
        if !rule.message.is_empty() && trimmed.is_empty() {
            self.errors.push(FieldError::invalid(at("message"), rule.message.as_str(), "message must be non-empty if specified"));
        } else if trimmed.contains('\n') {
            self.errors.push(FieldError::invalid(at("message"), trimmed, "message must not contain line breaks"));
        } else if rule.rule.trim().contains('\n') && trimmed.is_empty() {
            self.errors.push(FieldError::required(at("message"), "message must be specified if rule contains line breaks"));
        }
        if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
            let why = "messageExpression must be non-empty if specified";
            self.errors.push(FieldError::required(at("messageExpression"), why));
        }
        if let Some(reason) = rule.reason.as_deref().filter(|r| !REASONS.contains(r)) {
            self.errors.push(FieldError::not_supported(at("reason"), reason, REASONS));
        }
        if rule.field_path.is_empty() {
            return;
        }
        if let Err(why) = leads_somewhere(&rule.field_path, s) {
            let why = format!("fieldPath must be a valid path: {why}");
            self.errors.push(FieldError::invalid(at("fieldPath"), rule.field_path.as_str(), why));
        }
    }
}

/// Whether `fieldPath` names a field that the schema has.
fn leads_somewhere(path: &str, s: &Structural) -> Result<(), String> {
    let parsed = JsonPath::parse(path).map_err(|e| e.to_string())?;
    let fields = parsed.fields().ok_or("only field and map accessors are allowed")?;
    let mut s = s;
    for name in fields {
        s = s.member(name).ok_or("does not refer to a valid field")?;
    }
    Ok(())
}
