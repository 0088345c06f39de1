//! The typed view that merging needs: which parts of an object are owned one by one, and which as a whole.
//!
//! A type says what a value may be: a plain value, a list, a map, or several of these when nobody said. Types refer to each
//! other by their place in one table. The table of the built-in kinds is made once, by the first write that is tracked;
//! custom kinds have each their own.
mod builtin;
mod custom;

pub use builtin::builtin;
pub use custom::custom;

use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// The place of a type in its table.
pub(super) type TypeId = u32;

/// Anything inside a struct of a built-in kind that the table is silent about: maps merge, lists don't.
pub(super) const OPEN: TypeId = 0;
/// Anything of which nothing is known: as `OPEN`, but the keys of maps are data and not declared fields.
pub(super) const UNTYPED: TypeId = 1;
/// A value that is owned as a whole, whatever it is.
pub(super) const ATOMIC: TypeId = 2;
/// A number, a string or a boolean.
pub(super) const SCALAR: TypeId = 3;

/// What plain values a type admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Any,
    Number,
    String,
    Boolean,
}

/// What a value of the type may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Type {
    pub scalar: Option<Scalar>,
    pub list: Option<List>,
    pub map: Option<Map>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    Atomic,
    Set,
    Map,
}

#[derive(Clone, Debug)]
pub(super) struct List {
    pub kind: ListKind,
    /// Only for `ListKind::Map`.
    pub keys: Box<[Key]>,
    pub items: TypeId,
}

/// A field by which the items of a list are told apart.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: Cow<'static, str>,
    /// What an item has that leaves the field out.
    pub default: Option<Value>,
}

/// A struct, a map with any keys, or both.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub atomic: bool,
    /// Sorted by name.
    pub fields: Box<[Field]>,
    /// The type of the keys that aren't fields; `None`: there are no others.
    pub rest: Option<TypeId>,
    /// The others are fields too, only not listed.
    pub rest_declared: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: Cow<'static, str>,
    pub kind: TypeId,
}

impl Map {
    /// The type of a key's value, and whether the key is a declared field.
    pub fn field(&self, name: &str) -> (Option<TypeId>, bool) {
        match self.fields.binary_search_by(|f| (*f.name).cmp(name)) {
            Ok(at) => (self.fields.get(at).map(|f| f.kind), true),
            Err(_) => (self.rest, self.rest_declared),
        }
    }
}

/// One of the things that a type may be, chosen by a value.
#[derive(Clone, Copy)]
pub(super) enum Atom<'s> {
    Scalar(Scalar),
    List(&'s List),
    Map(&'s Map),
}

impl Atom<'_> {
    /// Both are the same kind of thing.
    pub fn is_like(&self, other: &Atom<'_>) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// How the objects of one kind are merged. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema {
    types: Arc<[Type]>,
    root: TypeId,
    /// What an object of the kind holds before anybody filled it in.
    zero: Arc<Value>,
    custom: bool,
}

impl Schema {
    /// A kind of which nothing is known: maps merge, lists are owned as a whole. What upstream does for custom kinds without
    /// a schema.
    pub fn untyped() -> Schema {
        custom(&Value::Bool(true))
    }

    pub(super) fn root(&self) -> TypeId {
        self.root
    }

    /// What an object of the kind holds before anybody filled it in.
    pub fn zero(&self) -> &Value {
        &self.zero
    }

    /// The schema was given by a user and may have changed since a set was written.
    pub(super) fn is_custom(&self) -> bool {
        self.custom
    }

    pub(super) fn get(&self, id: TypeId) -> Option<&Type> {
        self.types.get(id as usize)
    }

    /// What `value` is taken for. Null and absence fit everything; a value that doesn't fit gets what the type says first.
    pub(super) fn atom(&self, id: TypeId, value: Option<&Value>) -> Atom<'_> {
        let Some(found) = self.get(id) else { return Atom::Scalar(Scalar::Any) };
        match (value, found) {
            (Some(Value::Array(_)), Type { list: Some(list), .. }) => Atom::List(list),
            (Some(Value::Object(_)), Type { map: Some(map), .. }) => Atom::Map(map),
            (Some(Value::Bool(_) | Value::Number(_) | Value::String(_)), Type { scalar: Some(scalar), .. }) => Atom::Scalar(*scalar),
            (_, Type { map: Some(map), .. }) => Atom::Map(map),
            (_, Type { scalar: Some(scalar), .. }) => Atom::Scalar(*scalar),
            (_, Type { list: Some(list), .. }) => Atom::List(list),
            _ => Atom::Scalar(Scalar::Any),
        }
    }
}

/// The types at the constant places, which every table starts with.
fn first_types() -> Vec<Type> {
    let anything = |list: List, map: Map| Type { scalar: Some(Scalar::Any), list: Some(list), map: Some(map) };
    let list = |items| List { kind: ListKind::Atomic, keys: Box::default(), items };
    let map = |atomic, rest, rest_declared| Map { atomic, fields: Box::default(), rest: Some(rest), rest_declared };
    vec![
        anything(list(OPEN), map(false, OPEN, true)),
        anything(list(ATOMIC), map(false, UNTYPED, false)),
        anything(list(ATOMIC), map(true, ATOMIC, false)),
        Type { scalar: Some(Scalar::Any), ..Type::default() },
    ]
}
