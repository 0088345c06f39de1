//! Calls: operators here, everything else in the library of the `cel` and `kube-cel` crates.
use super::comprehend::{macro_call, not_strictly_false};
use super::evaluate::{Frame, Outcome, evaluate, field, index, optional};
use super::operators::{binary, unary};
use super::{Budget, Fault, optional_none, optional_of};
use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr, operators as op};
use kube_cel::cel::objects::Opaque;
use kube_cel::cel::{Context, ExecutionError, Value};
use std::sync::Arc;

thread_local! {
    /// The library. It is filled once for each thread that evaluates.
    static LIBRARY: Context<'static> = Context::default().with_all();
}

/// What a call into the library costs besides what it looks at.
const CALL_COST: u64 = 5;
/// What compiling a regular expression costs.
const REGEX_COST: u64 = 200;

pub(super) fn call(call: &CallExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    if call.target.is_none() {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (op::CONDITIONAL, [condition, then, otherwise]) => {
                return match evaluate(condition, frame, budget)? {
                    Value::Bool(true) => evaluate(then, frame, budget),
                    Value::Bool(false) => evaluate(otherwise, frame, budget),
                    _ => Err(Fault::NoSuchOverload),
                };
            }
            (op::LOGICAL_AND, [left, right]) => return logical(false, left, right, frame, budget),
            (op::LOGICAL_OR, [left, right]) => return logical(true, left, right, frame, budget),
            (op::OPT_SELECT | op::OPT_INDEX, [value, at]) => return optional_part(call, value, at, frame, budget),
            ("has", [_]) => return Err(Fault::NoSuchOverload),
            _ => {}
        }
        if let Some(outcome) = not_strictly_false(call, frame, budget) {
            return outcome;
        }
    }
    if let Some(outcome) = macro_call(call, frame, budget) {
        return outcome;
    }
    let mut arguments = Vec::with_capacity(call.args.len());
    // `math.greatest`, `sets.contains`: the target is the library's name, not a value.
    let space = match call.target.as_deref().map(|t| &t.expr) {
        Some(Expr::Ident(space)) if frame.get(space).is_none() => Some(format!("{space}.{}", call.func_name)),
        _ => None,
    };
    let target = match call.target.as_deref() {
        Some(target) if space.is_none() => Some(evaluate(target, frame, budget)?),
        _ => None,
    };
    for argument in &call.args {
        arguments.push(evaluate(argument, frame, budget)?);
    }
    if call.target.is_none() {
        match arguments.as_slice() {
            [left, right] => {
                if let Some(outcome) = operator_on_optionals(&call.func_name, left, right, budget) {
                    return outcome;
                }
            }
            [value] => {
                if let Some(outcome) = unary(&call.func_name, value) {
                    return outcome;
                }
            }
            _ => {}
        }
    }
    if let ("type", None, [value]) = (call.func_name.as_str(), &target, arguments.as_slice()) {
        return type_named(type_of(value)).ok_or(Fault::NoSuchOverload);
    }
    if let ("dyn", None, [value]) = (call.func_name.as_str(), &target, arguments.as_slice()) {
        return Ok(value.clone());
    }
    if let Some(Value::Opaque(_)) = &target
        && let Some(outcome) = super::authorizer::call(&call.func_name, target.as_ref(), &arguments, budget)
    {
        return outcome;
    }
    let name = space.as_deref().unwrap_or(&call.func_name);
    pay(name, target.as_ref(), &arguments, budget)?;
    let result = library(name, target, arguments)?;
    budget.spend_text(weight(&result))?;
    Ok(result)
}

/// `[0]` on an optional list answers an optional item.
fn operator_on_optionals(name: &str, left: &Value, right: &Value, budget: &mut Budget) -> Option<Outcome> {
    match optional(left) {
        Some(inner) if name == op::INDEX => {
            Some(Ok(inner.and_then(|value| index(value, right).ok()).map_or_else(optional_none, optional_of)))
        }
        _ => binary(name, left, right, budget),
    }
}

/// `&&` and `||`: the operand that decides makes an error of the other one irrelevant.
fn logical(decisive: bool, left: &IdedExpr, right: &IdedExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    let left = truth(evaluate(left, frame, budget));
    match left {
        Ok(truth) if truth == decisive => return Ok(Value::Bool(decisive)),
        Err(ref fault) if fault.ends_everything() => return Err(fault.clone()),
        _ => {}
    }
    match (left, truth(evaluate(right, frame, budget))) {
        (_, Err(fault)) if fault.ends_everything() => Err(fault),
        (_, Ok(truth)) if truth == decisive => Ok(Value::Bool(decisive)),
        (Err(fault), _) | (Ok(_), Err(fault)) => Err(fault),
        (Ok(_), Ok(_)) => Ok(Value::Bool(!decisive)),
    }
}

