//! Query parameters, read as upstream reads them.
use super::path::decode;
use crate::actors::kinds::{DeleteOptions, Propagation};
use crate::protocol::status::ApiError;
use serde_json::Value;

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
            pairs.push((decode(&key.replace('+', " "))?, decode(&value.replace('+', " "))?));
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

    /// `dryRun=All`.
    pub fn dry_run(&self) -> Result<bool, ApiError> {
        let values = self.all("dryRun");
        match values.iter().find(|v| *v != "All") {
            Some(other) if !other.is_empty() => {
                Err(ApiError::bad_request(format!("Invalid value: \"{other}\": dryRun: Unsupported value: supported values: \"All\"")))
            }
            _ => Ok(!values.is_empty()),
        }
    }

    /// What to do about unknown and duplicate fields.
    pub fn field_validation(&self) -> Result<FieldValidation, ApiError> {
        match self.get("fieldValidation") {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Strict" => Ok(FieldValidation::Strict),
            other => Err(ApiError::bad_request(format!(
                "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
            ))),
        }
    }
}

/// `fieldValidation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// `DeleteOptions` from the body, or from the query where the body says nothing.
pub fn delete_options(body: &Value, query: &Query) -> Result<DeleteOptions, ApiError> {
    let text = |v: &Value| v.as_str().filter(|t| !t.is_empty()).map(str::to_string);
    let mut policy = text(&body["propagationPolicy"]).unwrap_or_else(|| query.get("propagationPolicy").to_string());
    let orphans =
        body["orphanDependents"].as_bool().or_else(|| (!query.get("orphanDependents").is_empty()).then(|| query.flag("orphanDependents")));
    if let Some(orphans) = orphans {
        if !policy.is_empty() {
            return Err(ApiError::bad_request("orphanDependents and deletionPropagation cannot be both set"));
        }
        policy = if orphans { "Orphan".into() } else { "Background".into() };
    }
    let propagation = match policy.as_str() {
        "" => None,
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        "Orphan" => Some(Propagation::Orphan),
        other => {
            return Err(ApiError::bad_request(format!(
                "invalid propagationPolicy \"{other}\": must be one of Background, Foreground, Orphan"
            )));
        }
    };
    Ok(DeleteOptions {
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        grace_seconds: body["gracePeriodSeconds"].as_i64().or(query.number("gracePeriodSeconds")?),
        propagation,
    })
}
