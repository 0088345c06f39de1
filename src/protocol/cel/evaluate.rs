//! The evaluator: walks the expression, one unit of the budget for each step.
use super::authorizer::request_resource;
use super::call::call;
use super::comprehend::comprehend;
use super::message::{Message, message};
use super::operators::{key_of, number_key};
use super::{Budget, Fault, Scope, optional_none, optional_of};
use kube_cel::cel::Value;
use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, SelectExpr};
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) type Outcome = Result<Value, Fault>;

/// What building a list or a map costs besides its parts, as upstream has it.
const LIST_COST: u64 = 10;
const MAP_COST: u64 = 30;

/// Names in scope: the program's variables, and around them those of macros.
pub(super) enum Frame<'a> {
    Root(&'a dyn Scope),
    /// An error can be bound as well: `all` and `exists` carry one along until they know whether it matters.
    Inner {
        parent: &'a Frame<'a>,
        names: RefCell<Vec<(String, Outcome)>>,
    },
}

impl<'a> Frame<'a> {
    pub fn root(scope: &'a dyn Scope) -> Self {
        Frame::Root(scope)
    }

    pub fn inner(parent: &'a Frame<'a>) -> Self {
        Frame::Inner { parent, names: RefCell::default() }
    }

    pub fn set(&self, name: &str, value: Outcome) {
        if let Frame::Inner { names, .. } = self {
            let mut names = names.borrow_mut();
            match names.iter_mut().find(|(known, _)| *known == name) {
                Some((_, place)) => *place = value,
                None => names.push((name.to_string(), value)),
            }
        }
    }

    /// Takes a value out of the innermost scope, so that a list can grow in place.
    pub fn take(&self, name: &str) -> Option<Outcome> {
        match self {
            Frame::Inner { names, .. } => {
                let mut names = names.borrow_mut();
                let place = names.iter_mut().find(|(known, _)| *known == name)?;
                Some(std::mem::replace(&mut place.1, Ok(Value::Null)))
            }
            Frame::Root(_) => None,
        }
    }

    pub fn get(&self, name: &str) -> Option<Outcome> {
        match self {
            Frame::Root(scope) => scope.get(name).map(Ok),
            Frame::Inner { parent, names } => {
                let found = names.borrow().iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
                found.or_else(|| parent.get(name))
            }
        }
    }

    /// `name.field`, where the scope makes it up when it is asked for.
    fn member(&self, name: &str, field: &str, budget: &mut Budget) -> Option<Outcome> {
        match self {
            Frame::Root(scope) => scope.member(name, field, budget),
            Frame::Inner { names, .. } if names.borrow().iter().any(|(known, _)| known == name) => None,
            Frame::Inner { parent, .. } => parent.member(name, field, budget),
        }
    }
}

pub(super) fn evaluate(expr: &IdedExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    match &expr.expr {
        Expr::Literal(literal) => Ok(constant(literal)),
        Expr::Ident(name) => {
            budget.spend(1)?;
            frame.get(name).or_else(|| super::call::type_named(name).map(Ok)).unwrap_or_else(|| Err(Fault::Undeclared(name.clone())))
        }
        Expr::Select(select) => self::select(select, frame, budget),
        Expr::Call(expr) => {
            budget.spend(1)?;
            call(expr, frame, budget)
        }
        Expr::Comprehension(expr) => comprehend(expr, frame, budget),
        Expr::List(list) => self::list(list, frame, budget),
        Expr::Map(map) => self::map(map, frame, budget),
        Expr::Struct(made) => message(made, frame, budget),
        Expr::Unspecified => Err(Fault::NoSuchOverload),
    }
}

fn constant(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Bytes(value) => Value::Bytes(Arc::new(value.inner().to_vec())),
        LiteralValue::Double(value) => Value::Float(*value.inner()),
        LiteralValue::Int(value) => Value::Int(*value.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(value) => Value::String(Arc::new(value.inner().to_string())),
        LiteralValue::UInt(value) => Value::UInt(*value.inner()),
    }
}

