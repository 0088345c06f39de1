//! What a ValidatingAdmissionPolicy has against an object.
use super::policy::{Validating, Validation};
use crate::actors::admission::expressions::failed;
use crate::actors::admission::notes::note_more;
use crate::protocol::cel::{Budget, Fault, Scope, Value};

/// Longest message of a `messageExpression`, in bytes.
const LONGEST_MESSAGE: usize = 5 * 1024;

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
    /// What could not be found out counts as invalid.
    pub fn failure(message: String) -> Self {
        Finding { message, reason: "Invalid".into(), index: 0 }
    }

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

/// Evaluates every demand, all from one budget. One that cannot be evaluated counts as not met when `fail` says so.
pub fn run(policy: &Validating, scope: &dyn Scope, fail: bool) -> Vec<Finding> {
    let mut budget = Budget::default();
    let mut findings = Vec::new();
    let mut unmet = Vec::new();
    for (index, validation) in policy.validations.iter().enumerate() {
        let outcome = match &validation.expression {
            Ok(program) => match program.evaluate_bool(scope, &mut budget) {
                // Upstream judges nothing then.
                Err(fault @ Fault::OutOfBudget) if fail => return vec![Finding::failure(fault.to_string())],
                Err(Fault::OutOfBudget) => return Vec::new(),
                outcome => outcome.map_err(|fault| failed(program, fault)),
            },
            Err(why) => Err(format!("compilation error: {why}")),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                unmet.push((findings.len(), validation));
                findings.push(Finding { message: String::new(), reason: validation.reason.clone(), index });
            }
            Err(why) if fail => findings.push(Finding { index, ..Finding::failure(why) }),
            Err(_) => {}
        }
    }
    // The words come out of what the demands have left.
    for (at, validation) in unmet {
        if let Some(finding) = findings.get_mut(at) {
            finding.message = message(validation, scope, &mut budget);
        }
    }
    findings
}

/// What an unmet demand says; upstream falls back from an expression that gives no sensible text.
fn message(validation: &Validation, scope: &dyn Scope, budget: &mut Budget) -> String {
    let program = validation.message_expression.as_ref().and_then(|e| e.as_ref().ok());
    if let Some(Ok(Value::String(said))) = program.map(|program| program.evaluate(scope, budget)) {
        let said = said.trim();
        if !said.is_empty() && said.len() <= LONGEST_MESSAGE && !said.contains('\n') {
            return said.to_string();
        }
    }
    match validation.message.as_str() {
        "" => format!("failed expression: {}", validation.source),
        message => message.to_string(),
    }
}

/// Tells the audit log what the policy wants it to know. Answers what could not be found out.
pub fn annotate(policy: &Validating, scope: &dyn Scope, name: &str) -> Vec<String> {
    let mut budget = Budget::default();
    let mut failures = Vec::new();
    for (key, value) in &policy.annotations {
        let outcome = match value {
            Ok(program) => program.evaluate(scope, &mut budget).map_err(|fault| failed(program, fault)),
            Err(why) => Err(format!("compilation error: {why}")),
        };
        match outcome {
            Ok(Value::String(said)) if !said.is_empty() => {
                note_more(&format!("{name}/{key}"), said.as_str());
            }
            Ok(Value::String(_) | Value::Null) => {}
            Ok(_) => failures
                .push(format!("valueExpression '{key}' resulted in unsupported return type. Return type must be either string or null.")),
            Err(why) => failures.push(why),
        }
    }
    failures
}
