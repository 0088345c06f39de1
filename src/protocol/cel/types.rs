//! The types of variables, as far as they are known before evaluation.
use std::sync::Arc;

/// A declared type. Sizes are upper bounds of what an object can hold, for the estimate of costs.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Anything; known at run time only.
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    /// At most that many characters.
    String(u64),
    Bytes,
    Null,
    Timestamp,
    Duration,
    /// A list of at most that many items.
    List(Arc<Type>, u64),
    /// A map from texts with at most that many members.
    Map(Arc<Type>, u64),
    /// Known fields, under their escaped names; no others.
    Object(Arc<Vec<(String, Field)>>),
    Optional(Arc<Type>),
    /// One of Kubernetes' own types, by its name: a question to the authorizer, a message that a mutation makes.
    Named(&'static str),
    /// Declared as a variable: messages whose names begin with the variable's can be made.
    Messages,
}

/// A field of an object type.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub of: Type,
}

impl Type {
    /// An object type from its fields, named as in JSON. Fields whose names can't be spelled are left out.
    pub fn object(fields: impl IntoIterator<Item = (String, Type)>) -> Type {
        let spelled = |(name, of): (String, Type)| Some((super::escape(&name)?, Field { of }));
        Type::Object(Arc::new(fields.into_iter().filter_map(spelled).collect()))
    }

    /// The name in the compiler's messages.
    pub(super) fn name(&self) -> String {
        match self {
            Type::Dyn => "dyn".into(),
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Uint => "uint".into(),
            Type::Double => "double".into(),
            Type::String(_) => "string".into(),
            Type::Bytes => "bytes".into(),
            Type::Null => "null_type".into(),
            Type::Timestamp => "timestamp".into(),
            Type::Duration => "duration".into(),
            Type::List(item, _) => format!("list({})", item.name()),
            Type::Map(item, _) => format!("map(string, {})", item.name()),
            Type::Object(_) => "object".into(),
            Type::Optional(of) => format!("optional_type({})", of.name()),
            Type::Named(name) => (*name).into(),
            Type::Messages => "type".into(),
        }
    }

    /// How many items, members or characters a value has at most.
    pub(super) fn size(&self) -> u64 {
        match self {
            Type::String(size) | Type::List(_, size) | Type::Map(_, size) => *size,
            Type::Object(fields) => fields.len() as u64,
            Type::Dyn | Type::Bytes => super::cost::UNBOUNDED_SIZE,
            _ => 1,
        }
    }

    /// Whether `==` between the two can be true.
    pub(super) fn compares_with(&self, other: &Type) -> bool {
        use Type::{Double, Dyn, Int, List, Map, Null, Object, Optional, String, Uint};
        match (self, other) {
            (Dyn, _) | (_, Dyn) | (Null, _) | (_, Null) => true,
            (Int | Uint | Double, Int | Uint | Double) => true,
            (String(_), String(_)) | (Object(_), Object(_)) => true,
            (List(a, _), List(b, _)) | (Map(a, _), Map(b, _)) | (Optional(a), Optional(b)) => a.compares_with(b),
            (Object(_), Map(..)) | (Map(..), Object(_)) => true,
            (a, b) => a == b,
        }
    }
}
