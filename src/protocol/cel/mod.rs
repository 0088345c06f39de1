//! The Common Expression Language, as Kubernetes uses it: validation rules of custom kinds, admission policies, match conditions.
//!
//! Parsing and the function library come from the `cel` and `kube-cel` crates; evaluation is our own, because theirs has no bound on the
//! work that a hostile expression causes. Here every step is paid for from a [`Budget`], in upstream's units.
//!
//! - [`Program`]: a compiled expression; compile once, evaluate often
//! - `check`: undeclared names and fields, operators that don't fit, and an estimate of what evaluation may cost
//! - `evaluate`, `comprehend`, `operators`, `call`: evaluation
//! - `values`, `message`: JSON in and out
//! - `environment`, `scope`, `authorizer`: what expressions of admission see; `device`: selectors of devices
mod authorizer;
mod budget;
mod call;
mod check;
mod comprehend;
mod cost;
mod device;
mod environment;
mod evaluate;
mod fault;
mod message;
mod operators;
mod program;
mod scope;
#[cfg(test)]
mod tests;
mod types;
mod values;

pub use authorizer::{Question, authorizer};
pub use budget::{Budget, CALL_LIMIT, CONDITIONS_BUDGET, OBJECT_BUDGET};
pub use check::Checked;
pub use cost::{RULE_ESTIMATE_LIMIT, SCHEMA_ESTIMATE_LIMIT, cost_message};
pub use device::device_variable;
pub use environment::{Environment, device_selector};
pub use fault::Fault;
pub use kube_cel::cel::Value;
pub use program::{CompileError, Program};
pub use scope::{Defined, Definition, Scope};
pub use types::{Field, Type};
pub use values::{escape, from_json, optional_none, optional_of, timestamp_or_text, to_json};

use std::collections::HashMap;

/// The variables that an expression sees.
pub type Variables = HashMap<&'static str, Value>;
