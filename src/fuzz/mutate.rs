//! Inputs made from good ones: objects changed in a few places, texts changed in a few bytes.
use super::models::Models;
use super::odd;
use super::random::Random;
use serde_json::Value;

/// What mutations draw from.
pub struct Source<'a> {
    pub models: &'a Models,
    pub seeds: &'a [Value],
}

impl Source<'_> {
    /// Changes an object in one to four places; `schema` describes it, as far as known.
    pub fn object(&self, random: &mut Random, value: &mut Value, schema: Option<&Value>) {
        for _ in 0..1 + random.below(4) {
            self.alter(random, value, schema);
        }
    }

    fn alter(&self, random: &mut Random, value: &mut Value, schema: Option<&Value>) {
        let stays = random.one_in(7);
        match value {
            Value::Object(members) if !stays && !members.is_empty() => {
                let Some(key) = members.keys().nth(random.below(members.len())).cloned() else { return };
                if random.one_in(12) {
                    members.remove(&key);
                } else if let Some(inner) = members.get_mut(&key) {
                    self.alter(random, inner, self.models.child(schema, Some(&key)));
                }
            }
            Value::Array(items) if !stays && !items.is_empty() => {
                let at = random.below(items.len());
                match random.below(10) {
                    0 => drop(items.remove(at)),
                    1 => items.insert(0, items[at].clone()),
                    _ => self.alter(random, &mut items[at], self.models.child(schema, None)),
                }
            }
            _ => self.here(random, value, schema),
        }
    }

    /// Changes this very place.
    fn here(&self, random: &mut Random, value: &mut Value, schema: Option<&Value>) {
        match (random.below(10), value) {
            (0, value) => *value = odd::value(random),
            (1, value) => *value = self.elsewhere(random),
            (2, value) if schema.is_some() => *value = self.models.value(random, schema.unwrap_or(&Value::Null), 0),
            (_, Value::Object(members)) => {
                let (key, made) = match self.models.field(random, schema) {
                    Some(field) if !random.one_in(15) => field,
                    _ => (odd::word(random), odd::value(random)),
                };
                members.insert(key, made);
            }
            (_, Value::Array(items)) => match self.models.child(schema, None) {
                Some(of) => items.push(self.models.value(random, of, 0)),
                None => items.push(odd::value(random)),
            },
            (3..=5, Value::String(old)) => *old = text(random, old),
            (_, value) if value.is_string() => *value = odd::word(random).into(),
            (_, value) if value.is_number() => *value = odd::integer(random).into(),
            (_, value) => *value = odd::value(random),
        }
    }

    /// A part of another seed.
    pub fn elsewhere(&self, random: &mut Random) -> Value {
        let mut place = random.pick(self.seeds);
        loop {
            let inner = match place {
                Value::Object(members) => members.values().nth(random.below(members.len())),
                Value::Array(items) => items.get(random.below(items.len())),
                _ => None,
            };
            match inner {
                Some(inner) if !random.one_in(5) => place = inner,
                _ => return place.clone(),
            }
        }
    }
}

/// A text changed in a few places.
pub fn text(random: &mut Random, from: &str) -> String {
    String::from_utf8_lossy(&bytes(random, from.as_bytes())).into_owned()
}

/// Pieces of text that mean something to one parser or another.
const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"\\u0000",
    b"\\ud800",
    b"1e400",
    b"-",
    b"0",
    b"(",
    b")",
    b"!",
    b"=",
    b"==",
    b"!=",
    b"~",
    b"*",
    b"&a ",
    b"*a",
    b"<<: ",
    b"---\n",
    b"\n",
    b"  ",
    b"\t",
    b"%",
    b"%00",
    b"%zz",
    b"/",
    b"..",
    b"\xff",
    b"\xc3\x28",
    b"'",
    b"in (",
    b" notin ",
    b"f:",
    b"k:{",
    b"v:",
    b"i:",
    b"?(@.",
    b"[-1]",
    b"..",
    b".all(x, ",
    b"? 1 : ",
    b"&&",
    b"||",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"99999999999999999999",
    b"!!binary ",
    b"|",
    b">",
    b"#",
    b"$(",
    b"@",
    b"'a'",
    b"+",
    b"\xf0\x9f\x91\xa9",
];

/// Bytes changed in a few places: flipped, cut, doubled, replaced by pieces with a meaning.
pub fn bytes(random: &mut Random, from: &[u8]) -> Vec<u8> {
    let mut out = from.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(out.len() + 1);
        let end = (at + random.below(8)).min(out.len());
        match random.below(8) {
            0 if at < out.len() => out[at] ^= 1 << random.below(8),
            1 => drop(out.drain(at..end)),
            2 => {
                let piece = out[at..end].to_vec();
                out.splice(at..at, piece.repeat(1 + random.below(3)));
            }
            3 => out.truncate(at),
            4 if at < out.len() => out[at] = random.next() as u8,
            _ => {
                let piece = random.pick(PIECES);
                out.splice(at..at, piece.iter().copied());
            }
        }
    }
    out
}
