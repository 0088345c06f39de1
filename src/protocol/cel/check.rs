//! What can be said about an expression before it is evaluated: names and fields that don't exist, operators that don't fit, and
//! the most that evaluation can cost.
//!
//! Types are inferred as far as declarations reach; where they end, everything goes, and evaluation will tell.
use super::Type;
use super::cost::UNBOUNDED_SIZE;
use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, StructExpr, operators as op,
};
use std::sync::Arc;

/// The findings about a good expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub result: Type,
    /// Units of the budget that evaluation costs at most.
    pub cost: u64,
}

pub(super) fn check(ast: &IdedExpr, source: &str, variables: &[(&str, Type)]) -> Result<Checked, String> {
    let scope = variables.iter().map(|(name, of)| (name.to_string(), of.clone())).collect();
    Checker { source, scope }.expr(ast)
}

type Found = Result<Checked, String>;

struct Checker<'s> {
    source: &'s str,
    scope: Vec<(String, Type)>,
}

fn of(result: Type, cost: u64) -> Found {
    Ok(Checked { result, cost })
}

impl Checker<'_> {
    /// A finding with its place, in the compiler's form. The place is where the word in question first occurs.
    fn fault(&self, at: &str, message: &str) -> String {
        let offset = self.source.find(at).unwrap_or(0);
        let before = self.source.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let text = self.source.lines().nth(line).unwrap_or_default();
        format!("ERROR: <input>:{}:{}: {message}\n | {text}\n | {}^", line + 1, column + 1, ".".repeat(column))
    }

    fn expr(&mut self, expr: &IdedExpr) -> Found {
        match &expr.expr {
            Expr::Literal(literal) => of(literal_type(literal), 0),
            Expr::Ident(name) => match self.scope.iter().rev().find(|(known, _)| known == name) {
                Some((_, Type::Messages)) => Err(self.fault(name, &format!("undeclared reference to '{name}' (in container '')"))),
                Some((_, found)) => of(found.clone(), 1),
                None if super::call::type_named(name).is_some() => of(Type::Dyn, 0),
                None => Err(self.fault(name, &format!("undeclared reference to '{name}' (in container '')"))),
            },
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                let (mut cost, mut item) = (10, None);
                for element in &list.elements {
                    let element = self.expr(element)?;
                    cost += element.cost;
                    item = Some(item.map_or(element.result.clone(), |known: Type| joined(known, element.result)));
                }
                of(Type::List(Arc::new(item.unwrap_or(Type::Dyn)), list.elements.len() as u64), cost)
            }
            Expr::Map(map) => {
                let mut cost = 30;
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        cost += self.expr(&entry.key)?.cost + self.expr(&entry.value)?.cost;
                    }
                }
                of(Type::Map(Arc::new(Type::Dyn), map.entries.len() as u64), cost)
            }
            Expr::Struct(message) => self.message(message),
            Expr::Unspecified => Err(self.fault("", "unexpected failed resolution")),
        }
    }

    /// `Object.spec{…}` where such messages are declared. Its fields are known to whoever applies it.
    fn message(&mut self, message: &StructExpr) -> Found {
        let name = &message.type_name;
        let root = name.split('.').next().unwrap_or_default();
        let declared = self.scope.iter().any(|(known, of)| known == root && *of == Type::Messages);
        let Some(result) = super::message::result_type(name).filter(|_| declared) else {
            return Err(self.fault(name, &format!("undeclared reference to '{name}' (in container '')")));
        };
        let mut cost = 40;
        for entry in &message.entries {
            let EntryExpr::StructField(field) = &entry.expr else { continue };
            if let Some(known) = super::message::fields(name)
                && !known.contains(&field.field.as_str())
            {
                return Err(self.fault(&field.field, &format!("undefined field '{}'", field.field)));
            }
            cost += self.expr(&field.value)?.cost;
        }
        of(result, cost)
    }

    fn select(&mut self, select: &SelectExpr) -> Found {
        let operand = self.expr(&select.operand)?;
        let cost = operand.cost + 1;
        let (held, is_optional) = match operand.result {
            Type::Optional(inner) => ((*inner).clone(), true),
            other => (other, false),
        };
        let field = match self.field(&held, &select.field)? {
            field if is_optional => Type::Optional(Arc::new(field)),
            field => field,
        };
        of(if select.test { Type::Bool } else { field }, cost)
    }

    fn field(&self, held: &Type, name: &str) -> Result<Type, String> {
        match held {
            Type::Dyn | Type::Null => Ok(Type::Dyn),
            Type::Map(item, _) => Ok((**item).clone()),
            Type::Named(of) => match super::authorizer::field_type(of, name) {
                Some(found) => Ok(found),
                None => Err(self.fault(&format!(".{name}"), &format!("undefined field '{name}'"))),
            },
            Type::Object(fields) => match fields.iter().find(|(known, _)| known == name) {
                Some((_, field)) => Ok(field.of.clone()),
                None => Err(self.fault(&format!(".{name}"), &format!("undefined field '{name}'"))),
            },
            other => Err(self.fault(&format!(".{name}"), &format!("type '{}' does not support field selection", other.name()))),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Found {
        if let Some(found) = self.extension_macro(call) {
            return found;
        }
        let space = match call.target.as_deref().map(|t| &t.expr) {
            Some(Expr::Ident(space)) if !self.scope.iter().any(|(known, _)| known == space) => Some(space.clone()),
            _ => None,
        };
        let target = match call.target.as_deref() {
            Some(target) if space.is_none() => Some(self.expr(target)?),
            _ => None,
        };
        let arguments = call.args.iter().map(|argument| self.expr(argument)).collect::<Result<Vec<_>, _>>()?;
        let mut cost = target.iter().chain(&arguments).fold(1u64, |sum, part| sum.saturating_add(part.cost));
        if call.target.is_none()
            && let Some(result) = self.operator(call, &arguments)?
        {
            if matches!(call.func_name.as_str(), op::EQUALS | op::NOT_EQUALS | op::IN | op::ADD) {
                let sizes = arguments.iter().map(|a| a.result.size());
                let looked_at = if call.func_name == op::ADD { sizes.sum() } else { sizes.min().unwrap_or(1) };
                let looked_at = if call.func_name == op::IN { arguments.last().map_or(1, |a| a.result.size()) } else { looked_at };
                cost = cost.saturating_add(looked_at / 10);
            }
            // Of the two branches only one is evaluated.
            if let (op::CONDITIONAL, [condition, then, otherwise]) = (call.func_name.as_str(), arguments.as_slice()) {
                cost = condition.cost.saturating_add(then.cost.max(otherwise.cost));
            }
            return of(result, cost);
        }
        let name = space.map_or_else(|| call.func_name.clone(), |space| format!("{space}.{}", call.func_name));
        let sizes: u64 = target.iter().chain(&arguments).fold(0, |sum, a| u64::saturating_add(sum, a.result.size()));
        let result = self.function(&name, target.as_ref(), &arguments)?;
        of(result, cost.saturating_add(function_cost(&name, sizes)))
    }

    /// The result of an operator, `None` when it is none.
    fn operator(&self, call: &CallExpr, arguments: &[Checked]) -> Result<Option<Type>, String> {
        let types: Vec<&Type> = arguments.iter().map(|a| &a.result).collect();
        let refused = || Err(self.no_overload(&call.func_name, &types));
        let is_bool = |of: &Type| matches!(of, Type::Bool | Type::Dyn);
        Ok(Some(match (call.func_name.as_str(), types.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR, [a, b]) if is_bool(a) && is_bool(b) => Type::Bool,
            (op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, [a]) if is_bool(a) => Type::Bool,
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT, _) => return refused(),
            (op::CONDITIONAL, [condition, a, b]) if is_bool(condition) => joined((*a).clone(), (*b).clone()),
            (op::EQUALS | op::NOT_EQUALS, [a, b]) if a.compares_with(b) => Type::Bool,
            (op::EQUALS | op::NOT_EQUALS, _) => return refused(),
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) if ordered(a) && a.compares_with(b) => Type::Bool,
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, _) => return refused(),
            (op::IN, [_, Type::Dyn | Type::Map(..)]) => Type::Bool,
            (op::IN, [item, Type::List(of, _)]) if of.compares_with(item) => Type::Bool,
            (op::IN, _) => return refused(),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => match sum(&call.func_name, a, b) {
                Some(result) => result,
                None => return refused(),
            },
            (op::NEGATE, [a @ (Type::Int | Type::Double | Type::Dyn)]) => (*a).clone(),
            (op::INDEX, [Type::List(item, _), Type::Int | Type::Uint | Type::Dyn]) | (op::INDEX, [Type::Map(item, _), _]) => {
                (**item).clone()
            }
            (op::INDEX, [Type::Dyn | Type::Optional(_), _]) => Type::Dyn,
            (op::INDEX | op::NEGATE, _) => return refused(),
            (op::OPT_SELECT | op::OPT_INDEX, _) => Type::Optional(Arc::new(Type::Dyn)),
            _ => return Ok(None),
        }))
    }

    fn no_overload(&self, name: &str, types: &[&Type]) -> String {
        let names: Vec<String> = types.iter().map(|t| t.name()).collect();
        let sign = name.trim_matches('_').trim_end_matches("_:");
        self.fault(sign, &format!("found no matching overload for '{name}' applied to '({})'", names.join(", ")))
    }

    fn function(&self, name: &str, target: Option<&Checked>, arguments: &[Checked]) -> Result<Type, String> {
        let first = target.or(arguments.first()).map_or(&Type::Dyn, |t| &t.result);
        if let (Some(receiver), Type::Named(of)) = (target, first) {
            let given: Vec<&Type> = arguments.iter().map(|a| &a.result).collect();
            return super::authorizer::result_type(of, name, &given).ok_or_else(|| self.no_overload(name, &[&receiver.result]));
        }
        let text = || Type::String(first.size().max(UNBOUNDED_SIZE.min(first.size().saturating_mul(2))));
        let last = name.rsplit('.').next().unwrap_or(name);
        Ok(match last {
            "size" => match first {
                Type::String(_) | Type::Bytes | Type::List(..) | Type::Map(..) | Type::Object(_) | Type::Dyn => Type::Int,
                other => return Err(self.no_overload("size", &[other])),
            },
            "startsWith" | "endsWith" | "matches" => match first {
                Type::String(_) | Type::Dyn => Type::Bool,
                other => return Err(self.no_overload(last, &[other])),
            },
            "contains"
            | "isSorted"
            | "isURL"
            | "isIP"
            | "isCIDR"
            | "isQuantity"
            | "isSemver"
            | "isInteger"
            | "isGreaterThan"
            | "isLessThan"
            | "containsIP"
            | "containsCIDR"
            | "hasValue"
            | "intersects"
            | "equivalent"
            | "isCanonical"
            | "isNaN"
            | "isInf"
            | "isFinite"
            | "isUnspecified"
            | "isLoopback"
            | "isGlobalUnicast"
            | "isLinkLocalUnicast"
            | "isLinkLocalMulticast"
            | "bool" => Type::Bool,
            "int" | "indexOf" | "lastIndexOf" | "compareTo" | "sign" | "major" | "minor" | "patch" | "family" | "prefixLength"
            | "asInteger" | "getFullYear" | "getMonth" | "getDayOfYear" | "getDayOfMonth" | "getDate" | "getDayOfWeek" | "getHours"
            | "getMinutes" | "getSeconds" | "getMilliseconds" => Type::Int,
            "uint" => Type::Uint,
            "double" | "asApproximateFloat" => Type::Double,
            "string" | "charAt" | "join" | "lowerAscii" | "upperAscii" | "replace" | "substring" | "trim" | "quote" | "find"
            | "escapeKey" | "getScheme" | "getHost" | "getHostname" | "getPort" | "getEscapedPath" => text(),
            "split" | "findAll" => Type::List(Arc::new(text()), first.size()),
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            "flatten" | "sort" | "distinct" | "slice" | "reverse" => first.clone(),
            "none" | "of" | "ofNonZeroValue" => Type::Optional(Arc::new(arguments.first().map_or(Type::Dyn, |a| a.result.clone()))),
            "orValue" | "value" => match first {
                Type::Optional(held) => joined((**held).clone(), arguments.first().map_or((**held).clone(), |a| a.result.clone())),
                _ => Type::Dyn,
            },
            "bytes" | "encode" | "decode" | "quantity" | "url" | "ip" | "cidr" | "semver" | "masked" | "add" | "sub" | "getQuery"
            | "format" | "named" | "validate" | "dyn" | "type" | "min" | "max" | "sum" | "first" | "last" | "range" | "or" | "greatest"
            | "least" | "abs" | "ceil" | "floor" | "round" | "trunc" | "sqrt" | "bitAnd" | "bitOr" | "bitXor" | "bitNot"
            | "bitShiftLeft" | "bitShiftRight" | "value?" => Type::Dyn,
            // Functions of the authorizer, of formats by name, and those that others add.
            _ if name.contains('.') || matches!(first, Type::Dyn) && target.is_some() => Type::Dyn,
            _ => return Err(self.fault(name, &format!("undeclared reference to '{name}' (in container '')"))),
        })
    }

    /// Macros that the parser leaves as calls bind names, which are declared here.
    fn extension_macro(&mut self, call: &CallExpr) -> Option<Found> {
        let target = call.target.as_deref()?;
        let names: Vec<&str> = call.args.iter().map_while(|a| if let Expr::Ident(n) = &a.expr { Some(n.as_str()) } else { None }).collect();
        let is_bind = call.func_name == "bind" && matches!(&target.expr, Expr::Ident(cel) if cel == "cel");
        match (call.func_name.as_str(), call.args.len(), names.as_slice()) {
            ("bind", 3, [name, ..]) if is_bind => Some(self.bound(&[name], &call.args[1], &call.args[2..], false)),
            ("optMap" | "optFlatMap", 2, [name, ..]) => Some(
                self.bound(&[name], target, &call.args[1..], false)
                    .map(|found| Checked { result: Type::Optional(Arc::new(found.result)), ..found }),
            ),
            ("all" | "exists" | "existsOne" | "exists_one", 3, [a, b, ..]) => {
                Some(self.bound(&[a, b], target, &call.args[2..], true).map(|found| Checked { result: Type::Bool, ..found }))
            }
            ("transformList" | "transformMap", 3 | 4, [a, b, ..]) => {
                Some(self.bound(&[a, b], target, &call.args[2..], true).map(|found| Checked { result: Type::Dyn, ..found }))
            }
            _ => None,
        }
    }

    /// The type of the last of `bodies`, evaluated once, or for every item of the range.
    fn bound(&mut self, names: &[&str], range: &IdedExpr, bodies: &[IdedExpr], each: bool) -> Found {
        let range = self.expr(range)?;
        let before = self.scope.len();
        for name in names {
            let held = match &range.result {
                _ if each => Type::Dyn,
                Type::Optional(inner) => (**inner).clone(),
                other => other.clone(),
            };
            self.scope.push((name.to_string(), held));
        }
        let (mut cost, mut result) = (1u64, Type::Dyn);
        for body in bodies {
            let body = self.expr(body)?;
            cost = cost.saturating_add(body.cost);
            result = body.result;
        }
        self.scope.truncate(before);
        let times = if each { range.result.size() } else { 1 };
        of(result, range.cost.saturating_add(cost.saturating_mul(times)))
    }

    fn comprehension(&mut self, expr: &ComprehensionExpr) -> Found {
        let range = self.expr(&expr.iter_range)?;
        let item = match &range.result {
            Type::List(item, _) => (**item).clone(),
            Type::Map(..) | Type::Object(_) => Type::String(UNBOUNDED_SIZE.min(256)),
            Type::Dyn => Type::Dyn,
            other => {
                let message =
                    format!("expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)", other.name());
                return Err(self.fault("", &message));
            }
        };
        let rounds = range.result.size();
        let start = self.expr(&expr.accu_init)?;
        let before = self.scope.len();
        self.scope.push((expr.accu_var.clone(), start.result.clone()));
        self.scope.push((expr.iter_var.clone(), item));
        let condition = self.expr(&expr.loop_cond)?;
        let step = self.expr(&expr.loop_step)?;
        let accumulated = match (start.result, &step.result) {
            // `map` and `filter`: as many items as rounds.
            (Type::List(..), Type::List(item, _)) => Type::List(item.clone(), rounds),
            (Type::Bool, other) if !matches!(other, Type::Bool | Type::Dyn) => {
                return Err(self.no_overload("_&&_", &[&Type::Bool, other]));
            }
            (start, _) => start,
        };
        self.scope.truncate(before);
        self.scope.push((expr.accu_var.clone(), accumulated));
        let result = self.expr(&expr.result)?;
        self.scope.truncate(before);
        let round = condition.cost.saturating_add(step.cost).saturating_add(1);
        of(result.result, range.cost.saturating_add(rounds.saturating_mul(round)).saturating_add(result.cost))
    }
}

