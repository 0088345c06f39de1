//! Messages that a mutation makes: `Object{…}`, `Object.spec{…}`, `JSONPatch{…}`.
use super::evaluate::{Frame, Outcome, evaluate, optional};
use super::{Budget, Fault, Type, Value, to_json};
use kube_cel::cel::common::ast::{EntryExpr, StructExpr};
use kube_cel::cel::objects::Opaque;
use serde_json::Value as Json;
use std::sync::Arc;

/// What making a message costs besides its fields, as upstream has it.
const MESSAGE_COST: u64 = 40;
const OBJECT: &str = "Object";
const JSON_PATCH: &str = "JSONPatch";

/// A message: the name of its type, and its fields.
#[derive(Debug, PartialEq)]
pub(super) struct Message {
    name: String,
    fields: Vec<(String, Value)>,
}

// Equality of values that are no numbers is reflexive enough for what it is used for here: comparing literals.
impl Eq for Message {}

impl Opaque for Message {
    fn runtime_type_name(&self) -> &str {
        &self.name
    }
}

impl Message {
    pub fn of(value: &Value) -> Option<&Message> {
        match value {
            Value::Opaque(opaque) => opaque.downcast_ref::<Message>(),
            _ => None,
        }
    }

    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub fn to_json(&self) -> Option<Json> {
        let field = |(name, value): &(String, Value)| Some((unescape(name), to_json(value)?));
        Some(Json::Object(self.fields.iter().map(field).collect::<Option<_>>()?))
    }

    /// The messages below are named after the fields that they are in, as far as they are `Object`s at all.
    fn placed(&self) -> Result<(), Fault> {
        self.fields.iter().try_for_each(|(field, value)| well_named(value, &format!("{}.{field}", self.name)))
    }
}

fn well_named(value: &Value, expected: &str) -> Result<(), Fault> {
    match value {
        Value::List(items) => items.iter().try_for_each(|item| well_named(item, expected)),
        other => match Message::of(other) {
            Some(message) if message.name != expected => Err(Fault::Function(format!(
                "type mismatch: unexpected type name \"{}\", expected \"{expected}\", which matches field name path from root Object type",
                message.name
            ))),
            _ => Ok(()),
        },
    }
}

/// Makes a message.
pub(super) fn message(made: &StructExpr, frame: &Frame<'_>, budget: &mut Budget) -> Outcome {
    budget.spend(MESSAGE_COST)?;
    if result_type(&made.type_name).is_none() {
        return Err(Fault::Undeclared(made.type_name.clone()));
    }
    let mut fields = Vec::with_capacity(made.entries.len());
    for entry in &made.entries {
        let EntryExpr::StructField(field) = &entry.expr else { return Err(Fault::NoSuchOverload) };
        let value = evaluate(&field.value, frame, budget)?;
        match optional(&value).filter(|_| field.optional) {
            Some(inner) => fields.extend(inner.cloned().map(|value| (field.field.clone(), value))),
            None => fields.push((field.field.clone(), value)),
        }
    }
    let message = Message { name: made.type_name.clone(), fields };
    if message.name != JSON_PATCH {
        message.placed()?;
    }
    Ok(Value::Opaque(Arc::new(message)))
}

/// The type of a message of this name; `None` when there is no such message.
pub(super) fn result_type(name: &str) -> Option<Type> {
    match name.split_once('.') {
        None if name == OBJECT => Some(Type::Named(OBJECT)),
        None if name == JSON_PATCH => Some(Type::Named(JSON_PATCH)),
        // What a path names is known when it is applied.
        Some((OBJECT, _)) => Some(Type::Dyn),
        _ => None,
    }
}

/// The fields of a message, where they are few and known.
pub(super) fn fields(name: &str) -> Option<&'static [&'static str]> {
    (name == JSON_PATCH).then_some(&["op", "path", "from", "value"])
}

/// The field that [`super::escape`] spelled like this.
fn unescape(spelled: &str) -> String {
    if let Some(reserved) = spelled.strip_prefix("__").and_then(|s| s.strip_suffix("__"))
        && super::escape(reserved).as_deref() == Some(spelled)
    {
        return reserved.into();
    }
    let marks = [("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"), ("__underscores__", "__")];
    let mut out = String::with_capacity(spelled.len());
    let mut rest = spelled;
    while let Some(c) = rest.chars().next() {
        match marks.iter().find_map(|(mark, meant)| Some((rest.strip_prefix(mark)?, meant))) {
            Some((after, meant)) => {
                out.push_str(meant);
                rest = after;
            }
            None => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}
