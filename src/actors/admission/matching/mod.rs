//! Which requests somebody wants to hear of: the rules, selectors and conditions that webhooks and policies share.
mod convert;
mod rules;

pub use convert::{Presented, Shown, Target, equivalents};
pub use rules::Rule;

use super::expressions::{Bindings, Compiled, compile, failed};
use super::refusal::{list, name_of, text};
use crate::actors::kinds::{Attributes, Operation};
use crate::protocol::authority::Authorize;
use crate::protocol::cel::{Budget, CONDITIONS_BUDGET, Fault, Scope};
use crate::protocol::meta::ObjectKey;
use crate::protocol::selector::LabelSelector;
use crate::storage::{Entry, Shelf};
use serde_json::{Value, json};
use std::sync::Arc;

/// Rules and selectors.
pub struct Match {
    rules: Vec<Rule>,
    exclude: Vec<Rule>,
    namespaces: LabelSelector,
    objects: LabelSelector,
    /// Rules for another version, or another group, of the same objects count as well.
    equivalent: bool,
}

impl Match {
    /// From a webhook, or a policy's `matchConstraints`.
    pub fn parse(object: &Value, rules: &str) -> Match {
        let rules_of = |field: &str| list(object, field).iter().map(Rule::parse).collect();
        let selector = |field: &str| match &object[field] {
            Value::Null => LabelSelector::everything(),
            // One that makes no sense was refused when it was written; if it is there all the same it selects nothing.
            selector => LabelSelector::from_object(selector).unwrap_or_else(|_| LabelSelector::nothing()),
        };
        Match {
            rules: rules_of(rules),
            exclude: rules_of("excludeResourceRules"),
            namespaces: selector("namespaceSelector"),
            objects: selector("objectSelector"),
            equivalent: text(object, "matchPolicy") != "Exact",
        }
    }

    /// Whether any rule is about such a request, whatever its object.
    pub fn concerns(&self, a: &Attributes<'_>) -> bool {
        self.target(a).is_some()
    }

    /// The form of the object that is wanted, when the request is.
    pub fn target(&self, a: &Attributes<'_>) -> Option<Target> {
        // What decides about requests is not itself decided about.
        if a.kind.resource.group == "admissionregistration.k8s.io" {
            return None;
        }
        let by = |rules: &[Rule], resource| rules.iter().any(|rule| rule.matches(a, resource));
        let own = &a.kind.resource;
        if by(&self.exclude, own) {
            return None;
        }
        // Without rules, what remains after the exclusions: a binding's `matchResources`.
        if by(&self.rules, own) {
            return Some(Target::Same);
        }
        if !self.equivalent {
            return None;
        }
        equivalents(a).find(|(_, resource)| by(&self.rules, resource)).map(|(target, _)| target)
    }

    /// Whether there are rules at all.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether exclusions and selectors let the request through.
    pub fn selects(&self, a: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>, namespaces: &Shelf) -> bool {
        let excluded = self.exclude.iter().any(|rule| rule.matches(a, &a.kind.resource));
        !excluded && self.selects_namespace(a, object.or(old), namespaces) && self.selects_object(object, old)
    }

    fn selects_namespace(&self, a: &Attributes<'_>, object: Option<&Value>, namespaces: &Shelf) -> bool {
        if self.namespaces.is_everything() {
            return true;
        }
        if is_namespace(a) {
            return object.is_some_and(|o| self.namespaces.matches_value(&o["metadata"]["labels"]));
        }
        if a.key.namespace.is_empty() {
            return true;
        }
        namespace_of(a, namespaces).is_some_and(|entry| self.namespaces.matches(&entry.meta.labels))
    }

    fn selects_object(&self, object: Option<&Value>, old: Option<&Value>) -> bool {
        if self.objects.is_everything() {
            return true;
        }
        [object, old].into_iter().flatten().any(|o| self.objects.matches_value(&o["metadata"]["labels"]))
    }
}

fn is_namespace(a: &Attributes<'_>) -> bool {
    a.kind.resource.plural == "namespaces" && a.kind.resource.group.is_empty()
}

fn namespace_of(a: &Attributes<'_>, namespaces: &Shelf) -> Option<Arc<Entry>> {
    namespaces.snapshot().get(&ObjectKey::new("", a.key.namespace.clone())).cloned()
}