fn truth(outcome: Outcome) -> Result<bool, Fault> {
    match outcome? {
        Value::Bool(truth) => Ok(truth),
        _ => Err(Fault::NoSuchOverload),
    }
}

/// `x.?y` and `x[?y]`
fn optional_part(call: &CallExpr, value: &IdedExpr, at: &IdedExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    let value = evaluate(value, frame, budget)?;
    let at = evaluate(at, frame, budget)?;
    let held = match optional(&value) {
        Some(None) => return Ok(optional_none()),
        Some(Some(inner)) => inner,
        None => &value,
    };
    let found = match (&at, call.func_name.as_str()) {
        (Value::String(name), op::OPT_SELECT) => field(held, name),
        _ => index(held, &at),
    };
    Ok(found.ok().map_or_else(optional_none, optional_of))
}

/// Pays for a call before it is made, where its cost is more than the size of what it answers.
fn pay(name: &str, target: Option<&Value>, arguments: &[Value], budget: &mut Budget) -> Result<(), Fault> {
    let sizes: Vec<usize> = target.into_iter().chain(arguments).map(weight).collect();
    let total: usize = sizes.iter().sum();
    budget.spend(CALL_COST)?;
    budget.spend_text(total)?;
    let product = |sizes: &[usize]| sizes.iter().fold(1u64, |all, size| all.saturating_mul(1 + *size as u64));
    match name {
        "matches" | "find" | "findAll" => budget.spend(REGEX_COST),
        // Each of these may answer with much more than it was given, or compare everything with everything.
        "replace" | "join" => budget.spend(product(&sizes) / 10),
        "distinct" | "indexOf" | "lastIndexOf" => budget.spend(product(&[total, total]) / 10),
        _ if name.starts_with("sets.") => budget.spend(product(&sizes) / 10),
        "lists.range" => match arguments.first() {
            Some(Value::Int(count)) => budget.spend(u64::try_from(*count).unwrap_or(0)),
            _ => Ok(()),
        },
        // A width or precision of a billion is a text of a gigabyte.
        "format" => match target {
            Some(Value::String(pattern)) if longest_number(pattern) > 3 => Err(Fault::Function("precision is too large".into())),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

/// About how many characters or items a value is.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(|item| 1 + shallow(item)).sum(),
        Value::Map(map) => map.map.len() * 4,
        _ => 1,
    }
}

fn shallow(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.map.len(),
        _ => 1,
    }
}

/// A function of the library, by its full name.
pub(super) fn library(name: &str, target: Option<Value>, arguments: Vec<Value>) -> Outcome {
    let ident = |name: String| IdedExpr { id: 0, expr: Expr::Ident(name) };
    let (space, function) = match name.rsplit_once('.') {
        Some((space, function)) => (Some(space), function),
        None => (None, name),
    };
    LIBRARY.with(|library| {
        let mut scope = library.new_inner_scope();
        let args = arguments
            .into_iter()
            .enumerate()
            .map(|(at, value)| {
                let name = format!("@{at}");
                scope.add_variable_from_value(name.clone(), value);
                ident(name)
            })
            .collect();
        let place = match (target, space) {
            (Some(value), _) => {
                scope.add_variable_from_value("@target", value);
                Some(Box::new(ident("@target".into())))
            }
            (None, Some(space)) => Some(Box::new(ident(space.into()))),
            (None, None) => None,
        };
        let call = IdedExpr { id: 0, expr: Expr::Call(CallExpr { func_name: function.into(), target: place, args }) };
        Value::resolve(&call, &scope).map_err(fault_of)
    })
}

fn fault_of(error: ExecutionError) -> Fault {
    match error {
        ExecutionError::NoSuchKey(key) => Fault::NoSuchKey(key.to_string()),
        ExecutionError::UndeclaredReference(name) => Fault::Undeclared(name.to_string()),
        ExecutionError::FunctionError { message, .. } => Fault::Function(message),
        ExecutionError::Overflow(..) => Fault::Overflow,
        ExecutionError::DivisionByZero(_) => Fault::DivisionByZero,
        ExecutionError::RemainderByZero(_) => Fault::ModulusByZero,
        _ => Fault::NoSuchOverload,
    }
}

/// A type as a value: `type(x) == string`.
#[derive(Debug, PartialEq, Eq)]
struct TypeValue(&'static str);

impl Opaque for TypeValue {
    fn runtime_type_name(&self) -> &str {
        "type"
    }
}

const TYPES: &[&str] = &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

pub(super) fn type_named(name: &str) -> Option<Value> {
    let known = TYPES.iter().find(|known| **known == name)?;
    Some(Value::Opaque(Arc::new(TypeValue(known))))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Bytes(_) => "bytes",
        Value::Float(_) => "double",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Null => "null_type",
        Value::String(_) => "string",
        _ => "type",
    }
}
