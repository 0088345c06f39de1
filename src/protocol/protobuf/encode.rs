//! JSON objects in Kubernetes' protobuf form, for clients that take nothing else.
use super::table::{self, Field, Kind, Shape};
use super::{DEPTH_MAX, MAGIC, ProtobufError, message_of};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The object, list or `Status` with its envelope; its `apiVersion` and `kind` say what it is.
pub fn from_json(object: &Value) -> Result<Vec<u8>, ProtobufError> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let empty = Map::new();
    let members = object.as_object().unwrap_or(&empty);
    let raw = match message(api_version, kind) {
        Some(fields) => encode(fields, members, 0)?,
        None => list(api_version, kind, members)?,
    };
    let mut types = Vec::new();
    put_bytes(&mut types, 1, api_version.as_bytes());
    put_bytes(&mut types, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    put_bytes(&mut out, 1, &types);
    put_bytes(&mut out, 2, &raw);
    put_bytes(&mut out, 3, b"");
    put_bytes(&mut out, 4, b"");
    Ok(out)
}

/// One frame of a watch: its length, then a `WatchEvent` around the object.
pub fn watch_frame(event: &str, object: &Value) -> Result<Vec<u8>, ProtobufError> {
    let mut raw = Vec::new();
    put_bytes(&mut raw, 1, &from_json(object)?);
    let mut message = Vec::new();
    put_bytes(&mut message, 1, event.as_bytes());
    put_bytes(&mut message, 2, &raw);
    let length = u32::try_from(message.len()).map_err(|_| ProtobufError::Damaged("the object is too large for a frame"))?;
    Ok([&length.to_be_bytes()[..], &message].concat())
}

/// Whether objects of a kind can be encoded: custom resources cannot.
pub fn has_form(api_version: &str, kind: &str) -> bool {
    message(api_version, kind).is_some()
}

fn message(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    match kind {
        "Status" => table::message("meta.v1.Status"),
        "PartialObjectMetadata" => table::message("meta.v1.PartialObjectMetadata"),
        _ => message_of(api_version, kind),
    }
}

/// A list: its metadata is field 1, its items are field 2, whatever the kind.
fn list(api_version: &str, kind: &str, members: &Map<String, Value>) -> Result<Vec<u8>, ProtobufError> {
    let unknown = || ProtobufError::UnknownKind(format!("{api_version}, Kind={kind}"));
    let fields = kind.strip_suffix("List").and_then(|item| message(api_version, item)).ok_or_else(unknown)?;
    let mut out = Vec::new();
    if let (Some(Value::Object(meta)), Some(list_meta)) = (members.get("metadata"), table::message("meta.v1.ListMeta")) {
        put_bytes(&mut out, 1, &encode(list_meta, meta, 0)?);
    }
    for item in members.get("items").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        put_bytes(&mut out, 2, &encode(fields, item, 0)?);
    }
    Ok(out)
}

fn encode(fields: &'static [Field], members: &Map<String, Value>, depth: usize) -> Result<Vec<u8>, ProtobufError> {
    if depth > DEPTH_MAX {
        return Err(ProtobufError::Damaged("it is nested too deeply"));
    }
    let mut out = Vec::new();
    for field in fields {
        if field.shape == Shape::Inline {
            let inner = field.message().map(|message| encode(message, members, depth + 1)).transpose()?;
            put_bytes(&mut out, field.number, &inner.unwrap_or_default());
            continue;
        }
        let Some(value) = members.get(field.name).filter(|v| !v.is_null()) else { continue };
        match (field.shape, value) {
            (Shape::Repeated, Value::Array(items)) => {
                for item in items {
                    put_element(&mut out, field.number, field, item, depth)?;
                }
            }
            (Shape::Map, Value::Object(map)) => {
                for (key, value) in map {
                    let mut entry = Vec::new();
                    put_bytes(&mut entry, 1, key.as_bytes());
                    put_element(&mut entry, 2, field, value, depth)?;
                    put_bytes(&mut out, field.number, &entry);
                }
            }
            (Shape::One, value) => put_element(&mut out, field.number, field, value, depth)?,
            _ => return Err(MISSHAPEN),
        }
    }
    Ok(out)
}

const MISSHAPEN: ProtobufError = ProtobufError::Damaged("a field has another type than the schema");

fn put_element(out: &mut Vec<u8>, number: u32, field: &Field, value: &Value, depth: usize) -> Result<(), ProtobufError> {
    match (field.kind, value) {
        (Kind::Text, Value::String(text)) => put_bytes(out, number, text.as_bytes()),
        (Kind::Bytes, Value::String(text)) => put_bytes(out, number, &bytes_of(text)?),
        (Kind::Int, Value::Number(n)) => put_varint(out, number, n.as_i64().or(n.as_f64().map(|f| f as i64)).unwrap_or(0) as u64),
        (Kind::Bool, Value::Bool(flag)) => put_varint(out, number, u64::from(*flag)),
        (Kind::Double, Value::Number(n)) => {
            put_key(out, number, 1);
            out.extend(n.as_f64().unwrap_or(0.0).to_le_bytes());
        }
        (Kind::Message, value) => put_bytes(out, number, &message_bytes(field, value, depth)?),
        _ => return Err(MISSHAPEN),
    }
    Ok(())
}

