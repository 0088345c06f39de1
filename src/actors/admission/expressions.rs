//! CEL, as admission uses it: expressions compiled once, evaluated over JSON. All that knows the library is in this file.
use super::request::{Access, Authorize};
use crate::protocol::user::User;
use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, MapEntryExpr};
use kube_cel::cel::extractors::This;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, Value as Cel};
use serde_json::{Number, Value};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Longest source looked at, bytes.
const MAX_SOURCE: usize = 16 * 1024;

/// A compiled expression.
pub struct Expression {
    source: String,
    program: IdedExpr,
}

/// What names mean in an expression.
#[derive(Clone, Default)]
pub struct Bindings {
    values: HashMap<&'static str, Cel>,
    /// Results of earlier expressions: `variables.x`.
    variables: HashMap<Key, Cel>,
    authorizer: Option<(Arc<dyn Authorize>, Arc<User>)>,
}

impl Bindings {
    /// Binds a name to JSON.
    pub fn set(&mut self, name: &'static str, value: &Value) {
        self.values.insert(name, from_json(value));
    }

    /// Makes `authorizer` answer for a user.
    pub fn authorize(&mut self, authorizer: &Arc<dyn Authorize>, user: &User) {
        self.authorizer = Some((authorizer.clone(), Arc::new(user.clone())));
    }

    /// Evaluates an expression and remembers it as a variable. One that fails is not there for those that use it.
    pub fn define(&mut self, name: &str, expression: &Expression) {
        if let Ok(value) = expression.run(self) {
            self.variables.insert(Key::String(Arc::new(name.to_string())), value);
        }
    }
}

impl Expression {
    /// # Errors
    /// What is wrong with the source, as the library says it.
    pub fn compile(source: &str) -> Result<Expression, String> {
        if source.len() > MAX_SOURCE {
            return Err(format!("the expression is longer than {MAX_SOURCE} bytes"));
        }
        let parsed = catch_unwind(|| Parser::new().enable_optional_syntax(true).parse(source))
            .map_err(|_| "the expression can't be parsed".to_string())?;
        let program = parsed.map_err(|e| e.to_string())?;
        Ok(Expression { source: source.into(), program: without_structs(program) })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// A yes or no.
    pub fn truth(&self, bindings: &Bindings) -> Result<bool, String> {
        match self.run(bindings)? {
            Cel::Bool(truth) => Ok(truth),
            other => Err(format!("expression evaluated to {:?}, not to a bool", other.type_of())),
        }
    }

    /// The result as JSON.
    pub fn json(&self, bindings: &Bindings) -> Result<Value, String> {
        to_json(&self.run(bindings)?).ok_or_else(|| "the result can't be written as JSON".to_string())
    }

    fn run(&self, bindings: &Bindings) -> Result<Cel, String> {
        let mut context = Context::default().with_all();
        for (name, value) in &bindings.values {
            context.add_variable_from_value(*name, value.clone());
        }
        context.add_variable_from_value("variables", Cel::Map(Map { map: Arc::new(bindings.variables.clone()) }));
        if let Some((authorizer, user)) = bindings.authorizer.as_ref().filter(|_| self.source.contains("authorizer")) {
            add_authorizer(&mut context, authorizer, user, bindings);
        }
        // The library still panics on a few expressions that its parser takes.
        let result = catch_unwind(AssertUnwindSafe(|| context.resolve(&self.program)));
        result.map_err(|_| "the expression can't be evaluated".to_string())?.map_err(|e| e.to_string())
    }
}

/// `Object{…}` and `JSONPatch{…}` are maps to us: what they hold is checked when it is applied.
fn without_structs(mut expression: IdedExpr) -> IdedExpr {
    let inside = |boxed: &mut Box<IdedExpr>| **boxed = without_structs(std::mem::take(&mut **boxed));
    let within = |one: &mut IdedExpr| *one = without_structs(std::mem::take(one));
    match &mut expression.expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(inside);
            call.args.iter_mut().for_each(within);
        }
        Expr::Comprehension(c) => {
            for part in [&mut c.iter_range, &mut c.accu_init, &mut c.loop_cond, &mut c.loop_step, &mut c.result] {
                within(part);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(within),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| {
            if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                within(&mut entry.key);
                within(&mut entry.value);
            }
        }),
        Expr::Select(select) => inside(&mut select.operand),
        Expr::Struct(fields) => {
            let id = expression.id;
            let entries = std::mem::take(&mut fields.entries).into_iter().map(|entry| as_map_entry(id, entry)).collect();
            expression.expr = Expr::Map(kube_cel::cel::common::ast::MapExpr { entries });
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
    expression
}

fn as_map_entry(id: u64, entry: IdedEntryExpr) -> IdedEntryExpr {
    let expr = match entry.expr {
        EntryExpr::StructField(field) => {
            let key = IdedExpr { id, expr: Expr::Literal(LiteralValue::String(field.field.into())) };
            EntryExpr::MapEntry(MapEntryExpr { key, value: without_structs(field.value), optional: field.optional })
        }
        other => other,
    };
    IdedEntryExpr { id: entry.id, expr }
}

/// JSON as CEL: numbers without a fraction are ints.
fn from_json(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => number.as_i64().map_or_else(|| Cel::Float(number.as_f64().unwrap_or_default()), Cel::Int),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(list) => Cel::List(Arc::new(list.iter().map(from_json).collect())),
        Value::Object(members) => map(members.iter().map(|(key, value)| (key.as_str(), from_json(value)))),
    }
}

