//! Kinds that are answered and never stored: questions about who somebody is and what they may do, and tokens.
mod access;
mod identity;
mod resources;
#[cfg(test)]
mod tests;
mod token;

pub use resources::VIRTUAL;

use super::gateway::{Answer, ApiRequest, Gateway};
use super::options::Query;
use super::path::Target;
use super::render;
use super::write::json_body;
use crate::actors::kinds::FieldValidation;
use crate::http::auth::User;
use crate::protocol::codec::Codec;
use crate::protocol::codec::kinds;
use crate::protocol::status::ApiError;
use serde_json::{Value, json};

impl Gateway {
    /// The answer to a review; `None` when the path is about something else. The user may make it.
    pub(super) fn review(
        &self,
        user: &User,
        request: &ApiRequest,
        query: &Query,
        target: &Target,
        verb: &str,
    ) -> Result<Option<Answer>, ApiError> {
        let token = target.group.is_empty() && target.resource == "serviceaccounts" && target.subresource == "token";
        let Some(codec) = (if token { (verb == "create").then_some(&kinds::TOKEN_REQUEST) } else { resources::codec(target) }) else {
            return Ok(None);
        };
        if !token {
            resources::check_shape(target, verb)?;
        }
        render::shapeless(&request.accept)?;
        let dry_run = query.dry_run("CreateOptions")?;
        let (mut review, warnings) = decoded(codec, request, query)?;
        if review["metadata"]["creationTimestamp"].is_null() {
            review["metadata"]["creationTimestamp"] = Value::Null;
        }
        let access = &self.access;
        match codec.kind {
            "TokenRequest" => self.token_request(user, target, &mut review, dry_run)?,
            "TokenReview" => identity::token_review(&access.authenticator, &mut review)?,
            "SelfSubjectReview" => identity::self_review(user, &mut review),
            "SubjectAccessReview" => access::subject(&access.authorizer, &mut review)?,
            "LocalSubjectAccessReview" => access::local(&access.authorizer, &target.namespace, &mut review)?,
            "SelfSubjectAccessReview" => access::own(&access.authorizer, user, &mut review)?,
            _ => access::rules(&access.authorizer, user, &mut review)?,
        }
        let mut answer = render::document(201, &review, &request.accept)?;
        answer.warnings = warnings;
        Ok(Some(answer))
    }

    /// What others need to check tokens of service accounts; `None` for other paths.
    pub(super) fn issuer_document(&self, request: &ApiRequest) -> Option<Answer> {
        let keys = &self.access.tokens.keys;
        let (document, content_type) = match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/.well-known/openid-configuration") => (keys.discovery(&self.documents.server_address), "application/json"),
            ("GET" | "HEAD", "/openid/v1/jwks") => (keys.jwks(), "application/jwk-set+json"),
            _ => return None,
        };
        Some(Answer { content_type, ..Answer::json(200, document.to_string().into()) })
    }
}

/// The body, and what the schema does not know of it.
fn decoded(codec: &Codec, request: &ApiRequest, query: &Query) -> Result<(Value, Vec<String>), ApiError> {
    let checked = codec.check(&json_body(request)?).map_err(|e| ApiError::bad_request(e.to_string()))?;
    let warnings = match query.field_validation("CreateOptions")? {
        FieldValidation::Strict => match checked.strict_error(codec) {
            Some(error) => return Err(ApiError::bad_request(error.to_string())),
            None => Vec::new(),
        },
        FieldValidation::Warn => checked.findings(),
        FieldValidation::Ignore => Vec::new(),
    };
    Ok((checked.value, warnings))
}

/// A user as reviews spell it.
fn user_value(user: &User) -> Value {
    let mut value = json!({ "username": user.name, "groups": user.groups });
    if !user.uid.is_empty() {
        value["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        value["extra"] = json!(user.extra);
    }
    value
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(String::from)).collect()
}