/// The namespace of a request as an object; null for what is in none.
pub fn namespace_object(a: &Attributes<'_>, namespaces: &Shelf) -> Value {
    if a.key.namespace.is_empty() || is_namespace(a) {
        return Value::Null;
    }
    namespace_of(a, namespaces).map_or(Value::Null, |entry| entry.parse())
}

/// `matchConditions`.
pub fn conditions(object: &Value) -> Vec<Compiled> {
    list(object, "matchConditions").iter().map(|c| compile(text(c, "expression"))).collect()
}

/// Whether every condition holds. One that does not decides; otherwise those that fail are errors.
pub fn conditions_hold(conditions: &[Compiled], scope: &dyn Scope) -> Result<bool, String> {
    let mut budget = Budget::new(CONDITIONS_BUDGET);
    let mut failures: Vec<String> = Vec::new();
    for condition in conditions {
        let program = match condition {
            Ok(program) => program,
            Err(why) => {
                failures.push(format!("compilation error: {why}"));
                continue;
            }
        };
        match program.evaluate_bool(scope, &mut budget) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(fault @ Fault::OutOfBudget) => return Err(fault.to_string()),
            Err(fault) => failures.push(failed(program, fault)),
        }
    }
    match failures.as_slice() {
        [] => Ok(true),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

/// What a request does, as those outside see it: a binding is created, though it changes a pod.
pub fn operation(a: &Attributes<'_>) -> Operation {
    if a.subresource == "binding" { Operation::Create } else { a.operation }
}

/// A request without its objects, as reviews and expressions spell it.
pub fn request(a: &Attributes<'_>, object: Option<&Value>, target: Target) -> Value {
    let (own, wanted) = (&a.kind.resource, target.resource(a));
    let kind_of = |resource: &crate::protocol::resource::Resource| match resource.subresource(a.subresource) {
        Some(sub) if !a.subresource.is_empty() => json!({ "group": sub.group, "version": sub.version, "kind": sub.kind }),
        _ => json!({ "group": resource.group, "version": resource.version, "kind": resource.kind }),
    };
    let resource_of = |resource: &crate::protocol::resource::Resource| json!({ "group": resource.group, "version": resource.version, "resource": resource.plural });
    let operation = operation(a);
    let mut request = json!({
        "kind": kind_of(wanted), "resource": resource_of(wanted), "requestKind": kind_of(own), "requestResource": resource_of(own),
        "operation": operation.as_str(), "userInfo": a.user, "dryRun": a.dry_run, "options": options(operation, a.options),
    });
    if !a.subresource.is_empty() {
        request["subResource"] = a.subresource.into();
        request["requestSubResource"] = a.subresource.into();
    }
    let name = name_of(a, object.filter(|o| !text(&o["metadata"], "name").is_empty()));
    if name != "Unknown" {
        request["name"] = name.into();
    }
    let namespace = if is_namespace(a) { &a.key.name } else { &a.key.namespace };
    if !namespace.is_empty() {
        request["namespace"] = (**namespace).into();
    }
    request
}

/// The options of a request, by what it comes to: an apply that makes something new has `CreateOptions`.
fn options(operation: Operation, given: &Value) -> Value {
    let kind = match operation {
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => "DeleteOptions",
        // Its options are the object.
        Operation::Connect => return Value::Null,
    };
    let mut options = given.as_object().cloned().unwrap_or_default();
    options.insert("kind".into(), kind.into());
    options.insert("apiVersion".into(), "meta.k8s.io/v1".into());
    Value::Object(options)
}

/// The names that conditions may use.
pub fn bindings(
    a: &Attributes<'_>,
    authority: &Arc<dyn Authorize>,
    request: &Value,
    object: Option<&Value>,
    old: Option<&Value>,
) -> Bindings {
    let mut bindings = Bindings::default();
    bindings.set("request", request);
    bindings.set("object", object.unwrap_or(&Value::Null));
    bindings.set("oldObject", old.unwrap_or(&Value::Null));
    bindings.set("namespaceObject", &Value::Null);
    bindings.authorize(authority, a);
    bindings
}