fn message_bytes(field: &Field, value: &Value, depth: usize) -> Result<Vec<u8>, ProtobufError> {
    let mut out = Vec::new();
    match (field.type_name, value) {
        ("meta.v1.Time" | "meta.v1.MicroTime", Value::String(text)) => {
            let time: Timestamp = text.parse().map_err(|_| ProtobufError::Damaged("a time is no RFC 3339"))?;
            put_varint(&mut out, 1, time.as_second() as u64);
            put_varint(&mut out, 2, time.subsec_nanosecond() as u64);
        }
        ("api.resource.Quantity", Value::String(text)) => put_bytes(&mut out, 1, text.as_bytes()),
        ("api.resource.Quantity", Value::Number(number)) => put_bytes(&mut out, 1, number.to_string().as_bytes()),
        ("util.intstr.IntOrString", Value::String(text)) => {
            put_varint(&mut out, 1, 1);
            put_bytes(&mut out, 3, text.as_bytes());
        }
        ("util.intstr.IntOrString", Value::Number(number)) => {
            put_varint(&mut out, 1, 0);
            put_varint(&mut out, 2, number.as_i64().unwrap_or(0) as u64);
        }
        ("pkg.runtime.RawExtension" | "meta.v1.FieldsV1", value) => put_bytes(&mut out, 1, value.to_string().as_bytes()),
        (_, Value::Object(members)) => {
            let fields = field.message().ok_or(ProtobufError::Damaged("the schema has a gap"))?;
            out = encode(fields, members, depth + 1)?;
        }
        _ => return Err(MISSHAPEN),
    }
    Ok(out)
}

fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u64) {
    push_varint(out, (u64::from(number) << 3) | wire_type);
}

fn put_varint(out: &mut Vec<u8>, number: u32, value: u64) {
    put_key(out, number, 0);
    push_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes behind standard, padded base64.
fn bytes_of(text: &str) -> Result<Vec<u8>, ProtobufError> {
    let sextet = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for c in text.trim_end_matches('=').bytes() {
        let value = sextet(c).ok_or(ProtobufError::Damaged("a field of bytes is no base64"))?;
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::to_json;
    use serde_json::json;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "namespace": "ns", "labels": { "a": "b" }, "creationTimestamp": "2026-11-21T04:00:00Z", "generation": 3,
                "managedFields": [{ "manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:x": {} } } }],
            },
            "spec": {
                "containers": [{
                    "name": "c", "image": "i", "resources": { "limits": { "cpu": "100m", "memory": "1Gi" } },
                    "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                    "livenessProbe": { "httpGet": { "port": "web", "path": "/" }, "initialDelaySeconds": 1 },
                    "readinessProbe": { "tcpSocket": { "port": 8080 } },
                    "securityContext": { "runAsUser": -1, "privileged": false },
                }],
                "hostNetwork": true,
            },
        });
        let bytes = from_json(&pod).expect("encoded");
        let mut back = to_json(&bytes).expect("decoded");
        // Upstream's message has these embedded structs always.
        let probe = &mut back["spec"]["containers"][0]["livenessProbe"];
        assert_eq!(probe["httpGet"]["port"], "web");
        assert_eq!(back, pod);
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "data": { "a": "c2VjcmV0", "b": "Zg==" } });
        assert_eq!(to_json(&from_json(&secret).expect("encoded")).expect("decoded"), secret);
    }

    #[test]
    fn lists_statuses_and_frames_have_their_envelopes() {
        let list = json!({ "apiVersion": "v1", "kind": "ConfigMapList", "metadata": { "resourceVersion": "7" },
            "items": [{ "metadata": { "name": "a" }, "data": { "k": "v" } }] });
        let bytes = from_json(&list).expect("encoded");
        assert!(bytes.starts_with(MAGIC) && bytes.windows(13).any(|w| w == b"ConfigMapList"));
        let status =
            json!({ "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 404, "details": { "causes": [{ "field": "x" }] } });
        assert!(from_json(&status).is_ok());
        let frame = watch_frame("ADDED", &json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} })).expect("framed");
        assert_eq!(u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize, frame.len() - 4);
        let custom = json!({ "apiVersion": "example.com/v1", "kind": "Thing", "metadata": {} });
        assert!(matches!(from_json(&custom), Err(ProtobufError::UnknownKind(_))));
    }
}
