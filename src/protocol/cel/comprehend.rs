//! The loops that `all`, `exists`, `map` and `filter` are, and the macros that the parser leaves as calls.
use super::evaluate::{Frame, Outcome, evaluate, optional};
use super::{Budget, Fault, optional_none, optional_of};
use kube_cel::cel::Value;
use kube_cel::cel::common::ast::operators::{ADD, CONDITIONAL, NOT_STRICTLY_FALSE};
use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr};
use kube_cel::cel::objects::{Key, Map};
use std::collections::HashMap;
use std::sync::Arc;

/// What a loop goes over: a list's items, or a map's keys in a fixed order.
fn items_of(range: &Value) -> Result<Vec<Value>, Fault> {
    match range {
        Value::List(items) => Ok(items.to_vec()),
        Value::Map(map) => {
            let mut keys: Vec<Key> = map.map.keys().cloned().collect();
            keys.sort_by_cached_key(ToString::to_string);
            Ok(keys.into_iter().map(Value::from).collect())
        }
        _ => Err(Fault::NoSuchOverload),
    }
}

pub(super) fn comprehend(expr: &ComprehensionExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    let range = evaluate(&expr.iter_range, frame, budget)?;
    let items = items_of(&range)?;
    budget.spend(1 + items.len() as u64)?;
    let accumulator = evaluate(&expr.accu_init, frame, budget);
    let inner = Frame::inner(frame);
    inner.set(&expr.accu_var, accumulator);
    for item in items {
        if !goes_on(&expr.loop_cond, &inner, budget)? {
            break;
        }
        inner.set(&expr.iter_var, Ok(item));
        let next = step(expr, &inner, budget);
        if let Err(fault) = &next
            && fault.ends_everything()
        {
            return next;
        }
        inner.set(&expr.accu_var, next);
    }
    evaluate(&expr.result, &inner, budget)
}

/// An error so far is no reason to stop: a later item may decide.
fn goes_on(condition: &IdedExpr, frame: &Frame<'_>, budget: &mut Budget) -> Result<bool, Fault> {
    match evaluate(condition, frame, budget) {
        Ok(Value::Bool(truth)) => Ok(truth),
        Ok(_) => Err(Fault::NoSuchOverload),
        Err(fault) if fault.ends_everything() => Err(fault),
        Err(_) => Ok(true),
    }
}

/// One round. `map` and `filter` append to their list, which is done in place: copying it each time would cost the square.
fn step(expr: &ComprehensionExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    let mut body = &expr.loop_step;
    if let Expr::Call(choice) = &body.expr
        && choice.func_name == CONDITIONAL
        && let [condition, then, otherwise] = choice.args.as_slice()
        && is_accumulator(otherwise, expr)
    {
        match evaluate(condition, frame, budget)? {
            Value::Bool(true) => body = then,
            Value::Bool(false) => return frame.take(&expr.accu_var).unwrap_or(Err(Fault::NoSuchOverload)),
            _ => return Err(Fault::NoSuchOverload),
        }
    }
    if let Expr::Call(sum) = &body.expr
        && sum.func_name == ADD
        && let [left, right] = sum.args.as_slice()
        && is_accumulator(left, expr)
        && let Expr::List(list) = &right.expr
        && let [element] = list.elements.as_slice()
    {
        let element = evaluate(element, frame, budget)?;
        budget.spend(1)?;
        return match frame.take(&expr.accu_var) {
            Some(Ok(Value::List(mut items))) => {
                Arc::make_mut(&mut items).push(element);
                Ok(Value::List(items))
            }
            Some(Err(fault)) => Err(fault),
            _ => Err(Fault::NoSuchOverload),
        };
    }
    evaluate(body, frame, budget)
}

fn is_accumulator(expr: &IdedExpr, comprehension: &ComprehensionExpr) -> bool {
    matches!(&expr.expr, Expr::Ident(name) if *name == comprehension.accu_var)
}

/// `@not_strictly_false(x)`: an error counts as true here.
pub(super) fn not_strictly_false(expr: &CallExpr, frame: &Frame<'_>, budget: &mut Budget) -> Option<Outcome> {
    let [of] = expr.args.as_slice() else { return None };
    (expr.func_name == NOT_STRICTLY_FALSE).then(|| match evaluate(of, frame, budget) {
        Ok(Value::Bool(false)) => Ok(Value::Bool(false)),
        Err(fault) if fault.ends_everything() => Err(fault),
        _ => Ok(Value::Bool(true)),
    })
}

