//! Field selectors: `metadata.name=x,status.phase!=Running`.
use super::{MAX_TEXT, SelectorError};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldTerm {
    /// `status.phase`
    pub field: Box<str>,
    pub value: Box<str>,
    /// `=` or `==`; otherwise `!=`.
    pub equal: bool,
}

/// A conjunction of terms, sorted; without terms it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    terms: Box<[FieldTerm]>,
}

impl FieldSelector {
    /// Parses the `fieldSelector` parameter. In values `\`, `,` and `=` are escaped by a backslash.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_TEXT {
            return Err(SelectorError::TooLong);
        }
        let mut terms = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let (field, equal, value) =
                split_term(part).ok_or_else(|| SelectorError::FieldTerm { selector: text.to_string(), part: part.to_string() })?;
            terms.push(FieldTerm { field: field.into(), value: unescape(value)?.into(), equal });
        }
        terms.sort();
        Ok(FieldSelector { terms: terms.into() })
    }

    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The terms about fields that the caller names, and those about all others.
    pub fn partition(self, named: impl Fn(&str) -> bool) -> (Self, Self) {
        let (ours, others): (Vec<_>, Vec<_>) = self.terms.into_iter().partition(|term| named(&term.field));
        (FieldSelector { terms: ours.into() }, FieldSelector { terms: others.into() })
    }

    /// Fails on the first field that the kind can't be selected by.
    pub fn check_fields(&self, supported: &[&str]) -> Result<(), SelectorError> {
        match self.terms.iter().find(|t| !supported.contains(&&*t.field)) {
            Some(term) => Err(SelectorError::UnsupportedField(term.field.to_string())),
            None => Ok(()),
        }
    }

    /// The only value that the field may have, if the selector says so.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equal && *t.field == *field).map(|t| &*t.value)
    }

    /// Whether an object whose fields `get` tells fulfils every term. A field that it doesn't have is empty.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        self.terms.iter().all(|t| (get(&t.field).as_deref().unwrap_or_default() == &*t.value) == t.equal)
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.extend(text.get(start..));
    terms
}

/// Field, whether equal, and the value as written.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    for (at, _) in term.char_indices() {
        let (field, rest) = term.split_at(at);
        for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((field, equal, value));
            }
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                Some(c) => return Err(SelectorError::Escape(format!("\\{c}"))),
                None => return Err(SelectorError::Escape("\\".into())),
            },
            ',' | '=' => return Err(SelectorError::Unescaped(c)),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

impl FromStr for FieldSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        FieldSelector::parse(text)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}", term.field)?;
            for c in term.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}
