//! Short hashes for the names of replica sets and revisions.
use serde_json::Value;

/// Letters and digits that spell no words and are not taken for one another; upstream's choice.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A short, stable hash of a template. `collisions` makes it another one when the name is taken.
///
/// Its value is not upstream's (which hashes Go's view of the structure); how it is written is.
pub fn template_hash(template: &Value, collisions: i64) -> String {
    let mut state = Fnv::default();
    feed(template, &mut state);
    if collisions > 0 {
        state.eat(&collisions.to_le_bytes());
    }
    spelled(state.0)
}

/// The hash in a revision's name, as upstream computes it: of the revision's data as Go writes it, and the count of collisions.
pub fn revision_hash(data: &Value, collisions: i64) -> String {
    let text = data.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let text = text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let mut hash = 0x811c_9dc5_u32;
    for byte in text.bytes().chain(collisions.to_string().bytes()) {
        hash = hash.wrapping_mul(0x0100_0193) ^ u32::from(byte);
    }
    spelled(hash)
}

/// A number in letters that spell no words.
fn spelled(number: u32) -> String {
    let letter = |digit: u8| char::from(SAFE.get(usize::from(digit) % SAFE.len()).copied().unwrap_or(b'b'));
    number.to_string().bytes().map(letter).collect()
}

/// FNV-1a, 32 bits.
struct Fnv(u32);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0x811c_9dc5)
    }
}

impl Fnv {
    fn eat(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

/// Objects are taken in the order of their keys, so that the order of fields does not matter.
fn feed(value: &Value, state: &mut Fnv) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, v)| !v.is_null()).collect();
            members.sort_by_key(|(key, _)| *key);
            state.eat(b"{");
            for (key, value) in members {
                state.eat(key.as_bytes());
                state.eat(b":");
                feed(value, state);
            }
            state.eat(b"}");
        }
        Value::Array(items) => {
            state.eat(b"[");
            for item in items {
                feed(item, state);
                state.eat(b",");
            }
            state.eat(b"]");
        }
        other => state.eat(other.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stable_and_safe() {
        let one = template_hash(&json!({"a": 1, "b": [true, null, "x"]}), 0);
        assert_eq!(one, template_hash(&json!({"b": [true, null, "x"], "a": 1, "c": null}), 0));
        assert_ne!(one, template_hash(&json!({"a": 1, "b": [true, null, "x"]}), 1));
        // FNV-1 of `1` and then `0`, the count.
        let mut number = 0x811c_9dc5_u32;
        for byte in *b"10" {
            number = number.wrapping_mul(0x0100_0193) ^ u32::from(byte);
        }
        assert_eq!(revision_hash(&json!(1), 0), spelled(number));
        assert_eq!(revision_hash(&json!("<"), 0), revision_hash(&json!("<"), 0));
        assert!(one.len() <= 10 && one.bytes().all(|b| SAFE.contains(&b)), "{one}");
    }
}