/// Macros of the extension libraries: `cel.bind`, `optMap`, `optFlatMap`, and the loops with two variables.
pub(super) fn macro_call(expr: &CallExpr, frame: &Frame<'_>, budget: &mut Budget) -> Option<Outcome> {
    let target = expr.target.as_deref()?;
    let name = |at: usize| match expr.args.get(at).map(|a| &a.expr) {
        Some(Expr::Ident(name)) => Some(name.as_str()),
        _ => None,
    };
    match (expr.func_name.as_str(), expr.args.as_slice()) {
        ("bind", [_, init, body]) if matches!(&target.expr, Expr::Ident(cel) if cel == "cel") => {
            let inner = Frame::inner(frame);
            inner.set(name(0)?, evaluate(init, frame, budget));
            Some(evaluate(body, &inner, budget))
        }
        ("optMap" | "optFlatMap", [_, body]) => Some(optional_map(expr, target, name(0)?, body, frame, budget)),
        ("all" | "exists" | "existsOne" | "exists_one", [_, _, test]) => {
            Some(two_variables(expr, [name(0)?, name(1)?], (test, None), target, frame, budget))
        }
        ("transformList" | "transformMap", [_, _, body]) => {
            Some(two_variables(expr, [name(0)?, name(1)?], (body, None), target, frame, budget))
        }
        ("transformList" | "transformMap", [_, _, filter, body]) => {
            Some(two_variables(expr, [name(0)?, name(1)?], (body, Some(filter)), target, frame, budget))
        }
        _ => None,
    }
}

fn optional_map(call: &CallExpr, target: &IdedExpr, name: &str, body: &IdedExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    let value = evaluate(target, frame, budget)?;
    match optional(&value) {
        None => Err(Fault::NoSuchOverload),
        Some(None) => Ok(optional_none()),
        Some(Some(held)) => {
            let inner = Frame::inner(frame);
            inner.set(name, Ok(held.clone()));
            let mapped = evaluate(body, &inner, budget)?;
            Ok(if call.func_name == "optMap" { optional_of(mapped) } else { mapped })
        }
    }
}

/// Goes over index and item of a list, or key and value of a map.
fn two_variables(
    call: &CallExpr,
    [first, second]: [&str; 2],
    (body, filter): (&IdedExpr, Option<&IdedExpr>),
    target: &IdedExpr,
    frame: &Frame<'_>,
    budget: &mut Budget,
) -> Outcome {
    let range = evaluate(target, frame, budget)?;
    let pairs: Vec<(Value, Value)> = match &range {
        Value::List(items) => items.iter().enumerate().map(|(i, item)| (Value::Int(i as i64), item.clone())).collect(),
        Value::Map(map) => {
            let value = |key: &Value| super::evaluate::index(&Value::Map(map.clone()), key);
            items_of(&range)?.into_iter().map(|key| value(&key).map(|v| (key, v))).collect::<Result<_, _>>()?
        }
        _ => return Err(Fault::NoSuchOverload),
    };
    budget.spend(1 + pairs.len() as u64)?;
    let (mut list, mut members, mut found, mut failed) = (Vec::new(), HashMap::new(), 0u64, None);
    for (key, value) in pairs {
        let inner = Frame::inner(frame);
        inner.set(first, Ok(key.clone()));
        inner.set(second, Ok(value));
        if let Some(filter) = filter
            && evaluate(filter, &inner, budget)? != Value::Bool(true)
        {
            continue;
        }
        match (call.func_name.as_str(), evaluate(body, &inner, budget)) {
            (_, Err(fault)) if fault.ends_everything() => return Err(fault),
            ("all", Ok(Value::Bool(false))) => return Ok(Value::Bool(false)),
            ("exists", Ok(Value::Bool(true))) => return Ok(Value::Bool(true)),
            ("all" | "exists", Err(fault)) => failed = Some(fault),
            ("all" | "exists", Ok(_)) => {}
            ("existsOne" | "exists_one", outcome) => found += u64::from(outcome? == Value::Bool(true)),
            ("transformList", outcome) => list.push(outcome?),
            (_, outcome) => _ = members.insert(super::operators::key_of(&key)?, outcome?),
        }
    }
    match (call.func_name.as_str(), failed) {
        ("all" | "exists", Some(fault)) => Err(fault),
        ("all", None) => Ok(Value::Bool(true)),
        ("exists", None) => Ok(Value::Bool(false)),
        ("existsOne" | "exists_one", _) => Ok(Value::Bool(found == 1)),
        ("transformList", _) => Ok(Value::List(Arc::new(list))),
        _ => Ok(Value::Map(Map { map: Arc::new(members) })),
    }
}
