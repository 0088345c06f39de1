//! Bodies in Kubernetes' protobuf form, as newer kubectl and controller-runtime send them, turned into JSON, and back. Which field
//! has which number is upstream's specification; `fields.txt` holds it, one message after the other.
mod encode;
mod table;
mod wire;

pub use encode::{from_json, has_form, watch_frame};

use crate::time::{rfc3339, rfc3339_micro};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use table::{Field, Kind, Shape};
use wire::{Piece, Reader};

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Messages in messages; upstream's own schemas nest some tens deep.
const DEPTH_MAX: usize = 64;

/// A body that cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProtobufError {
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoMagic,
    #[error("no kind \"{0}\" is registered for protobuf")]
    UnknownKind(String),
    #[error("the protobuf message is damaged: {0}")]
    Damaged(&'static str),
}

/// The object as JSON, `apiVersion` and `kind` included.
pub fn to_json(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::NoMagic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for piece in Reader::new(envelope) {
        match piece? {
            (1, Piece::Bytes(type_meta)) => {
                for piece in Reader::new(type_meta) {
                    match piece? {
                        (1, Piece::Bytes(text)) => api_version = utf8(text)?,
                        (2, Piece::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Piece::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let message = message_of(&api_version, &kind).ok_or_else(|| ProtobufError::UnknownKind(format!("{api_version}, Kind={kind}")))?;
    let mut object = Map::new();
    decode(message, raw, 0, &mut object)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

/// The message of a kind: `rbac.authorization.k8s.io/v1`, `Role` is `rbac.v1.Role`.
fn message_of(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    if kind == "DeleteOptions" {
        return table::message("meta.v1.DeleteOptions");
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let group = group.split('.').next().unwrap_or_default();
    table::message(&format!("{group}.{version}.{kind}"))
}

fn decode(fields: &'static [Field], bytes: &[u8], depth: usize, into: &mut Map<String, Value>) -> Result<(), ProtobufError> {
    if depth > DEPTH_MAX {
        return Err(ProtobufError::Damaged("it is nested too deeply"));
    }
    for piece in Reader::new(bytes) {
        let (number, piece) = piece?;
        // A field that this API level does not know is pruned, as in JSON.
        let Some(field) = fields.iter().find(|f| f.number == number) else { continue };
        match field.shape {
            Shape::Inline => {
                let (Piece::Bytes(inner), Some(message)) = (piece, field.message()) else { continue };
                decode(message, inner, depth + 1, into)?;
            }
            Shape::One => {
                if let Some(value) = value_of(field, &piece, depth)?.filter(|v| !left_out(field.name, v)) {
                    into.insert(field.name.into(), value);
                }
            }
            Shape::Repeated => {
                let list = into.entry(field.name).or_insert_with(|| json!([]));
                let Some(list) = list.as_array_mut() else { continue };
                match (field.kind, &piece) {
                    (Kind::Int | Kind::Bool, Piece::Bytes(packed)) => {
                        for number in wire::varints(packed) {
                            list.push(scalar(field.kind, number?));
                        }
                    }
                    _ => list.extend(element_of(field, &piece, depth)?),
                }
            }
            Shape::Map => {
                let Piece::Bytes(entry) = piece else { return Err(ProtobufError::Damaged("a map entry is no message")) };
                let (key, value) = entry_of(field, entry, depth)?;
                let map = into.entry(field.name).or_insert_with(|| json!({}));
                map[key] = value;
            }
        }
    }
    Ok(())
}

/// Flags and numbers that are plain in Go: the wire always has them, and JSON leaves them out when they say nothing. Others are
/// pointers, and there only when somebody set them.
const PLAIN: &[&str] = &[
    "failureThreshold",
    "generation",
    "globalDefault",
    "healthCheckNodePort",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "minReadySeconds",
    "nodePort",
    "observedGeneration",
    "paused",
    "periodSeconds",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "successThreshold",
    "tty",
    "unschedulable",
];

/// Whether Go would have left this out of JSON.
fn left_out(name: &str, value: &Value) -> bool {
    (*value == Value::Bool(false) || value.as_u64() == Some(0)) && PLAIN.binary_search(&name).is_ok()
}

/// A field's value; nothing for what Go leaves out of JSON: empty strings and zero times.
fn value_of(field: &Field, piece: &Piece<'_>, depth: usize) -> Result<Option<Value>, ProtobufError> {
    let value = element_of(field, piece, depth)?;
    Ok(value.filter(|v| !matches!(v, Value::Null) && v.as_str() != Some("")))
}

fn element_of(field: &Field, piece: &Piece<'_>, depth: usize) -> Result<Option<Value>, ProtobufError> {
    Ok(match (field.kind, piece) {
        (Kind::Text, Piece::Bytes(bytes)) => Some(utf8(bytes)?.into()),
        (Kind::Bytes, Piece::Bytes(bytes)) => Some(base64(bytes).into()),
        (Kind::Int | Kind::Bool, Piece::Varint(number)) => Some(scalar(field.kind, *number)),
        (Kind::Double, Piece::Fixed64(bits)) => Some(json!(f64::from_bits(*bits))),
        (Kind::Message, Piece::Bytes(bytes)) => message_value(field, bytes, depth)?,
        _ => return Err(ProtobufError::Damaged("a field has the wrong wire type")),
    })
}

fn scalar(kind: Kind, number: u64) -> Value {
    match kind {
        Kind::Bool => (number != 0).into(),
        // Negative numbers are sign-extended to 64 bits on the wire.
        _ => (number as i64).into(),
    }
}

fn message_value(field: &Field, bytes: &[u8], depth: usize) -> Result<Option<Value>, ProtobufError> {
    match field.type_name {
        "meta.v1.Time" => time(bytes, rfc3339),
        "meta.v1.MicroTime" => time(bytes, rfc3339_micro),
        "api.resource.Quantity" => Ok(Some(first_text(bytes)?.into())),
        "util.intstr.IntOrString" => int_or_string(bytes),
        "pkg.runtime.RawExtension" | "meta.v1.FieldsV1" => {
            let raw = first_text(bytes)?;
            Ok(serde_json::from_str(&raw).ok())
        }
        _ => {
            let mut map = Map::new();
            let fields = field.message().ok_or(ProtobufError::Damaged("the schema has a gap"))?;
            decode(fields, bytes, depth + 1, &mut map)?;
            Ok(Some(Value::Object(map)))
        }
    }
}

fn time(bytes: &[u8], write: fn(Timestamp) -> String) -> Result<Option<Value>, ProtobufError> {
    let (mut seconds, mut nanos) = (0i64, 0i32);
    for piece in Reader::new(bytes) {
        match piece? {
            (1, Piece::Varint(n)) => seconds = n as i64,
            (2, Piece::Varint(n)) => nanos = n as i32,
            _ => {}
        }
    }
    if seconds == 0 && nanos == 0 {
        return Ok(None);
    }
    let time = Timestamp::new(seconds, nanos).map_err(|_| ProtobufError::Damaged("a time is out of range"))?;
    Ok(Some(write(time).into()))
}

fn int_or_string(bytes: &[u8]) -> Result<Option<Value>, ProtobufError> {
    let (mut is_text, mut number, mut text) = (false, 0i64, String::new());
    for piece in Reader::new(bytes) {
        match piece? {
            (1, Piece::Varint(n)) => is_text = n == 1,
            (2, Piece::Varint(n)) => number = n as i64,
            (3, Piece::Bytes(bytes)) => text = utf8(bytes)?,
            _ => {}
        }
    }
    Ok(Some(if is_text { text.into() } else { number.into() }))
}

fn entry_of(field: &Field, entry: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
    let (mut key, mut value) = (String::new(), None);
    for piece in Reader::new(entry) {
        match piece? {
            (1, Piece::Bytes(text)) => key = utf8(text)?,
            (2, piece) => value = element_of(field, &piece, depth)?,
            _ => {}
        }
    }
    let empty = if field.kind == Kind::Message { json!({}) } else { "".into() };
    Ok((key, value.unwrap_or(empty)))
}

fn first_text(bytes: &[u8]) -> Result<String, ProtobufError> {
    for piece in Reader::new(bytes) {
        if let (1, Piece::Bytes(text)) = piece? {
            return utf8(text);
        }
    }
    Ok(String::new())
}

fn utf8(bytes: &[u8]) -> Result<String, ProtobufError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ProtobufError::Damaged("a string is not valid UTF-8"))
}

/// Standard alphabet, padded: how JSON carries bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    #[test]
    fn the_newest_fields_of_pods_survive() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
            "spec": { "schedulingGroup": { "podGroupName": "g" } },
            "status": { "nodeAllocatableResourceClaimStatuses": [{ "resourceClaimName": "c", "containers": ["a"], "resources": { "cpu": "1" } }] },
        });
        assert_eq!(to_json(&from_json(&pod).unwrap()).unwrap(), pod);
    }

    #[test]
    fn a_secret_as_kubectl_sends_it() {
        let meta =
            [field(1, b"keys"), field(2, b""), field(3, b"default"), field(8, b""), field(11, &[field(1, b"a"), field(2, b"b")].concat())]
                .concat();
        let data = [field(1, b"password"), field(2, b"secret")].concat();
        let raw = [field(1, &meta), field(2, &data), field(3, b"Opaque")].concat();
        let types = [field(1, b"v1"), field(2, b"Secret")].concat();
        let body = [MAGIC.to_vec(), field(1, &types), field(2, &raw), field(3, b""), field(4, b"")].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": { "password": "c2VjcmV0" },
            "metadata": { "name": "keys", "namespace": "default", "labels": { "a": "b" } },
        });
        assert_eq!(to_json(&body).unwrap(), expected);
        assert_eq!(to_json(b"{}"), Err(ProtobufError::NoMagic));
    }

    /// A pod template in protobuf must come out as the same template in JSON does, or every rollout made by it is a new one.
    #[test]
    fn flags_that_say_nothing_are_left_out() {
        assert!(PLAIN.is_sorted());
        // Keys of 16 (stdin) and 18 (tty) take two bytes.
        let container = [field(1, b"c"), vec![0x80, 1, 0], vec![0x90, 1, 0]].concat();
        let spec = [field(2, &container), vec![11 << 3, 0], vec![12 << 3, 0]].concat();
        let types = [field(1, b"v1"), field(2, b"Pod")].concat();
        let body = [MAGIC.to_vec(), field(1, &types), field(2, &field(2, &spec))].concat();
        let pod = to_json(&body).unwrap();
        assert_eq!(pod["spec"], json!({ "containers": [{ "name": "c" }] }));
    }

    #[test]
    fn the_table_is_whole() {
        table::check();
    }

    #[test]
    fn base64_pads() {
        assert_eq!([base64(b""), base64(b"f"), base64(b"fo"), base64(b"foo")], ["", "Zg==", "Zm8=", "Zm9v"]);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let types = [field(1, b"v1"), field(2, b"Pod")].concat();
            let body = [MAGIC.to_vec(), field(1, &types), vec![18, (bytes.len() & 127) as u8], bytes].concat();
            let _ = to_json(&body);
        }
    }
}