fn function_cost(name: &str, sizes: u64) -> u64 {
    match name {
        "size" => 0,
        "check" => super::authorizer::CHECK_COST,
        "matches" | "find" | "findAll" => 200 + sizes / 4,
        "distinct" | "replace" => (sizes / 10).saturating_mul(2),
        _ if name.starts_with("sets.") => sizes.saturating_mul(sizes.min(1000)) / 10,
        _ => 5 + sizes / 10,
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(text) => Type::String(text.inner().len() as u64),
        LiteralValue::UInt(_) => Type::Uint,
    }
}

/// The type that both are.
fn joined(a: Type, b: Type) -> Type {
    match (a, b) {
        (Type::String(a), Type::String(b)) => Type::String(a.max(b)),
        (Type::List(a, n), Type::List(b, m)) => Type::List(Arc::new(joined((*a).clone(), (*b).clone())), n.max(m)),
        (Type::Map(a, n), Type::Map(b, m)) => Type::Map(Arc::new(joined((*a).clone(), (*b).clone())), n.max(m)),
        (a, b) if a == b => a,
        _ => Type::Dyn,
    }
}

fn ordered(of: &Type) -> bool {
    use Type::{Bool, Bytes, Double, Duration, Dyn, Int, String, Timestamp, Uint};
    matches!(of, Dyn | Bool | Int | Uint | Double | String(_) | Bytes | Timestamp | Duration)
}