fn map<'a>(members: impl Iterator<Item = (&'a str, Cel)>) -> Cel {
    Cel::Map(Map { map: Arc::new(members.map(|(key, value)| (Key::String(Arc::new(key.to_string())), value)).collect()) })
}

fn to_json(value: &Cel) -> Option<Value> {
    Some(match value {
        Cel::Null => Value::Null,
        Cel::Bool(truth) => (*truth).into(),
        Cel::Int(number) => (*number).into(),
        Cel::UInt(number) => (*number).into(),
        Cel::Float(number) => Value::Number(Number::from_f64(*number)?),
        Cel::String(text) => text.as_str().into(),
        Cel::List(list) => list.iter().map(to_json).collect::<Option<Vec<Value>>>()?.into(),
        Cel::Map(members) => {
            let member = |(key, value): (&Key, &Cel)| match key {
                Key::String(key) => Some((key.to_string(), to_json(value)?)),
                _ => None,
            };
            members.map.iter().map(member).collect::<Option<serde_json::Map<String, Value>>>()?.into()
        }
        Cel::Timestamp(time) => time.to_rfc3339().into(),
        _ => return None,
    })
}

type Answer = Result<Cel, ExecutionError>;

/// `authorizer.group('apps').resource('deployments').namespace('x').check('get').allowed()`: a question is a map that each call
/// adds to.
fn add_authorizer(context: &mut Context<'_>, authorizer: &Arc<dyn Authorize>, user: &Arc<User>, bindings: &Bindings) {
    let text = |value: Option<&Cel>| match value {
        Some(Cel::String(text)) => text.to_string(),
        _ => String::new(),
    };
    let request = match bindings.values.get("request") {
        Some(Cel::Map(request)) => request.map.clone(),
        _ => Arc::default(),
    };
    let of = |from: &HashMap<Key, Cel>, name: &str| text(from.get(&key(name)));
    let resource = match request.get(&key("resource")) {
        Some(Cel::Map(resource)) => resource.map.clone(),
        _ => Arc::default(),
    };
    let own = [
        ("group", of(&resource, "group")),
        ("resource", of(&resource, "resource")),
        ("subresource", of(&request, "subResource")),
        ("namespace", of(&request, "namespace")),
        ("name", of(&request, "name")),
    ];
    let own = map(own.into_iter().map(|(name, value)| (name, Cel::String(Arc::new(value)))));
    context.add_variable_from_value("authorizer", map([("requestResource", own)].into_iter()));
    for name in ["group", "resource", "subresource", "namespace", "name"] {
        context.add_function(name, move |This(this): This<Cel>, value: Arc<String>| -> Answer { with(this, name, Cel::String(value)) });
    }
    let (authorizer, user) = (authorizer.clone(), user.clone());
    context.add_function("check", move |This(this): This<Cel>, verb: Arc<String>| -> Answer {
        let Cel::Map(question) = &this else { return Err(ExecutionError::function_error("check", "not an authorization check")) };
        let part = |name: &str| match question.map.get(&key(name)) {
            Some(Cel::String(text)) => text.to_string(),
            _ => String::new(),
        };
        let (group, resource, subresource) = (part("group"), part("resource"), part("subresource"));
        let (namespace, name) = (part("namespace"), part("name"));
        let access = Access {
            user: &user,
            verb: &verb,
            group: &group,
            resource: &resource,
            subresource: &subresource,
            namespace: &namespace,
            name: &name,
        };
        with(this.clone(), "allowed", Cel::Bool(authorizer.allowed(&access)))
    });
    context.add_function("allowed", |This(this): This<Cel>| -> Answer {
        match &this {
            Cel::Map(answer) => Ok(answer.map.get(&key("allowed")).cloned().unwrap_or(Cel::Bool(false))),
            _ => Err(ExecutionError::function_error("allowed", "not an authorization decision")),
        }
    });
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_string()))
}

fn with(this: Cel, name: &str, value: Cel) -> Answer {
    let Cel::Map(held) = this else { return Err(ExecutionError::function_error(name, "not an authorization check")) };
    let mut members = (*held.map).clone();
    members.insert(key(name), value);
    Ok(Cel::Map(Map { map: Arc::new(members) }))
}
