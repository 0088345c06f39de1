//! The field numbers of every message, from `fields.txt`: a message's name, then a line for each field with its number, its
//! JSON name (`-` for an embedded struct), its shape and kind, and the type of messages.
use std::collections::HashMap;
use std::sync::LazyLock;

static TEXT: &str = include_str!("fields.txt");
static MESSAGES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| parse(TEXT));

/// One field of a message.
#[derive(Clone, Debug)]
pub struct Field {
    pub number: u32,
    pub name: &'static str,
    pub shape: Shape,
    /// Of the value, of the elements, or of the map's values.
    pub kind: Kind,
    /// Of messages, `core.v1.PodSpec`; empty for others.
    pub type_name: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    One,
    Repeated,
    /// Keys are strings.
    Map,
    /// A struct whose fields appear in the outer object.
    Inline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Bytes,
    Int,
    Bool,
    Double,
    Message,
}

impl Field {
    /// The fields of the message that this field holds.
    pub fn message(&self) -> Option<&'static [Field]> {
        message(self.type_name)
    }
}

/// The fields of a message.
pub fn message(name: &str) -> Option<&'static [Field]> {
    MESSAGES.get(name).map(Vec::as_slice)
}

fn parse(text: &'static str) -> HashMap<&'static str, Vec<Field>> {
    let mut messages: HashMap<&'static str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in text.lines() {
        match line.strip_prefix(' ') {
            None => {
                current = line;
                messages.entry(current).or_default();
            }
            Some(row) => messages.entry(current).or_default().extend(field(row)),
        }
    }
    messages
}

fn field(row: &'static str) -> Option<Field> {
    let mut parts = row.split(' ');
    let (number, name, code) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    let (shape, kind) = match code.split_at_checked(1)? {
        ("r", rest) if !rest.is_empty() => (Shape::Repeated, rest),
        ("p", rest) if !rest.is_empty() => (Shape::Map, rest),
        _ if name == "-" => (Shape::Inline, code),
        _ => (Shape::One, code),
    };
    let kind = match kind {
        "s" => Kind::Text,
        "y" => Kind::Bytes,
        "i" => Kind::Int,
        "b" => Kind::Bool,
        "d" => Kind::Double,
        _ => Kind::Message,
    };
    Some(Field { number, name, shape, kind, type_name: parts.next().unwrap_or_default() })
}

/// Every line is understood and every type that is named is there.
#[cfg(test)]
pub fn check() {
    let rows = TEXT.lines().filter(|l| l.starts_with(' ')).count();
    assert_eq!(MESSAGES.values().map(Vec::len).sum::<usize>(), rows);
    for (name, fields) in MESSAGES.iter() {
        for field in fields {
            let known = field.kind != Kind::Message || MESSAGES.contains_key(field.type_name);
            assert!(known, "{name}.{} is a {}, which the table does not have", field.name, field.type_name);
        }
    }
}
