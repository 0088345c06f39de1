//! Operators on values.
use super::evaluate::Outcome;
use super::{Budget, Fault};
use kube_cel::cel::Value;
use kube_cel::cel::common::ast::operators as op;
use kube_cel::cel::objects::Key;
use std::cmp::Ordering;
use std::sync::Arc;

/// Applies a binary operator whose operands are both needed; `None` when there is no such operator.
pub(super) fn binary(name: &str, left: &Value, right: &Value, budget: &mut Budget) -> Option<Outcome> {
    Some(match name {
        op::EQUALS => equal(left, right, budget).map(Value::Bool),
        op::NOT_EQUALS => equal(left, right, budget).map(|same| Value::Bool(!same)),
        op::LESS => compare(left, right, budget, |o| o == Ordering::Less),
        op::LESS_EQUALS => compare(left, right, budget, |o| o != Ordering::Greater),
        op::GREATER => compare(left, right, budget, |o| o == Ordering::Greater),
        op::GREATER_EQUALS => compare(left, right, budget, |o| o != Ordering::Less),
        op::IN => contained(left, right, budget).map(Value::Bool),
        op::ADD => add(left, right, budget),
        op::SUBSTRACT => arithmetic(left, right, i64::checked_sub, u64::checked_sub, |a, b| a - b)
            .unwrap_or_else(|| (left.clone() - right.clone()).map_err(|_| Fault::NoSuchOverload)),
        op::MULTIPLY => arithmetic(left, right, i64::checked_mul, u64::checked_mul, |a, b| a * b).unwrap_or(Err(Fault::NoSuchOverload)),
        op::DIVIDE => divide(left, right),
        op::MODULO => modulo(left, right),
        op::INDEX => super::evaluate::index(left, right),
        _ => return None,
    })
}

/// `!x` and `-x`
pub(super) fn unary(name: &str, value: &Value) -> Option<Outcome> {
    Some(match (name, value) {
        (op::LOGICAL_NOT, Value::Bool(truth)) => Ok(Value::Bool(!truth)),
        (op::NEGATE, Value::Int(number)) => number.checked_neg().map(Value::Int).ok_or(Fault::Overflow),
        (op::NEGATE, Value::Float(number)) => Ok(Value::Float(-number)),
        (op::LOGICAL_NOT | op::NEGATE, _) => Err(Fault::NoSuchOverload),
        _ => return None,
    })
}

fn arithmetic(
    left: &Value,
    right: &Value,
    int: fn(i64, i64) -> Option<i64>,
    uint: fn(u64, u64) -> Option<u64>,
    double: fn(f64, f64) -> f64,
) -> Option<Outcome> {
    Some(match (left, right) {
        (Value::Int(a), Value::Int(b)) => int(*a, *b).map(Value::Int).ok_or(Fault::Overflow),
        (Value::UInt(a), Value::UInt(b)) => uint(*a, *b).map(Value::UInt).ok_or(Fault::Overflow),
        (Value::Float(a), Value::Float(b)) => Ok(Value::Float(double(*a, *b))),
        _ => return None,
    })
}

fn divide(left: &Value, right: &Value) -> Outcome {
    match right {
        Value::Int(0) | Value::UInt(0) => Err(Fault::DivisionByZero),
        _ => arithmetic(left, right, i64::checked_div, u64::checked_div, |a, b| a / b).unwrap_or(Err(Fault::NoSuchOverload)),
    }
}

fn modulo(left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (_, Value::Int(0) | Value::UInt(0)) => Err(Fault::ModulusByZero),
        (Value::Int(a), Value::Int(b)) => a.checked_rem(*b).map(Value::Int).ok_or(Fault::Overflow),
        (Value::UInt(a), Value::UInt(b)) => Ok(Value::UInt(a % b)),
        _ => Err(Fault::NoSuchOverload),
    }
}

