//! The paths of a resource and the operations on them. kubectl finds the kind of a resource, the parameters that a
//! PATCH understands and the patch types of a kind here.
use super::models::{DELETE_OPTIONS, PATCH, STATUS, Source, has_model, model_name};
use super::operation::{
    Answer, Body, NAME, NAMESPACE, ON_CREATE, ON_DELETE, ON_DELETE_COLLECTION, ON_LIST, ON_PATCH, ON_READ, Operation, PATH, PRETTY,
    Parameter,
};
use super::schema::Form;
use crate::resource::{Resource, Subresource};
use serde_json::{Map, Value};

const ANY: &[&str] = &["*/*"];
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
/// Custom resources have no strategic merge: nobody knows their merge keys.
const CUSTOM_PATCHES: &[&str] = &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

const OK: (&str, &str) = ("200", "OK");
const CREATED: (&str, &str) = ("201", "Created");
const ACCEPTED: (&str, &str) = ("202", "Accepted");

/// The paths of these resources, in the source's form.
pub fn paths(source: &Source<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    for resource in source.resources {
        Scope { source, resource, form: source.form }.write(&mut out);
    }
    out
}

struct Scope<'a> {
    source: &'a Source<'a>,
    resource: &'a Resource,
    form: Form,
}

impl Scope<'_> {
    fn write(&self, out: &mut Map<String, Value>) {
        let r = self.resource;
        let base = match r.group {
            "" => format!("/api/{}", r.version),
            group => format!("/apis/{group}/{}", r.version),
        };
        let collection =
            if r.namespaced { format!("{base}/namespaces/{{namespace}}/{}", r.plural) } else { format!("{base}/{}", r.plural) };
        let item = format!("{collection}/{{name}}");
        self.put(out, collection, false, self.collection());
        self.put(out, item.clone(), true, self.item());
        if r.namespaced && r.verbs.contains(&"list") {
            let list = self.operation("list", r.kind, ON_LIST, None, self.answer_list(), &[OK]);
            let list = Operation { id: self.id("list", &format!("{}ForAllNamespaces", r.kind)), ..list };
            let mut operations = Map::new();
            operations.insert("get".into(), list.write(self.form));
            operations.insert("parameters".into(), [PRETTY.write("query", self.form)].into_iter().collect());
            out.insert(format!("{base}/{}", r.plural), operations.into());
        }
        for sub in r.subresources {
            self.put(out, format!("{item}/{}", sub.name), true, self.subresource(sub, ""));
            if sub.name == "proxy" {
                let mut operations = self.subresource(sub, "WithPath");
                operations.insert("parameters".into(), [PATH.write("path", self.form)].into_iter().collect());
                self.put(out, format!("{item}/proxy/{{path}}"), true, operations);
            }
        }
    }

    /// Adds a path with the parameters that all its operations share. Paths without operations are left out.
    fn put(&self, out: &mut Map<String, Value>, path: String, named: bool, mut operations: Map<String, Value>) {
        if operations.is_empty() {
            return;
        }
        let mut shared: Vec<Value> = match operations.remove("parameters") {
            Some(Value::Array(given)) => given,
            _ => Vec::new(),
        };
        let mut add = |parameter: &Parameter, place: &str| shared.push(parameter.write(place, self.form));
        if named {
            add(&NAME, "path");
        }
        if self.resource.namespaced {
            add(&NAMESPACE, "path");
        }
        add(&PRETTY, "query");
        operations.insert("parameters".into(), shared.into());
        out.insert(path, operations.into());
    }

    fn collection(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let kind = self.resource.kind;
        let mut add = |method: &str, operation: Operation<'_>| _ = out.insert(method.into(), operation.write(self.form));
        for verb in self.resource.verbs {
            match *verb {
                "list" => add("get", self.operation("list", kind, ON_LIST, None, self.answer_list(), &[OK])),
                "create" => {
                    let body = self.body(&self.model(), ANY);
                    add("post", self.operation("post", kind, ON_CREATE, Some(body), self.answer(), &[OK, CREATED, ACCEPTED]));
                }
                "deletecollection" => {
                    let body = Body { required: false, ..self.body(DELETE_OPTIONS, ANY) };
                    let answer = Answer::Model(STATUS.into());
                    let operation = self.operation("deletecollection", kind, ON_DELETE_COLLECTION, Some(body), answer, &[OK]);
                    add("delete", operation);
                }
                _ => {}
            }
        }
        out
    }

    fn item(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let kind = self.resource.kind;
        let mut add = |method: &str, operation: Operation<'_>| _ = out.insert(method.into(), operation.write(self.form));
        for verb in self.resource.verbs {
            match *verb {
                "get" => add("get", self.operation("get", kind, ON_READ, None, self.answer(), &[OK])),
                "update" => {
                    let body = self.body(&self.model(), ANY);
                    add("put", self.operation("put", kind, ON_CREATE, Some(body), self.answer(), &[OK, CREATED]));
                }
                "patch" => {
                    let body = self.body(PATCH, self.patches());
                    add("patch", self.operation("patch", kind, ON_PATCH, Some(body), self.answer(), &[OK, CREATED]));
                }
                "delete" => {
                    let body = Body { required: false, ..self.body(DELETE_OPTIONS, ANY) };
                    let answer = if self.resource.returns_deleted() { self.answer() } else { Answer::Model(STATUS.into()) };
                    add("delete", self.operation("delete", kind, ON_DELETE, Some(body), answer, &[OK, ACCEPTED]));
                }
                _ => {}
            }
        }
        out
    }

    /// `suffix` keeps the operation's id apart from the one on the path without a tail.
    fn subresource(&self, sub: &Subresource, suffix: &str) -> Map<String, Value> {
        let mut out = Map::new();
        let model = model_name(sub.group, sub.version, sub.kind);
        let connects = !has_model(self.source, sub.group, sub.version, sub.kind);
        let subject = format!("{}{}{suffix}", self.resource.kind, capital(sub.name));
        for verb in sub.verbs {
            let (action, method) = match *verb {
                "get" => ("get", "get"),
                "create" => ("post", "post"),
                "update" => ("put", "put"),
                "patch" => ("patch", "patch"),
                "delete" => ("delete", "delete"),
                _ => continue,
            };
            let (parameters, body) = match action {
                _ if connects => (ON_READ, None),
                "patch" => (ON_PATCH, Some(self.body(PATCH, self.patches()))),
                "get" | "delete" => (ON_READ, None),
                _ => (ON_CREATE, Some(self.body(&model, ANY))),
            };
            let text = connects || sub.name == "log";
            let answer = if text { Answer::Text } else { Answer::Model(model.clone()) };
            let mut operation = self.operation(action, &subject, parameters, body, answer, &[OK]);
            operation.gvk = (sub.group, sub.version, sub.kind);
            if connects {
                operation.action = "connect";
                operation.id = self.id("connect", &format!("{}{}", capital(method), self.scoped(&subject)));
                operation.description = format!("connect {} requests to {} of {}", method.to_uppercase(), sub.name, self.resource.kind);
            } else {
                operation.description = format!("{} {} of the specified {}", operation_word(action), sub.name, self.resource.kind);
            }
            out.insert(method.into(), operation.write(self.form));
        }
        out
    }

    fn operation<'b>(
        &'b self,
        action: &'b str,
        subject: &str,
        parameters: &'b [Parameter],
        body: Option<Body>,
        answer: Answer,
        codes: &'b [(&'b str, &'b str)],
    ) -> Operation<'b> {
        let r = self.resource;
        let (verb, subject) = match action {
            "deletecollection" => ("delete", format!("Collection{}", self.scoped(subject))),
            "post" => ("create", self.scoped(subject)),
            "put" => ("replace", self.scoped(subject)),
            "get" => ("read", self.scoped(subject)),
            other => (other, self.scoped(subject)),
        };
        Operation {
            id: self.id(verb, &subject),
            tag: format!("{}_{}", group_words(r.group), r.version),
            description: format!("{} {}", phrase(action), r.kind),
            action,
            gvk: (r.group, r.version, r.kind),
            parameters,
            body,
            answer,
            codes,
        }
    }

    /// `readCoreV1NamespacedPodStatus`: unique within the document.
    fn id(&self, verb: &str, subject: &str) -> String {
        let group = capital(&group_words(self.resource.group));
        format!("{verb}{group}{}{subject}", capital(self.resource.version))
    }

    fn scoped(&self, subject: &str) -> String {
        if self.resource.namespaced { format!("Namespaced{subject}") } else { subject.to_string() }
    }

    fn model(&self) -> String {
        model_name(self.resource.group, self.resource.version, self.resource.kind)
    }

    fn answer(&self) -> Answer {
        Answer::Model(self.model())
    }

    fn answer_list(&self) -> Answer {
        Answer::Model(format!("{}List", self.model()))
    }

    fn body(&self, model: &str, media_types: &'static [&'static str]) -> Body {
        Body { model: model.to_string(), media_types, required: true }
    }

    fn patches(&self) -> &'static [&'static str] {
        let r = self.resource;
        let custom = super::kinds::find(r.group, r.version, r.kind).is_none();
        if custom { CUSTOM_PATCHES } else { PATCHES }
    }
}

fn phrase(action: &str) -> &'static str {
    match action {
        "list" => "list or watch objects of kind",
        "post" => "create a",
        "get" => "read the specified",
        "put" => "replace the specified",
        "patch" => "partially update the specified",
        "delete" => "delete a",
        "deletecollection" => "delete collection of",
        _ => "use",
    }
}

fn operation_word(action: &str) -> &'static str {
    match action {
        "post" => "create",
        "get" => "read",
        "put" => "replace",
        "patch" => "partially update",
        _ => "delete",
    }
}

/// `rbacAuthorization` for `rbac.authorization.k8s.io`, `core` for the legacy group.
fn group_words(group: &str) -> String {
    let short = group.strip_suffix(".k8s.io").unwrap_or(group);
    let mut words = short.split(['.', '-']);
    let first = words.next().filter(|word| !word.is_empty()).unwrap_or("core").to_string();
    words.fold(first, |joined, word| joined + &capital(word))
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