/// The result type of an arithmetic operator.
fn sum(name: &str, a: &Type, b: &Type) -> Option<Type> {
    let additive = matches!(name, op::ADD | op::SUBSTRACT);
    Some(match (a, b) {
        (Type::Dyn, _) | (_, Type::Dyn) => Type::Dyn,
        (Type::Int, Type::Int) => Type::Int,
        (Type::Uint, Type::Uint) => Type::Uint,
        (Type::Double, Type::Double) if name != op::MODULO => Type::Double,
        (Type::String(a), Type::String(b)) if name == op::ADD => Type::String(a.saturating_add(*b)),
        (Type::Bytes, Type::Bytes) if name == op::ADD => Type::Bytes,
        (Type::List(a, n), Type::List(b, m)) if name == op::ADD => {
            Type::List(Arc::new(if *n == 0 { (**b).clone() } else { joined((**a).clone(), (**b).clone()) }), n.saturating_add(*m))
        }
        (Type::Timestamp, Type::Duration) if additive => Type::Timestamp,
        (Type::Duration, Type::Timestamp) if name == op::ADD => Type::Timestamp,
        (Type::Timestamp, Type::Timestamp) if name == op::SUBSTRACT => Type::Duration,
        (Type::Duration, Type::Duration) if additive => Type::Duration,
        _ => return None,
    })
}