fn add(left: &Value, right: &Value, budget: &mut Budget) -> Outcome {
    match (left, right) {
        (Value::String(a), Value::String(b)) => {
            budget.spend_text(a.len() + b.len())?;
            Ok(Value::String(Arc::new(format!("{a}{b}"))))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.spend_text(a.len() + b.len())?;
            Ok(Value::Bytes(Arc::new([a.as_slice(), b.as_slice()].concat())))
        }
        (Value::List(a), Value::List(b)) => {
            budget.spend((a.len() + b.len()) as u64)?;
            Ok(Value::List(Arc::new(a.iter().chain(b.iter()).cloned().collect())))
        }
        _ => arithmetic(left, right, i64::checked_add, u64::checked_add, |a, b| a + b)
            .unwrap_or_else(|| (left.clone() + right.clone()).map_err(|_| Fault::NoSuchOverload)),
    }
}

/// Equality over all types; numbers compare by value. Every pair that is looked at is paid for.
pub(super) fn equal(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Fault> {
    match (left, right) {
        (Value::String(a), Value::String(b)) => {
            budget.spend_text(a.len().min(b.len()))?;
            Ok(a == b)
        }
        (Value::List(a), Value::List(b)) => {
            budget.spend(1)?;
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(a), Value::Map(b)) => {
            budget.spend(1)?;
            if a.map.len() != b.map.len() {
                return Ok(false);
            }
            for (key, a) in a.map.iter() {
                match b.get(key) {
                    Some(b) if equal(a, b, budget)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ => {
            budget.spend(1)?;
            Ok(match numbers(left, right) {
                Some(order) => order == Some(Ordering::Equal),
                None => left == right,
            })
        }
    }
}

/// The order of two numbers of any types; the outer `None` when they aren't both numbers, the inner one for NaN.
fn numbers(left: &Value, right: &Value) -> Option<Option<Ordering>> {
    let wide = |value: &Value| match value {
        Value::Int(n) => Some(i128::from(*n)),
        Value::UInt(n) => Some(i128::from(*n)),
        _ => None,
    };
    let double = |value: &Value| match value {
        Value::Float(n) => Some(*n),
        other => wide(other).map(|n| n as f64),
    };
    match (wide(left), wide(right)) {
        (Some(a), Some(b)) => Some(Some(a.cmp(&b))),
        _ => Some(double(left)?.partial_cmp(&double(right)?)),
    }
}

fn compare(left: &Value, right: &Value, budget: &mut Budget, wanted: fn(Ordering) -> bool) -> Outcome {
    if let Some(order) = numbers(left, right) {
        return Ok(Value::Bool(order.is_some_and(wanted)));
    }
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => {
            budget.spend_text(a.len().min(b.len()))?;
            Some(a.cmp(b))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.spend_text(a.len().min(b.len()))?;
            Some(a.cmp(b))
        }
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => None,
    };
    order.map(|order| Value::Bool(wanted(order))).ok_or(Fault::NoSuchOverload)
}

fn contained(item: &Value, container: &Value, budget: &mut Budget) -> Result<bool, Fault> {
    match container {
        Value::List(items) => {
            for candidate in items.iter() {
                if equal(item, candidate, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => Ok(map.get(&key_of(item)?).is_some()),
        _ => Err(Fault::NoSuchOverload),
    }
}

/// A value as a map's key.
pub(super) fn key_of(value: &Value) -> Result<Key, Fault> {
    match value {
        Value::String(text) => Ok(Key::String(text.clone())),
        Value::Bool(truth) => Ok(Key::Bool(*truth)),
        other => number_key(other).ok_or(Fault::NoSuchOverload),
    }
}

/// A number as an index; doubles without a fraction are taken, as upstream takes them.
pub(super) fn number_key(value: &Value) -> Option<Key> {
    match value {
        Value::Int(n) => Some(Key::Int(*n)),
        Value::UInt(n) => i64::try_from(*n).ok().map(Key::Int),
        Value::Float(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(Key::Int(*n as i64)),
        _ => None,
    }
}
