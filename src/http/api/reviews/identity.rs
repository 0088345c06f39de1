//! Who is this?
use super::{text, texts, user_value};
use crate::http::auth::{Authenticator, User};
use crate::protocol::status::ApiError;
use crate::protocol::time;
use serde_json::{Value, json};

/// `TokenReview`: whose token is it, and for whom is it good.
pub fn token_review(authenticator: &Authenticator, review: &mut Value) -> Result<(), ApiError> {
    let token = text(&review["spec"], "token").to_string();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let asked = texts(&review["spec"]["audiences"]);
    let audiences = if asked.is_empty() { authenticator.api_audiences() } else { asked };
    review["status"] = match authenticator.token(&token, &audiences) {
        Ok(Some(found)) => {
            let mut status = json!({ "authenticated": true, "user": user_value(&found.user) });
            if !found.audiences.is_empty() {
                status["audiences"] = found.audiences.into();
            }
            status
        }
        Ok(None) => json!({ "user": {} }),
        Err(why) => json!({ "user": {}, "error": why }),
    };
    Ok(())
}

/// `SelfSubjectReview`: who am I.
pub fn self_review(user: &User, review: &mut Value) {
    review["metadata"]["creationTimestamp"] = time::rfc3339(time::now()).into();
    review["status"] = json!({ "userInfo": user_value(user) });
}
