//! The one place where generated types meet bytes.
use super::MAX_STRICT_FINDINGS;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;

/// Parses bytes as `T` and writes `T` out as a value; also the paths of fields that `T` doesn't have. Nothing here may depend on
/// `T` beyond these two calls: it is compiled once per kind.
pub(super) fn typed<T: DeserializeOwned + Serialize>(body: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut unknown = Vec::new();
    let mut note = |path: Path<'_>| note_path(&path, &mut unknown);
    let mut note: &mut dyn FnMut(Path<'_>) = &mut note;
    let mut json = serde_json::Deserializer::from_slice(body);
    let object = T::deserialize(serde_ignored::Deserializer::new(&mut json, &mut note))?;
    json.end()?;
    Ok((serde_json::to_value(object)?, unknown))
}

fn note_path(path: &Path<'_>, unknown: &mut Vec<String>) {
    if unknown.len() < MAX_STRICT_FINDINGS {
        let mut text = String::new();
        write_path(path, &mut text);
        unknown.push(text);
    }
}

/// Upstream's spelling: `spec.containers[0].imagge`; the wrappers that serde sees (options, newtypes) don't show.
fn write_path(path: &Path<'_>, out: &mut String) {
    match path {
        Path::Root => {}
        Path::Seq { parent, index } => {
            write_path(parent, out);
            out.push_str(&format!("[{index}]"));
        }
        Path::Map { parent, key } => {
            write_path(parent, out);
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(key);
        }
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => write_path(parent, out),
    }
}
