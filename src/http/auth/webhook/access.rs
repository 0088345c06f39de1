//! May they do that? A SubjectAccessReview tells.
use super::{Answers, Caller, PAUSE, Question, miss};
use crate::actors::authority::Elsewhere;
use crate::protocol::authority::Attributes;
use crate::protocol::user::User;
use serde_json::{Value, json};
use std::time::Duration;

/// How long answers are kept.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    pub authorized: Duration,
    pub unauthorized: Duration,
}

/// See the module.
pub struct AccessWebhook {
    caller: Caller,
    /// Of the API: `v1` or `v1beta1`.
    version: String,
    life: Lifetimes,
    answers: Answers<Result<(), String>>,
}

impl AccessWebhook {
    pub fn new(caller: Caller, version: &str, life: Lifetimes) -> Self {
        AccessWebhook { caller, version: version.into(), life, answers: Answers::new() }
    }

    pub(super) async fn ask(&self, spec: Value) {
        let key = spec.to_string();
        let review = json!({ "apiVersion": format!("authorization.k8s.io/{}", self.version), "kind": "SubjectAccessReview", "metadata": { "creationTimestamp": null }, "spec": spec, "status": { "allowed": false } });
        let answer = self.caller.post(review.to_string().into_bytes()).await;
        let (known, life) = match answer.and_then(|body| serde_json::from_slice::<Value>(&body).map_err(|e| e.to_string())) {
            Ok(answer) if answer["status"]["allowed"] == true => (Ok(()), self.life.authorized),
            Ok(answer) => (Err(answer["status"]["reason"].as_str().unwrap_or_default().to_string()), self.life.unauthorized),
            Err(why) => {
                tracing::warn!(why, "the authorization webhook could not be asked");
                (Err(why), PAUSE)
            }
        };
        self.answers.put(key, known, life);
    }
}

impl Elsewhere for AccessWebhook {
    fn known(&self, user: &User, wanted: &Attributes<'_>) -> Option<Result<(), String>> {
        let spec = spec_of(user, wanted, &self.version);
        let known = self.answers.get(&spec.to_string());
        if known.is_none() {
            miss(Question::Access(spec));
        }
        known
    }
}

fn spec_of(user: &User, wanted: &Attributes<'_>, version: &str) -> Value {
    let mut spec = json!({ "user": user.name });
    // The field had another name once.
    spec[if version == "v1beta1" { "group" } else { "groups" }] = json!(user.groups);
    if !user.uid.is_empty() {
        spec["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        spec["extra"] = json!(user.extra);
    }
    if let Some(path) = wanted.path {
        spec["nonResourceAttributes"] = json!({ "path": path, "verb": wanted.verb });
        return spec;
    }
    let mut attributes = json!({});
    let texts = [
        ("verb", wanted.verb),
        ("group", wanted.group),
        ("version", wanted.version),
        ("resource", wanted.resource),
        ("subresource", wanted.subresource),
        ("namespace", wanted.namespace),
        ("name", wanted.name),
    ];
    for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        attributes[field] = text.into();
    }
    if !wanted.field_selector.is_empty() {
        attributes["fieldSelector"] = json!({ "rawSelector": wanted.field_selector });
    }
    spec["resourceAttributes"] = attributes;
    spec
}
