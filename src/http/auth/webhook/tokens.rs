//! Whose token is this? A TokenReview tells.
use super::{Answers, Caller, PAUSE, Question, miss};
use crate::http::auth::{Authenticated, User};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is known of a token: nobody's, somebody's, or why it is not good.
type Known = Result<Option<Authenticated>, String>;

/// See the module.
pub struct TokenWebhook {
    caller: Caller,
    /// Of the API: `v1` or `v1beta1`.
    version: String,
    life: Duration,
    answers: Answers<Known>,
}

impl TokenWebhook {
    pub fn new(caller: Caller, version: &str, life: Duration) -> Self {
        TokenWebhook { caller, version: version.into(), life, answers: Answers::new() }
    }

    /// What is known; a token that nobody was asked about yet is noted, and counts as nobody's.
    pub fn known(&self, token: &str, audiences: &[String]) -> Known {
        if let Some(known) = self.answers.get(&key(token, audiences)) {
            return known;
        }
        miss(Question::Token { token: token.into(), audiences: audiences.to_vec() });
        Ok(None)
    }

    pub(super) async fn ask(&self, token: &str, audiences: &[String]) {
        let mut spec = json!({ "token": token });
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        let review = json!({ "apiVersion": format!("authentication.k8s.io/{}", self.version), "kind": "TokenReview", "metadata": { "creationTimestamp": null }, "spec": spec, "status": { "user": {} } });
        let answer = self.caller.post(review.to_string().into_bytes()).await;
        let (known, life) = match answer.and_then(|body| serde_json::from_slice::<Value>(&body).map_err(|e| e.to_string())) {
            Ok(answer) => (judge(&answer["status"], audiences), self.life),
            Err(why) => {
                tracing::warn!(why, "the authentication webhook could not be asked");
                (Err(why), PAUSE)
            }
        };
        self.answers.put(key(token, audiences), known, life);
    }
}

/// Tokens are not kept, only what tells them apart.
fn key(token: &str, audiences: &[String]) -> String {
    format!("{} {}", hex::encode(digest(&SHA256, token.as_bytes())), audiences.join(","))
}

/// What a review's status says; a server that knows nothing of audiences speaks for those of the API.
fn judge(status: &Value, audiences: &[String]) -> Known {
    let texts =
        |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(String::from)).collect() };
    if status["authenticated"] != true {
        return match status["error"].as_str() {
            Some(why) if !why.is_empty() => Err(why.into()),
            _ => Ok(None),
        };
    }
    let said = texts(&status["audiences"]);
    let good: Vec<String> = audiences.iter().filter(|a| said.is_empty() || said.contains(a)).cloned().collect();
    if good.is_empty() && !audiences.is_empty() {
        return Ok(None);
    }
    let user = &status["user"];
    let mut known = User::new(user["username"].as_str().unwrap_or_default(), texts(&user["groups"]));
    known.uid = user["uid"].as_str().unwrap_or_default().into();
    let extra = user["extra"].as_object().into_iter().flatten();
    known.extra = extra.map(|(key, values)| (key.clone(), texts(values))).collect::<BTreeMap<_, _>>();
    Ok(Some(Authenticated { user: Arc::new(known), audiences: good }))
}
