//! Objects read by those who only look: without the record of who manages which field, which is a good part of most of them.
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt::{Formatter, Result as Written};

/// Parses an object but for its `metadata.managedFields`, which is skipped, not parsed and dropped.
///
/// # Errors
/// When it is no JSON, or no object with an object for `metadata`.
pub fn without_managers(body: &[u8]) -> Result<Value, serde_json::Error> {
    let mut from = serde_json::Deserializer::from_slice(body);
    let object = Without(&["metadata", "managedFields"]).deserialize(&mut from)?;
    from.end()?;
    Ok(object)
}

/// An object but for the member at a path.
struct Without(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Without {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Without {
    type Value = Value;

    fn expecting(&self, out: &mut Formatter<'_>) -> Written {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (first, rest) = self.0.split_first().ok_or_else(|| A::Error::custom("nothing to leave out"))?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if key != *first {
                object.insert(key, members.next_value()?);
            } else if rest.is_empty() {
                members.next_value::<IgnoredAny>()?;
            } else {
                object.insert(key, members.next_value_seed(Without(rest))?);
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_is_there_but_the_managers() {
        let given = json!({
            "managedFields": 1,
            "metadata": { "annotations": { "managedFields": "{[\"" }, "managedFields": [{ "fieldsV1": { "f:x": { "k:{\"a\":1}": {} } } }], "name": "a\"b" },
            "spec": { "metadata": { "managedFields": [1.5, null, true] } },
        });
        let mut want = given.clone();
        want["metadata"].as_object_mut().expect("an object").remove("managedFields");
        assert_eq!(without_managers(given.to_string().as_bytes()).expect("an object"), want);
        for wrong in ["", "[]", "{\"metadata\":[]}", "{} {}", "{\"metadata\":{\"managedFields\":[}}"] {
            assert!(without_managers(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
