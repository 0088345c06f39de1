//! Bodies in, canonical objects out: the typed check of every built-in kind.
//!
//! A [`Codec`] parses bytes into the kind's generated struct and writes the struct out again as a [`Value`]: wrong types are refused,
//! fields that the schema doesn't know are dropped and named, quantities get their canonical spelling.
//! All codecs share one `Deserializer` and one `Serializer` type, so each generated struct is compiled once, here.
mod canonical;
mod decode;
pub(crate) mod duplicates;
mod encode;
pub mod kinds;
mod lean;
mod locate;
mod nesting;
mod repair;
mod yaml;

#[cfg(test)]
mod tests;

pub use duplicates::duplicates;
pub use encode::{encode, meta_of};
pub use lean::without_managers;
pub use yaml::{Lenient, yaml_documents, yaml_leniently, yaml_to_json};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::borrow::Cow;

/// Upstream names at most this many unknown or duplicate fields per request.
pub const MAX_STRICT_FINDINGS: usize = 100;

/// Why a body is not an object of the kind asked for, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or a field of the wrong type.
    #[error("{found} in version \"{version}\" cannot be handled as a {kind}: {problem}")]
    Object { found: String, version: String, kind: &'static str, problem: String },
    #[error("the API version in the data ({found}) does not match the expected API version ({expected})")]
    ApiVersion { found: String, expected: &'static str },
    #[error("error converting YAML to JSON: {0}")]
    Yaml(String),
}

/// A body that passed the typed check.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The object as the schema knows it: unknown fields and nulls dropped, quantities canonical, `kind` and `apiVersion` set.
    pub value: Value,
    /// Fields that the schema doesn't have, as upstream names them: `spec.containers[0].imagge`.
    pub unknown: Vec<String>,
    /// Fields given more than once; the last one counted.
    pub duplicate: Vec<String>,
    /// What [`Checked::findings`] says when there are both sorts in a typed body: all in the order of the document. Else empty.
    pub mixed: Vec<String>,
}

impl Checked {
    /// The findings of strict field validation, one sentence each: `unknown field "spec.foo"`. They are warnings with
    /// `fieldValidation=Warn` and an error with `Strict`.
    pub fn findings(&self) -> Vec<String> {
        if !self.mixed.is_empty() {
            return self.mixed.clone();
        }
        let duplicate = self.duplicate.iter().map(|p| format!("duplicate field \"{p}\""));
        let unknown = self.unknown.iter().map(|p| format!("unknown field \"{p}\""));
        duplicate.chain(unknown).take(MAX_STRICT_FINDINGS).collect()
    }

    /// The problem to report when strict validation was asked for, if there is any.
    pub fn strict_error(&self, codec: &Codec) -> Option<DecodeError> {
        let findings = self.findings();
        if findings.is_empty() {
            return None;
        }
        Some(codec.refuse(format!("strict decoding error: {}", findings.join(", "))))
    }
}

type Decode = fn(&[u8]) -> Result<(Value, Vec<String>), serde_json::Error>;

/// The typed check of one kind.
pub struct Codec {
    pub kind: &'static str,
    /// `v1`, `apps/v1`
    pub api_version: &'static str,
    /// The name in OpenAPI documents: `io.k8s.api.core.v1.Pod`.
    pub schema_name: fn() -> Cow<'static, str>,
    decode: Decode,
}

impl Codec {
    /// The codec of a generated type. Call it only in this crate: each call site elsewhere would compile the type anew.
    pub const fn of<T: k8s_openapi::Resource + schemars::JsonSchema + DeserializeOwned + Serialize>() -> Codec {
        Codec { kind: T::KIND, api_version: T::API_VERSION, schema_name: T::schema_name, decode: decode::typed::<T> }
    }

    /// The codec of a type that generated code doesn't know as a resource.
    pub const fn named<T: schemars::JsonSchema + DeserializeOwned + Serialize>(kind: &'static str, api_version: &'static str) -> Codec {
        Codec { kind, api_version, schema_name: T::schema_name, decode: decode::typed::<T> }
    }

    /// `v1` of `apps/v1`.
    pub fn version(&self) -> &'static str {
        self.api_version.rsplit('/').next().unwrap_or(self.api_version)
    }

    /// Checks a JSON body. `kind` and `apiVersion` may be absent (then they are this codec's) but not different.
    pub fn check(&self, body: &[u8]) -> Result<Checked, DecodeError> {
        let checked = self.check_single(body)?;
        let duplicate = duplicates::duplicates(body).map_err(|e| locate::explain(self, body, &e))?;
        let mixed = match checked.unknown.is_empty() || duplicate.is_empty() {
            true => Vec::new(),
            false => duplicates::in_order(body, &checked.unknown).map_err(|e| locate::explain(self, body, &e))?,
        };
        Ok(Checked { duplicate, mixed, ..checked })
    }

    /// The check of a body in which no field can stand twice.
    fn check_single(&self, body: &[u8]) -> Result<Checked, DecodeError> {
        let (mut value, unknown) = match (self.decode)(body) {
            Ok(decoded) => decoded,
            Err(first) => match repair::repaired(body, self.kind) {
                Some(fixed) => (self.decode)(&fixed).map_err(|e| locate::explain(self, &fixed, &e))?,
                None => return Err(locate::explain(self, body, &first)),
            },
        };
        if let Err((path, problem)) = canonical::canonicalise(&mut value, self.kind) {
            return Err(self.refuse(format!("unable to parse {path}: {problem}")));
        }
        Ok(Checked { value, unknown, duplicate: Vec::new(), mixed: Vec::new() })
    }

    /// Checks an object that is already parsed, for instance the result of a patch.
    pub fn check_value(&self, value: &Value) -> Result<Checked, DecodeError> {
        let body = serde_json::to_vec(value).map_err(|e| self.refuse(e.to_string()))?;
        self.check_single(&body)
    }

    fn refuse(&self, problem: String) -> DecodeError {
        DecodeError::Object { found: self.kind.into(), version: self.version().into(), kind: self.kind, problem }
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Codec({} {})", self.api_version, self.kind)
    }
}

/// Checks the `metadata` of an object that no generated type describes: its canonical form, and the paths of unknown fields.
pub fn check_metadata(metadata: &Value) -> Result<(Value, Vec<String>), String> {
    let bytes = serde_json::to_vec(metadata).map_err(|e| e.to_string())?;
    let typed = decode::typed::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>(&bytes);
    let (meta, unknown) = typed.map_err(|e| {
        let text = e.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(head, _)| head);
        format!("json: cannot unmarshal metadata: {text}")
    })?;
    let mut object = serde_json::json!({ "metadata": meta });
    // Only the trimming of empty metadata is wanted, as kinds with opaque content get it.
    let _ = canonical::canonicalise(&mut object, "ConfigMap");
    Ok((object["metadata"].take(), unknown.into_iter().map(|path| format!("metadata.{path}")).collect()))
}

/// The codec of a kind, if it is a built-in one.
pub fn codec(api_version: &str, kind: &str) -> Option<&'static Codec> {
    kinds::ALL.iter().copied().find(|c| c.kind == kind && c.api_version == api_version)
}
