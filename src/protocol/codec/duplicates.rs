//! Finds fields that a JSON body gives twice: serde keeps the last one silently, upstream says so.
use super::MAX_STRICT_FINDINGS;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Objects with more keys than this use a hash set instead of comparing with each earlier key.
const SMALL_OBJECT: usize = 24;

/// The findings of strict validation, as sentences in the order of the document: keys that occur more than once, and those of the
/// given paths, which the schema doesn't know.
pub fn in_order(body: &[u8], unknown: &[String]) -> Result<Vec<String>, serde_json::Error> {
    let mut left: HashSet<&str> = unknown.iter().map(String::as_str).collect();
    let mut findings = Vec::new();
    let mut note = |path: String, again: bool| {
        let sentence = match again {
            true => format!("duplicate field \"{path}\""),
            false if left.remove(path.as_str()) => format!("unknown field \"{path}\""),
            false => return,
        };
        if findings.len() < MAX_STRICT_FINDINGS && !findings.contains(&sentence) {
            findings.push(sentence);
        }
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    Walk { path: &Trail::Root, every: true, note: &mut note }.deserialize(&mut json)?;
    Ok(findings)
}

/// Paths of the keys that occur more than once in their object. Fails on a body that isn't JSON or is nested deeper than the
/// parser's 128 levels (which the typed parse doesn't notice inside unknown fields).
pub fn duplicates(body: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let mut found = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut note = |path: String, _| {
        if found.len() < MAX_STRICT_FINDINGS && !found.contains(&path) {
            found.push(path);
        }
    };
    Walk { path: &Trail::Root, every: false, note: &mut note }.deserialize(&mut json)?;
    Ok(found)
}

enum Trail<'a> {
    Root,
    Key(&'a Trail<'a>, &'a str),
    Index(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Trail::Root => {}
            Trail::Key(parent, key) => {
                parent.write(out);
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key);
            }
            Trail::Index(parent, index) => {
                parent.write(out);
                out.push_str(&format!("[{index}]"));
            }
        }
    }
}

struct Walk<'a> {
    path: &'a Trail<'a>,
    /// Whether keys that occur for the first time are told of as well.
    every: bool,
    /// Is told the path of a key, and whether the object had it before.
    note: &'a mut dyn FnMut(String, bool),
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while seq.next_element_seed(Walk { path: &Trail::Index(self.path, index), every: self.every, note: &mut *self.note })?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Seen::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let here = Trail::Key(self.path, &key);
            let again = seen.contains(&key);
            if again || self.every {
                let mut text = String::new();
                here.write(&mut text);
                (self.note)(text, again);
            }
            map.next_value_seed(Walk { path: &here, every: self.every, note: &mut *self.note })?;
            seen.insert(key);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Seen<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Seen<'de> {
    fn contains(&self, key: &str) -> bool {
        self.few.iter().any(|k| k == key) || (!self.many.is_empty() && self.many.contains(key))
    }

    fn insert(&mut self, key: Cow<'de, str>) {
        if self.few.len() < SMALL_OBJECT {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
    }
}

/// A key, borrowed from the body unless it has escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_string())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
