//! Says a decoding error as upstream's decoder would: which field, what was found, what type was wanted.
//!
//! serde knows the byte where it stopped, not the path; the path is found by scanning the body up to that byte, so that no second
//! deserializer has to be compiled for every kind.
use super::{Codec, DecodeError};
use serde_json::Value;
use serde_json::error::Category;

/// Turns serde's error about `body` into upstream's.
pub(super) fn explain(codec: &Codec, body: &[u8], error: &serde_json::Error) -> DecodeError {
    let stop = offset(body, error.line(), error.column());
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(head, _)| head);
    match error.classify() {
        Category::Eof => codec.refuse("unexpected end of JSON input".into()),
        Category::Syntax => codec.refuse(syntax(message, body, stop)),
        Category::Data | Category::Io => data(codec, message, body, stop),
    }
}

/// Byte position of serde's line and column (both from 1; the column counts bytes).
fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match body.iter().skip(start).position(|b| *b == b'\n') {
            Some(at) => start += at + 1,
            None => break,
        }
    }
    (start + column).min(body.len())
}

fn syntax(message: &str, body: &[u8], stop: usize) -> String {
    let text = String::from_utf8_lossy(body.get(stop.saturating_sub(1)..).unwrap_or_default());
    let character = text.chars().next().unwrap_or(' ');
    let place = match message {
        "recursion limit exceeded" => return "exceeded max depth".into(),
        "expected value" | "expected ident" => "looking for beginning of value",
        "key must be a string" | "trailing comma" => "looking for beginning of object key string",
        "trailing characters" => "after top-level value",
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        other => return other.to_string(),
    };
    format!("invalid character '{character}' {place}")
}

fn data(codec: &Codec, message: &str, body: &[u8], stop: usize) -> DecodeError {
    if let Some(found) =
        message.strip_prefix("invalid value: string \"").and_then(|m| m.strip_suffix(&format!("\", expected {}", codec.api_version)))
    {
        return DecodeError::ApiVersion { found: found.into(), expected: codec.api_version };
    }
    if let Some(found) =
        message.strip_prefix("invalid value: string \"").and_then(|m| m.strip_suffix(&format!("\", expected {}", codec.kind)))
    {
        let version = codec.version();
        let problem = format!("converting ({version}.{found}) to ({version}.{}): unknown conversion", codec.kind);
        return DecodeError::Object { found: found.into(), version: version.into(), kind: codec.kind, problem };
    }
    let (path, token) = trail(body, stop);
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, wanted)) = mismatch.and_then(|m| m.rsplit_once(", expected ")) else {
        return codec.refuse(odd_scalar(message, &path, &token));
    };
    let field = if path.is_empty() { String::new() } else { format!("struct field {}.{path} of type ", codec.kind) };
    codec.refuse(format!("json: cannot unmarshal {} into Go {field}{}", go_found(found), go_type(codec, wanted)))
}

/// Errors of types with a text form of their own: times and base64.
fn odd_scalar(message: &str, path: &str, token: &[u8]) -> String {
    let text = serde_json::from_slice::<Value>(token).ok().and_then(|v| v.as_str().map(str::to_string));
    if message.starts_with("Invalid symbol") || message.starts_with("Invalid last symbol") {
        let at: String = message.chars().skip_while(|c| *c != ',').filter(char::is_ascii_digit).collect();
        return format!("illegal base64 data at input byte {at}");
    }
    if message.starts_with("Invalid padding") || message.starts_with("Invalid input length") {
        return format!("illegal base64 data at input byte {}", text.map_or(0, |t| t.len().saturating_sub(1)));
    }
    match text {
        Some(text) if path.to_ascii_lowercase().contains("time") || message.contains("timestamp") || message.contains("datetime") => {
            format!("parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{text}\" as \"2006\"")
        }
        _ if path.is_empty() => message.to_string(),
        _ => format!("json: cannot unmarshal field {path}: {message}"),
    }
}

/// serde's words for what it met, in Go's.
fn go_found(found: &str) -> String {
    let word = found.split(' ').next().unwrap_or(found);
    match word {
        "map" => "object".into(),
        "sequence" => "array".into(),
        "boolean" => "bool".into(),
        "integer" | "floating" => format!("number {}", found.split('`').nth(1).unwrap_or_default()).trim_end().to_string(),
        other => other.to_string(),
    }
}

/// serde's words for what it wanted, in Go's.
fn go_type(codec: &Codec, wanted: &str) -> String {
    match wanted {
        "a string" | "string" | "a borrowed string" | "str" => "string".into(),
        "i32" => "int32".into(),
        "i64" => "int64".into(),
        "u8" => "uint8".into(),
        "f64" => "float64".into(),
        "a boolean" => "bool".into(),
        "a map" => "map[string]string".into(),
        "a sequence" => "[]interface {}".into(),
        "IntOrString" => "intstr.IntOrString".into(),
        "Quantity" => "resource.Quantity".into(),
        other => format!("{}.{other}", codec.version()),
    }
}

enum Frame {
    /// The current key, and whether the next string is a key.
    Object(String, bool),
    Array(usize),
}

/// The path of the value that ends at or contains byte `stop`, and that value's text if it is a scalar.
fn trail(body: &[u8], stop: usize) -> (String, Vec<u8>) {
    let mut stack: Vec<Frame> = Vec::new();
    let mut token = Vec::new();
    let mut at = 0;
    while let Some(byte) = body.get(at).filter(|_| at < stop) {
        match byte {
            b'{' => stack.push(Frame::Object(String::new(), true)),
            b'[' => stack.push(Frame::Array(0)),
            b'}' | b']' => {
                stack.pop();
            }
            b',' => match stack.last_mut() {
                Some(Frame::Object(key, expect)) => {
                    key.clear();
                    *expect = true;
                }
                Some(Frame::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let end = string_end(body, at);
                token = body.get(at..end).unwrap_or_default().to_vec();
                if let Some(Frame::Object(key, expect @ true)) = stack.last_mut() {
                    *key = serde_json::from_slice(&token).unwrap_or_default();
                    *expect = false;
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for frame in &stack {
        match frame {
            Frame::Object(key, _) if key.is_empty() => {}
            Frame::Object(key, _) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Frame::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    (path, token)
}

/// The byte after the string that starts at `start`.
fn string_end(body: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = body.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    body.len()
}
