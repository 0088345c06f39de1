//! One request's record, from its arrival to its end.
use super::policy::{Decision, Level, Stage};
use super::sink::Sinks;
use crate::actors::admission::notes::DETAIL;
use crate::http::api::Target;
use crate::protocol::time;
use crate::protocol::user::User;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// A request, as the audit log sees it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Told to the client as well.
    pub id: String,
    /// An API verb, or the method in lower case for what is no resource.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    pub user_agent: String,
    pub source: String,
    pub target: Option<Target>,
}

impl Request {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }
}

/// A record that is under way. Dropped without an end it says that the request ended, which is all that is known of a stream.
pub struct Record {
    event: Value,
    decision: Decision,
    sinks: Arc<Sinks>,
    code: u16,
    done: bool,
}

impl Record {
    pub(super) fn begin(user: &User, request: Request, decision: Decision, sinks: Arc<Sinks>) -> Record {
        let received = now();
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": decision.level, "auditID": request.id,
            "stage": Stage::RequestReceived, "requestURI": request.uri, "verb": request.verb, "user": user,
            "sourceIPs": [request.source], "requestReceivedTimestamp": received, "stageTimestamp": received,
        });
        if !request.user_agent.is_empty() {
            event["userAgent"] = request.user_agent.into();
        }
        if let Some(target) = &request.target {
            let mut reference = json!({ "resource": target.resource, "apiVersion": target.version });
            let texts = [
                ("apiGroup", &target.group),
                ("namespace", &target.namespace),
                ("name", &target.name),
                ("subresource", &target.subresource),
            ];
            for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
                reference[field] = text.as_str().into();
            }
            event["objectRef"] = reference;
        }
        let record = Record { event, decision, sinks, code: 0, done: false };
        record.write(Stage::RequestReceived);
        record
    }

    /// Whether the request's body is wanted.
    pub fn wants_request(&self) -> bool {
        self.decision.level >= Level::Request
    }

    /// Remembers the request's body, when the policy wants it.
    pub fn request(&mut self, body: &Bytes) {
        if self.wants_request() && !body.is_empty() {
            self.event["requestObject"] = self.object(body);
        }
    }

    /// The request is judged as somebody else's.
    pub fn impersonating(&mut self, user: &User) {
        self.event["impersonatedUser"] = json!(user);
    }

    /// Nobody knows who asked; `status` is what they are told.
    pub fn unauthenticated(mut self, status: &Value) {
        self.done = true;
        self.event["responseStatus"] = json!({ "metadata": {}, "status": "Failure", "message": status["message"], "code": status["code"] });
        self.event["stageTimestamp"] = now().into();
        self.write(Stage::ResponseStarted);
    }

    /// Why the request was allowed or refused, and what else belongs to it.
    pub fn annotate(&mut self, key: &str, value: &str) {
        let detail = key.strip_prefix(DETAIL);
        if detail.is_some() && !self.wants_request() {
            return;
        }
        let key = detail.unwrap_or(key);
        self.event["annotations"][key] = value.into();
    }

    /// A stream has begun; its end is told when the record is dropped.
    pub fn started(&mut self, code: u16) {
        self.code = code;
        self.respond(code, &Bytes::new());
        self.write(Stage::ResponseStarted);
    }

    /// The answer is complete.
    pub fn complete(mut self, code: u16, body: &Bytes) {
        self.respond(code, body);
        self.end();
    }

    fn respond(&mut self, code: u16, body: &Bytes) {
        let mut status = json!({ "metadata": {}, "code": code });
        let failed = code >= 400;
        if failed && let Ok(Value::Object(said)) = serde_json::from_slice::<Value>(body) {
            for field in ["status", "message", "reason", "details"] {
                if let Some(value) = said.get(field) {
                    status[field] = value.clone();
                }
            }
        }
        self.event["responseStatus"] = status;
        if self.decision.level >= Level::RequestResponse && !body.is_empty() {
            self.event["responseObject"] = self.object(body);
        }
    }

    /// A body as JSON; what is not JSON is left out.
    fn object(&self, body: &Bytes) -> Value {
        let mut object: Value = serde_json::from_slice(body).unwrap_or_default();
        if self.decision.omit_managed_fields
            && let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut)
        {
            meta.remove("managedFields");
        }
        object
    }

    fn end(&mut self) {
        if !self.done {
            self.done = true;
            self.event["stageTimestamp"] = now().into();
            self.write(Stage::ResponseComplete);
        }
    }

    fn write(&self, stage: Stage) {
        if self.decision.omit_stages.contains(&stage) {
            return;
        }
        let mut event = self.event.clone();
        event["stage"] = json!(stage);
        self.sinks.write(event);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.done && self.code == 0 {
            self.respond(0, &Bytes::new());
        }
        self.end();
    }
}

fn now() -> String {
    time::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A random UUID.
pub fn fresh_id() -> String {
    let mut bytes = [0u8; 16];
    // An id that is not random only makes two records harder to tell apart.
    let _ = getrandom::fill(&mut bytes);
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
