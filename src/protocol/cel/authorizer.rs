//! `authorizer`: questions about rights, in expressions.
//!
//! `authorizer.group('apps').resource('deployments').namespace('x').check('get').allowed()`: a question that each call adds to, and
//! its answer.
use super::evaluate::Outcome;
use super::{Budget, Fault, Type, Value};
use crate::authority::{Attributes, Authorize, Decision, account_groups, account_user};
use crate::names::{dns1123_label, dns1123_subdomain};
use crate::user::User;
use kube_cel::cel::objects::Opaque;
use std::fmt;
use std::sync::Arc;

/// What asking costs, as upstream has it.
pub(super) const CHECK_COST: u64 = 350_000;

pub(super) const AUTHORIZER: &str = "kubernetes.authorization.Authorizer";
const PATH: &str = "kubernetes.authorization.PathCheck";
const GROUP: &str = "kubernetes.authorization.GroupCheck";
pub(super) const RESOURCE: &str = "kubernetes.authorization.ResourceCheck";
const DECISION: &str = "kubernetes.authorization.Decision";

impl Opaque for Decision {
    fn runtime_type_name(&self) -> &str {
        DECISION
    }
}

/// What is asked for, as far as it has been said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    pub path: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub field_selector: String,
}

/// Who asks whom.
#[derive(Clone)]
struct Asker {
    authority: Arc<dyn Authorize>,
    user: Arc<User>,
    /// The request that is under review: `authorizer.requestResource`.
    own: Arc<Question>,
}

/// A question that is being asked; `stage` is its type's name.
#[derive(Clone)]
struct Asking {
    asker: Asker,
    stage: &'static str,
    question: Question,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("stage", &self.stage).field("question", &self.question).finish_non_exhaustive()
    }
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.stage == other.stage && self.question == other.question && self.asker.user == other.asker.user
    }
}

impl Eq for Asking {}

impl Opaque for Asking {
    fn runtime_type_name(&self) -> &str {
        self.stage
    }
}

/// The value of `authorizer` for a request of `user`; `own` is what the request itself is about.
pub fn authorizer(authority: Arc<dyn Authorize>, user: User, own: Question) -> Value {
    let asker = Asker { authority, user: Arc::new(user), own: Arc::new(own) };
    Value::Opaque(Arc::new(Asking { asker, stage: AUTHORIZER, question: Question::default() }))
}

/// `authorizer.requestResource`
pub(super) fn request_resource(value: &Value, field: &str) -> Option<Value> {
    let Value::Opaque(held) = value else { return None };
    let asking = held.downcast_ref::<Asking>().filter(|a| a.stage == AUTHORIZER && field == "requestResource")?;
    Some(asking.next(RESOURCE, (*asking.asker.own).clone()))
}

/// A function of a question or answer; `None` when the value is neither.
pub(super) fn call(name: &str, target: Option<&Value>, arguments: &[Value], budget: &mut Budget) -> Option<Outcome> {
    let Some(Value::Opaque(held)) = target else { return None };
    if let Some(decision) = held.downcast_ref::<Decision>() {
        return Some(answer(decision, name, arguments));
    }
    let asking = held.downcast_ref::<Asking>()?;
    let mut texts = Vec::new();
    for argument in arguments {
        let Value::String(text) = argument else { return Some(Err(Fault::NoSuchOverload)) };
        texts.push(text.as_str());
    }
    Some(asking.call(name, &texts, budget))
}

fn answer(decision: &Decision, name: &str, arguments: &[Value]) -> Outcome {
    match (name, arguments) {
        ("allowed", []) => Ok(Value::Bool(decision.allowed)),
        ("errored", []) => Ok(Value::Bool(!decision.error.is_empty())),
        ("reason", []) => Ok(decision.reason.as_str().into()),
        ("error", []) => Ok(decision.error.as_str().into()),
        _ => Err(Fault::NoSuchOverload),
    }
}

impl Asking {
    fn next(&self, stage: &'static str, question: Question) -> Value {
        Value::Opaque(Arc::new(Asking { asker: self.asker.clone(), stage, question }))
    }