fn select(select: &SelectExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    if let Expr::Ident(name) = &select.operand.expr
        && let Some(made) = frame.member(name, &select.field, budget)
    {
        budget.spend(1)?;
        return if select.test { Ok(Value::Bool(made.is_ok())) } else { made };
    }
    let operand = evaluate(&select.operand, frame, budget)?;
    budget.spend(1)?;
    if select.test {
        return match &operand {
            Value::Map(map) => Ok(Value::Bool(member(map, &select.field).is_some())),
            Value::Opaque(_) if Message::of(&operand).is_some() => {
                Ok(Value::Bool(Message::of(&operand).is_some_and(|m| m.field(&select.field).is_some())))
            }
            Value::Opaque(_) => Ok(Value::Bool(optional(&operand).flatten().is_some_and(|inner| field(inner, &select.field).is_ok()))),
            _ => Err(Fault::NoSuchOverload),
        };
    }
    match optional(&operand) {
        Some(inner) => Ok(inner.and_then(|value| field(value, &select.field).ok()).map_or_else(optional_none, optional_of)),
        None => field(&operand, &select.field),
    }
}

/// A field of an object.
pub(super) fn field(value: &Value, name: &str) -> Outcome {
    match value {
        Value::Map(map) => member(map, name).cloned().ok_or_else(|| Fault::NoSuchKey(name.to_string())),
        _ => match (Message::of(value), request_resource(value, name)) {
            (Some(message), _) => message.field(name).cloned().ok_or_else(|| Fault::NoSuchKey(name.to_string())),
            (None, Some(own)) => Ok(own),
            (None, None) => Err(Fault::NoSuchOverload),
        },
    }
}

fn member<'m>(map: &'m Map, name: &str) -> Option<&'m Value> {
    map.get(&Key::String(Arc::new(name.to_string())))
}

/// The inside of an optional value; `None` when the value is not optional at all.
pub(super) fn optional(value: &Value) -> Option<Option<&Value>> {
    match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<OptionalValue>().map(OptionalValue::value),
        _ => None,
    }
}

/// `list[index]`, `map[key]`
pub(super) fn index(value: &Value, at: &Value) -> Outcome {
    match value {
        Value::List(items) => {
            let Some(Key::Int(at)) = number_key(at) else { return Err(Fault::NoSuchOverload) };
            usize::try_from(at).ok().and_then(|i| items.get(i)).cloned().ok_or(Fault::OutOfBounds(at))
        }
        Value::Map(map) => {
            let key = key_of(at)?;
            map.get(&key).cloned().ok_or_else(|| Fault::NoSuchKey(key.to_string()))
        }
        _ => Err(Fault::NoSuchOverload),
    }
}

fn list(list: &ListExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    budget.spend(LIST_COST)?;
    let mut items = Vec::with_capacity(list.elements.len());
    for (at, element) in list.elements.iter().enumerate() {
        let value = evaluate(element, frame, budget)?;
        match optional(&value).filter(|_| list.optional_indices.contains(&at)) {
            Some(inner) => items.extend(inner.cloned()),
            None => items.push(value),
        }
    }
    Ok(Value::List(Arc::new(items)))
}

fn map(map: &MapExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    budget.spend(MAP_COST)?;
    let mut members = HashMap::with_capacity(map.entries.len());
    for entry in &map.entries {
        let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(Fault::NoSuchOverload) };
        let key = key_of(&evaluate(&entry.key, frame, budget)?)?;
        let value = evaluate(&entry.value, frame, budget)?;
        match optional(&value).filter(|_| entry.optional) {
            Some(inner) => members.extend(inner.cloned().map(|value| (key, value))),
            None => _ = members.insert(key, value),
        }
    }
    Ok(Value::Map(Map { map: Arc::new(members) }))
}
