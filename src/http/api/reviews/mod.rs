//! Kinds that are answered and never stored: questions about who somebody is and what they may do, and tokens.
mod access;
mod identity;
mod resources;
#[cfg(test)]
mod tests;
mod token;

pub use resources::{VIRTUAL, reviews};

use super::bodies::json_body;
use super::gateway::{Answer, ApiRequest, Gateway};
use super::options::Query;
use super::path::Target;
use super::render;
use crate::actors::kinds::{FieldValidation, Writer};
use crate::http::auth::User;
use crate::protocol::codec::Codec;
use crate::protocol::codec::kinds;
use crate::protocol::legacy::Legacy;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use serde_json::{Value, json};
use std::sync::Arc;

/// A question, read.
pub(super) struct Review {
    codec: &'static Codec,
    /// The removed version in which it was asked.
    legacy: Option<&'static Legacy>,
    /// As today's version has it.
    body: Value,
    warnings: Vec<String>,
}

impl Gateway {
    /// The review that a request is about; `None` when the path is about something else.
    pub(super) fn asked_review(
        &self,
        request: &ApiRequest,
        query: &Query,
        target: &Target,
        verb: &str,
    ) -> Result<Option<Review>, ApiError> {
        let token = is_token(target);
        let named = if token { (verb == "create").then_some((&kinds::TOKEN_REQUEST, None)) } else { resources::codec(target) };
        let Some((codec, legacy)) = named else { return Ok(None) };
        if !token {
            resources::check_shape(target, verb)?;
        }
        render::shapeless(&request.accept)?;
        let (body, mut warnings) = decoded(codec, legacy, request, query)?;
        warnings.splice(0..0, legacy.map(Legacy::warning));
        Ok(Some(Review { codec, legacy, body, warnings }))
    }

    /// The answer to a review. The user may make it.
    pub(super) async fn review(
        &self,
        user: &Arc<User>,
        request: &ApiRequest,
        query: &Query,
        target: &Target,
        review: Review,
    ) -> Result<Answer, ApiError> {
        let Review { codec, legacy, body, mut warnings } = review;
        let dry_run = query.dry_run("CreateOptions")?;
        let options = query.write_options();
        let writer = Writer { user: user.clone(), manager: "".into(), dry_run, options };
        let (body, more) = self.judged_review(target, body, &writer).await?;
        warnings.extend(more);
        let mut answered = self.access.deciding(|| self.answered_review(user, target, codec, body.clone(), dry_run)).await?;
        if let Some(legacy) = legacy {
            legacy.downgrade(&mut answered);
        }
        let mut answer = render::document(201, &answered, &request.accept)?;
        answer.warnings = warnings;
        Ok(answer)
    }

    /// The review as webhooks and policies want it.
    async fn judged_review(&self, target: &Target, body: Value, writer: &Writer) -> Result<(Value, Vec<String>), ApiError> {
        if is_token(target) {
            let accounts = self.find(target)?;
            let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
            return self.kinds.judge_created(&accounts.kind, &key, "token", body, writer).await;
        }
        let Some(kind) = resources::kind(target) else { return Ok((body, Vec::new())) };
        let key = ObjectKey::new(target.namespace.as_str(), body["metadata"]["name"].as_str().unwrap_or_default());
        self.kinds.judge_created(kind, &key, "", body, writer).await
    }

    fn answered_review(&self, user: &User, target: &Target, codec: &Codec, mut review: Value, dry_run: bool) -> Result<Value, ApiError> {
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
        Ok(review)
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

/// `serviceaccounts/token`
fn is_token(target: &Target) -> bool {
    target.group.is_empty() && target.resource == "serviceaccounts" && target.subresource == "token"
}

/// The body, and what the schema does not know of it.
fn decoded(codec: &Codec, legacy: Option<&Legacy>, request: &ApiRequest, query: &Query) -> Result<(Value, Vec<String>), ApiError> {
    let body = json_body(request)?;
    let checked = match legacy {
        Some(legacy) => legacy.check(codec, &body),
        None => codec.check(&body),
    };
    let checked = checked.map_err(|e| ApiError::bad_request(e.to_string()))?;
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