    fn call(&self, name: &str, texts: &[&str], budget: &mut Budget) -> Outcome {
        budget.spend(1)?;
        let with = |stage, change: fn(&mut Question, String), text: &str| {
            let mut question = self.question.clone();
            change(&mut question, text.to_string());
            Ok(self.next(stage, question))
        };
        match (self.stage, name, texts) {
            (AUTHORIZER, "path", [""]) => Err(Fault::Function("path must not be empty".into())),
            (AUTHORIZER, "path", [path]) => with(PATH, |q, v| q.path = v, path),
            (AUTHORIZER, "group", [group]) => with(GROUP, |q, v| q.group = v, group),
            (AUTHORIZER, "serviceAccount", [namespace, name]) => self.as_account(namespace, name),
            (GROUP, "resource", [""]) => Err(Fault::Function("resource must not be empty".into())),
            (GROUP, "resource", [resource]) => with(RESOURCE, |q, v| q.resource = v, resource),
            (RESOURCE, "subresource", [part]) => with(RESOURCE, |q, v| q.subresource = v, part),
            (RESOURCE, "namespace", [namespace]) => with(RESOURCE, |q, v| q.namespace = v, namespace),
            (RESOURCE, "name", [name]) => with(RESOURCE, |q, v| q.name = v, name),
            (RESOURCE, "fieldSelector", [selector]) => with(RESOURCE, |q, v| q.field_selector = v, selector),
            // No authorizer of ours looks at labels: a right to all covers the right to some.
            (RESOURCE, "labelSelector", [_]) => Ok(self.next(RESOURCE, self.question.clone())),
            (PATH | RESOURCE, "check", [verb]) => {
                budget.spend(CHECK_COST)?;
                Ok(Value::Opaque(Arc::new(self.check(verb))))
            }
            _ => Err(Fault::NoSuchOverload),
        }
    }

    fn check(&self, verb: &str) -> Decision {
        let asked = &self.question;
        let wanted = match self.stage {
            PATH => Attributes::of_path(verb, &asked.path),
            _ => Attributes {
                verb,
                group: &asked.group,
                version: "*",
                resource: &asked.resource,
                subresource: &asked.subresource,
                namespace: &asked.namespace,
                name: &asked.name,
                field_selector: &asked.field_selector,
                path: None,
            },
        };
        self.asker.authority.decide(&self.asker.user, &wanted)
    }

    /// The same questions, asked for a service account.
    fn as_account(&self, namespace: &str, name: &str) -> Outcome {
        if !dns1123_subdomain(name).is_empty() {
            return Err(Fault::Function(format!("Invalid service account name \"{name}\"")));
        }
        if !dns1123_label(namespace).is_empty() {
            return Err(Fault::Function(format!("Invalid service account namespace \"{namespace}\"")));
        }
        let user = User::new(account_user(namespace, name), account_groups(namespace));
        let asker = Asker { user: Arc::new(user), ..self.asker.clone() };
        Ok(Value::Opaque(Arc::new(Asking { asker, stage: AUTHORIZER, question: Question::default() })))
    }
}

/// The type of a field of one of these types.
pub(super) fn field_type(of: &str, field: &str) -> Option<Type> {
    match (of, field) {
        (AUTHORIZER, "requestResource") => Some(Type::Named(RESOURCE)),
        // A message's fields are known to whoever applies it.
        ("Object" | "JSONPatch", _) => Some(Type::Dyn),
        _ => None,
    }
}

/// The type of a function's result; `None` when the type has no such function.
pub(super) fn result_type(of: &str, function: &str, arguments: &[&Type]) -> Option<Type> {
    if !arguments.iter().all(|a| matches!(a, Type::String(_) | Type::Dyn)) {
        return None;
    }
    let named = |name| Some(Type::Named(name));
    match (of, function, arguments.len()) {
        (AUTHORIZER, "path", 1) => named(PATH),
        (AUTHORIZER, "group", 1) => named(GROUP),
        (AUTHORIZER, "serviceAccount", 2) => named(AUTHORIZER),
        (GROUP, "resource", 1) => named(RESOURCE),
        (RESOURCE, "subresource" | "namespace" | "name" | "fieldSelector" | "labelSelector", 1) => named(RESOURCE),
        (PATH | RESOURCE, "check", 1) => named(DECISION),
        (DECISION, "allowed" | "errored", 0) => Some(Type::Bool),
        (DECISION, "reason" | "error", 0) => Some(Type::String(1024)),
        _ => None,
    }
}
