//! Query parameters, read as upstream reads them.
use super::path::decode;
use crate::actors::kinds::{DeleteOptions, FieldValidation, Propagation};
use crate::protocol::status::{ApiError, FieldError, FieldErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// The query of a request. Later values of the same key are ignored, as upstream does.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

/// More parameters than this are refused.
const MAX_PARAMETERS: usize = 256;

impl Query {
    /// Parses `a=1&b=2`.
    pub fn parse(text: &str) -> Result<Query, ApiError> {
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|p| !p.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(ApiError::bad_request("too many query parameters"));
            }
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((unescape(key)?, unescape(value)?));
        }
        Ok(Query(pairs))
    }

    /// Parameters that are known already.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Query {
        Query(pairs.map(|(k, v)| (k.to_string(), v.to_string())).into())
    }

    /// The first value of a parameter; empty when it is missing.
    pub fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str())
    }

    /// Every value of a parameter.
    pub fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(k, _)| k == key).map(|(_, v)| v.clone()).collect()
    }

    /// Upstream's booleans: a parameter that is there is true, unless it says `0`, `f` or `false`.
    pub fn flag(&self, key: &str) -> bool {
        let value = self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.to_ascii_lowercase());
        value.is_some_and(|v| !matches!(v.as_str(), "0" | "f" | "false"))
    }

    /// A number, or nothing; anything else is a bad request.
    pub fn number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        match self.get(key) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| ApiError::bad_request(format!("invalid value \"{text}\" for parameter {key}: must be a number"))),
        }
    }

    /// `dryRun=All`; `options` is the kind of options that the parameters make up: `CreateOptions`.
    pub fn dry_run(&self, options: &str) -> Result<bool, ApiError> {
        let values: Vec<&str> = self.0.iter().filter(|(k, _)| k == "dryRun").map(|(_, v)| v.as_str()).collect();
        dry_run(&values, options)
    }

    /// What a writing request says in its query, as `CreateOptions` and its like spell it.
    pub fn write_options(&self) -> Arc<Value> {
        let mut options = Map::new();
        let dry_run = self.all("dryRun");
        if !dry_run.is_empty() {
            options.insert("dryRun".into(), dry_run.into());
        }
        for key in ["fieldManager", "fieldValidation"] {
            if !self.get(key).is_empty() {
                options.insert(key.into(), self.get(key).into());
            }
        }
        Arc::new(if options.is_empty() { Value::Null } else { Value::Object(options) })
    }

    /// What to do about unknown and duplicate fields.
    pub fn field_validation(&self, options: &str) -> Result<FieldValidation, ApiError> {
        match self.get("fieldValidation") {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Strict" => Ok(FieldValidation::Strict),
            other => {
                Err(invalid_options(options, &[FieldError::not_supported("fieldValidation", other, &["", "Ignore", "Strict", "Warn"])]))
            }
        }
    }
}

/// One side of a parameter: `+` is a space, then `%XX`.
fn unescape(text: &str) -> Result<String, ApiError> {
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    Ok(decode(&spaced)?.into_owned())
}

/// `CreateOptions.meta.k8s.io "" is invalid: …`: how upstream refuses the options of a request.
pub fn invalid_options(kind: &str, errors: &[FieldError]) -> ApiError {
    ApiError::invalid("meta.k8s.io", kind, "", errors)
}

/// Every value must be `All`; an empty one counts as nothing.
fn dry_run(values: &[&str], options: &str) -> Result<bool, ApiError> {
    if values.iter().all(|v| v.is_empty()) {
        return Ok(false);
    }
    if values.iter().all(|v| *v == "All") {
        return Ok(true);
    }
    // Upstream prints the list in Go's syntax.
    let list = values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", ");
    let error = FieldError {
        kind: FieldErrorKind::NotSupported,
        field: "dryRun".into(),
        detail: "supported values: \"All\"".into(),
        value: format!("[]string{{{list}}}"),
    };
    Err(invalid_options(options, &[error]))
}

/// `DeleteOptions` as they come in a body. Fields that matter here only; a value of the wrong type is an error, never ignored.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct DeleteBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preconditions: Option<Preconditions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orphan_dependents: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    propagation_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<String>,
}

/// What a deletion is asked to do, whether it is only asked what it would do, and the options as they were said. They are the body's;
/// the query counts where there is no body, as upstream has it.
pub fn delete_options(body: &[u8], query: &Query) -> Result<(DeleteOptions, bool, Arc<Value>), ApiError> {
    let given = if body.is_empty() { from_query(query)? } else { from_body(body)? };
    let said = Arc::new(serde_json::to_value(&given).map_err(ApiError::internal)?);
    let dry_run_values: Vec<&str> = given.dry_run.iter().flatten().map(String::as_str).collect();
    let dry_run = dry_run(&dry_run_values, "DeleteOptions")?;
    let policy = given.propagation_policy.filter(|p| !p.is_empty());
    let propagation = match (policy.as_deref(), given.orphan_dependents) {
        (Some(policy), Some(_)) => {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            return Err(invalid_options("DeleteOptions", &[FieldError::invalid("propagationPolicy", policy, why)]));
        }
        (None, None) => None,
        (None, Some(true)) | (Some("Orphan"), None) => Some(Propagation::Orphan),
        (None, Some(false)) | (Some("Background"), None) => Some(Propagation::Background),
        (Some("Foreground"), None) => Some(Propagation::Foreground),
        (Some(other), None) => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            return Err(invalid_options("DeleteOptions", &[FieldError::not_supported("propagationPolicy", other, &known)]));
        }
    };
    let preconditions = given.preconditions.unwrap_or_default();
    let options = DeleteOptions {
        uid: preconditions.uid.filter(|t| !t.is_empty()),
        resource_version: preconditions.resource_version.filter(|t| !t.is_empty()),
        // Upstream takes a negative period for the shortest one.
        grace_seconds: given.grace_period_seconds.map(|s| if s < 0 { 1 } else { s }),
        propagation,
    };
    Ok((options, dry_run, said))
}

fn from_body(body: &[u8]) -> Result<DeleteBody, ApiError> {
    // By way of a map: on its own a struct would be read from a list as well.
    let parsed = serde_json::from_slice(body).and_then(|map: Map<String, Value>| serde_json::from_value(Value::Object(map)));
    parsed.map_err(|e| ApiError::bad_request(format!("DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: {e}")))
}

fn from_query(query: &Query) -> Result<DeleteBody, ApiError> {
    let text = |key: &str| Some(query.get(key).to_string()).filter(|t| !t.is_empty());
    let given = DeleteBody {
        grace_period_seconds: query.number("gracePeriodSeconds")?,
        preconditions: None,
        orphan_dependents: text("orphanDependents").map(|_| query.flag("orphanDependents")),
        propagation_policy: text("propagationPolicy"),
        dry_run: query.dry_run("DeleteOptions")?.then(|| vec!["All".into()]),
    };
    Ok(given)
}
