//! What a ValidatingAdmissionPolicy has against an object.
use super::policy::Validating;
use crate::actors::admission::expressions::Bindings;
use crate::actors::admission::notes::note_more;
use serde_json::Value;

/// A demand that is not met.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub message: String,
    /// `Invalid`, `Forbidden`, `Unauthorized`, `RequestEntityTooLarge`.
    pub reason: String,
    /// Which of the policy's demands it is.
    pub index: usize,
}

impl Finding {
    /// The HTTP status that goes with the reason.
    pub fn code(&self) -> u16 {
        match self.reason.as_str() {
            "Unauthorized" => 401,
            "Forbidden" => 403,
            "RequestEntityTooLarge" => 413,
            _ => 422,
        }
    }
}

/// Evaluates every demand. One that cannot be evaluated counts as not met when `fail` says so.
pub fn run(policy: &Validating, bindings: &Bindings, fail: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, validation) in policy.validations.iter().enumerate() {
        let outcome = match &validation.expression {
            Ok(expression) => {
                expression.truth(bindings).map_err(|why| format!("expression '{}' resulted in error: {why}", validation.source))
            }
            Err(why) => Err(format!("compilation error: {why}")),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                let said = validation.message_expression.as_ref().and_then(|e| e.as_ref().ok()).and_then(|e| e.json(bindings).ok());
                // Upstream falls back from an expression that gives no sensible text.
                let said = said.as_ref().and_then(Value::as_str).map(str::trim).filter(|m| !m.is_empty() && !m.contains('\n'));
                let message = match (said, validation.message.as_str()) {
                    (Some(said), _) => said.to_string(),
                    (None, "") => format!("failed expression: {}", validation.source),
                    (None, message) => message.to_string(),
                };
                findings.push(Finding { message, reason: validation.reason.clone(), index });
            }
            Err(why) if fail => findings.push(Finding { message: why, reason: "Invalid".into(), index }),
            Err(_) => {}
        }
    }
    findings
}

/// Tells the audit log what the policy wants it to know.
pub fn annotate(policy: &Validating, bindings: &Bindings, name: &str) {
    for (key, value) in &policy.annotations {
        let said = value.as_ref().ok().and_then(|e| e.json(bindings).ok());
        if let Some(said) = said.as_ref().and_then(Value::as_str) {
            note_more(&format!("{name}/{key}"), said);
        }
    }
}
