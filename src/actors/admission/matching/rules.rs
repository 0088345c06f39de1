//! One rule: operations, groups, versions, resources, scope.
use crate::actors::admission::refusal::{list, text};
use crate::actors::kinds::Attributes;
use crate::protocol::resource::Resource;
use serde_json::Value;

/// See the module. Lists hold what was written, `*` included.
pub struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    /// Names of objects that it is about; empty for all.
    names: Vec<String>,
    scope: String,
}

impl Rule {
    pub fn parse(object: &Value) -> Rule {
        let texts = |field: &str| list(object, field).iter().filter_map(Value::as_str).map(String::from).collect();
        Rule {
            operations: texts("operations"),
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            scope: text(object, "scope").into(),
        }
    }

    /// Whether the rule is about this request, were it for `resource`.
    pub fn matches(&self, a: &Attributes<'_>, resource: &Resource) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|x| x == "*" || x == word);
        has(&self.operations, super::operation(a).as_str())
            && has(&self.groups, resource.group)
            && has(&self.versions, resource.version)
            && self.in_scope(a)
            && self.resources.iter().any(|pattern| fits(pattern, resource.plural, a.subresource))
            && (self.names.is_empty() || self.names.iter().any(|name| **name == *a.key.name))
    }

    fn in_scope(&self, a: &Attributes<'_>) -> bool {
        match self.scope.as_str() {
            "Cluster" => !a.kind.resource.namespaced,
            "Namespaced" => a.kind.resource.namespaced,
            _ => true,
        }
    }
}

/// `pods`, `pods/status`, `pods/*`, `*/scale`, `*`, `*/*`. A star alone means no subresource.
fn fits(pattern: &str, plural: &str, subresource: &str) -> bool {
    let (resource, part) = pattern.split_once('/').unwrap_or((pattern, ""));
    (resource == "*" || resource == plural) && (part == subresource || part == "*")
}
