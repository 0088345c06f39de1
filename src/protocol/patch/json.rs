//! JSON patch (RFC 6902).
use super::PatchError;
use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;
use std::io;

/// Most operations of one patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Most bytes that the `copy` operations of one patch may add: copies of copies double.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// Applies all operations, or none: the current object is never changed.
pub fn apply_json(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Some(list) = patch.as_array() else {
        return Err(PatchError::Malformed(format!("json: cannot unmarshal {} into Go value of type jsonpatch.Patch", go_kind(patch))));
    };
    if list.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations { found: list.len() });
    }
    let mut patched = current.clone();
    let mut copied = 0;
    for item in list {
        let operation = parse(item)?;
        if let PatchOperation::Copy(copy) = &operation {
            copied += copy.from.resolve(&patched).map_or(0, size);
            if copied > MAX_COPIED {
                let text = format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED}"
                );
                return Err(PatchError::Unprocessable(text));
            }
        }
        if let PatchOperation::Test(test) = &operation
            && test.value.is_null()
            && is_absent(&patched, &test.path)
        {
            // Upstream takes a member that is not there for null; controllers test like this that nobody set it before them.
            continue;
        }
        // On failure the half-changed copy is thrown away, so the library needs no undo of its own.
        json_patch::patch_unsafe(&mut patched, std::slice::from_ref(&operation)).map_err(|e| explain(item, &e.kind))?;
    }
    Ok(patched)
}

fn parse(item: &Value) -> Result<PatchOperation, PatchError> {
    let known = ["add", "remove", "replace", "move", "copy", "test"];
    match item.get("op").and_then(Value::as_str) {
        Some(op) if known.contains(&op) => {}
        Some(op) => return Err(PatchError::Unprocessable(format!("Unexpected kind: {op}"))),
        None => return Err(PatchError::Unprocessable("Unexpected kind: unknown".into())),
    }
    // A missing value means null upstream.
    let mut item = item.clone();
    if let Some(members) = item.as_object_mut() {
        members.entry("value").or_insert(Value::Null);
    }
    serde_json::from_value(item).map_err(|e| PatchError::Unprocessable(e.to_string()))
}

/// Whether a path leads to no member of an object that is there.
fn is_absent(document: &Value, path: &json_patch::jsonptr::Pointer) -> bool {
    let parent = path.parent().and_then(|parent| parent.resolve(document).ok());
    parent.is_some_and(Value::is_object) && path.resolve(document).is_err()
}

fn explain(item: &Value, kind: &PatchErrorKind) -> PatchError {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let (op, path) = (text("op"), text("path"));
    PatchError::Unprocessable(match kind {
        PatchErrorKind::TestFailed => return PatchError::TestFailed(path.into()),
        PatchErrorKind::InvalidFromPointer => {
            format!("{op} operation does not apply: doc is missing from path: {}: missing value", text("from"))
        }
        PatchErrorKind::InvalidPointer if op == "replace" => {
            format!("replace operation does not apply: doc is missing key: {path}: missing value")
        }
        PatchErrorKind::InvalidPointer if op == "remove" => {
            format!("error in remove for path: '{path}': Unable to remove nonexistent key: missing value")
        }
        PatchErrorKind::InvalidPointer => format!("{op} operation does not apply: doc is missing path: \"{path}\": missing value"),
        _ => format!("{op} operation does not apply: {path}: {kind}"),
    })
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Bytes of a value as JSON, counted without building the text.
fn size(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting can't fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
