//! What expressions of admission are checked against when they are written.
use super::authorizer::AUTHORIZER;
use super::{Field, Program, Type};
use std::sync::Arc;

/// The names that an expression may use, and the definitions before it.
#[derive(Clone, Debug)]
pub struct Environment {
    names: Vec<(&'static str, Type)>,
    /// `variables.x`: every definition so far with its type.
    variables: Vec<(String, Field)>,
}

impl Environment {
    /// What a match condition sees: the request, its objects, and rights; in a policy with a `paramKind` the parameters, too.
    pub fn condition(params: bool) -> Self {
        let mut names = vec![
            ("object", Type::Dyn),
            ("oldObject", Type::Dyn),
            ("request", request()),
            ("namespaceObject", namespace()),
            ("authorizer", Type::Named(AUTHORIZER)),
        ];
        if params {
            names.push(("params", Type::Dyn));
        }
        Environment { names, variables: Vec::new() }
    }

    /// What a policy's expressions see; `messages` says whether they may make `Object{…}` and `JSONPatch{…}`.
    pub fn policy(params: bool, messages: bool) -> Self {
        let mut made = Environment::condition(params);
        made.names.push(("variables", Type::Dyn));
        if messages {
            made.names.extend([("Object", Type::Messages), ("JSONPatch", Type::Messages)]);
        }
        made
    }

    /// Declares `variables.<name>`. One that does not compile is declared as anything.
    pub fn define(&mut self, name: &str, of: Type) {
        self.variables.push((name.to_string(), Field { of }));
    }

    /// Compiles and checks an expression whose result has to be of one of `results`; none for any. Answers the result's type.
    ///
    /// # Errors
    /// In upstream's words: `compilation failed: …`, `must evaluate to bool but got string`.
    pub fn check(&self, source: &str, results: &[Type]) -> Result<Type, String> {
        let program = Program::compile(source).map_err(|e| e.to_string())?;
        let declared = |(name, of): &(&'static str, Type)| match *name {
            "variables" => (*name, Type::Object(Arc::new(self.variables.clone()))),
            _ => (*name, of.clone()),
        };
        let names: Vec<(&str, Type)> = self.names.iter().map(declared).collect();
        let found = program.check(&names).map_err(|e| e.to_string())?.result;
        if results.is_empty() || found == Type::Dyn || results.iter().any(|wanted| same_kind(wanted, &found)) {
            return Ok(found);
        }
        let names: Vec<String> = results.iter().map(Type::name).collect();
        Err(match names.as_slice() {
            [one] => format!("must evaluate to {one} but got {}", found.name()),
            several => format!("must evaluate to one of [{}]", several.join(" ")),
        })
    }
}

/// Whether two types are the same but for sizes and what is not known.
fn same_kind(wanted: &Type, found: &Type) -> bool {
    match (wanted, found) {
        (Type::Dyn, _) | (_, Type::Dyn) => true,
        (Type::String(_), Type::String(_)) => true,
        (Type::List(a, _), Type::List(b, _)) => same_kind(a, b),
        (a, b) => a == b,
    }
}

/// Checks a selector of devices: a condition on `device`.
///
/// # Errors
/// As those of [`Environment::check`].
pub fn device_selector(source: &str) -> Result<(), String> {
    let by_domain = || Type::Map(Arc::new(Type::Map(Arc::new(Type::Dyn), 32)), 32);
    let device = object([
        ("driver", Type::String(63)),
        ("attributes", by_domain()),
        ("capacity", by_domain()),
        ("allowMultipleAllocations", Type::Bool),
    ]);
    let environment = Environment { names: vec![("device", device)], variables: Vec::new() };
    environment.check(source, &[Type::Bool]).map(|_| ())
}

fn object<const N: usize>(fields: [(&str, Type); N]) -> Type {
    Type::object(fields.map(|(name, of)| (name.to_string(), of)))
}

const NAME: Type = Type::String(253);

fn texts() -> Type {
    Type::List(Arc::new(NAME), 1024)
}

/// `request`: an `AdmissionRequest` without the objects.
fn request() -> Type {
    let kind = || object([("group", NAME), ("version", NAME), ("kind", NAME)]);
    let resource = || object([("group", NAME), ("version", NAME), ("resource", NAME)]);
    let user = object([("username", NAME), ("uid", NAME), ("groups", texts()), ("extra", Type::Map(Arc::new(texts()), 1024))]);
    object([
        ("kind", kind()),
        ("resource", resource()),
        ("subResource", NAME),
        ("requestKind", kind()),
        ("requestResource", resource()),
        ("requestSubResource", NAME),
        ("name", NAME),
        ("namespace", NAME),
        ("operation", NAME),
        ("userInfo", user),
        ("dryRun", Type::Bool),
        ("options", Type::Dyn),
    ])
}

/// `namespaceObject`: what upstream shows of a namespace.
fn namespace() -> Type {
    let words = || Type::Map(Arc::new(NAME), 1024);
    let metadata = object([
        ("name", NAME),
        ("generateName", NAME),
        ("namespace", NAME),
        ("labels", words()),
        ("annotations", words()),
        ("uid", NAME),
        ("creationTimestamp", Type::Dyn),
        ("deletionGracePeriodSeconds", Type::Int),
        ("deletionTimestamp", Type::Dyn),
        ("generation", Type::Int),
        ("resourceVersion", NAME),
        ("finalizers", texts()),
    ]);
    let spec = object([("finalizers", texts())]);
    let status = object([("phase", NAME)]);
    object([("metadata", metadata), ("spec", spec), ("status", status)])
}
