//! What expressions of admission see of a request.
use crate::actors::kinds::Attributes;
use crate::protocol::authority::Authorize;
use crate::protocol::cel::{Program, Question, Type, Variables, authorizer, from_json};
use serde_json::Value;
use std::sync::Arc;

/// An expression that may not compile: the error is told when it would be needed.
pub type Compiled = Result<Program, String>;

/// Compiles an expression that was checked when it was written.
pub fn compile(source: &str) -> Compiled {
    Program::compile(source).map_err(|e| e.to_string())
}

/// What names mean in an expression.
#[derive(Clone, Default)]
pub struct Bindings(Variables);

impl Bindings {
    /// Binds a name to JSON.
    pub fn set(&mut self, name: &'static str, value: &Value) {
        self.0.insert(name, from_json(value, &Type::Dyn));
    }

    /// Makes `authorizer` answer for the user of a request.
    pub fn authorize(&mut self, authority: &Arc<dyn Authorize>, a: &Attributes<'_>) {
        let own = Question {
            group: a.kind.resource.group.into(),
            resource: a.kind.resource.plural.into(),
            subresource: a.subresource.into(),
            namespace: a.key.namespace.to_string(),
            name: a.key.name.to_string(),
            ..Question::default()
        };
        self.0.insert("authorizer", authorizer(authority.clone(), a.user.clone(), own));
    }

    pub fn values(&self) -> &Variables {
        &self.0
    }
}

/// An error of evaluation, as upstream tells it.
pub fn failed(program: &Program, why: impl std::fmt::Display) -> String {
    format!("expression '{}' resulted in error: {why}", program.source().trim())
}
