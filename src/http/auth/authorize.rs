//! A request as the authorizers see it: upstream's request info.
use crate::http::api::{Query, Target};
use crate::protocol::authority::Attributes;
use crate::protocol::selector::FieldSelector;

/// Something that somebody wants to do.
#[derive(Clone, Debug)]
pub struct Action<'a> {
    what: What<'a>,
}

#[derive(Clone, Debug)]
enum What<'a> {
    /// `verb` is the HTTP method in small letters.
    Path { verb: String, path: &'a str },
    Resource {
        verb: &'a str,
        target: &'a Target,
        field_selector: &'a str,
        /// The one object that a selector leaves of a collection.
        selected: String,
    },
}

impl<'a> Action<'a> {
    /// Anything that is no object; `method` as in HTTP.
    pub fn path(method: &str, path: &'a str) -> Self {
        Action { what: What::Path { verb: method.to_ascii_lowercase(), path } }
    }

    /// A verb on a resource, with the selectors of its query.
    pub fn resource(verb: &'a str, target: &'a Target, query: &'a Query) -> Self {
        let collection = matches!(verb, "list" | "watch" | "deletecollection");
        let field_selector = if collection { query.get("fieldSelector") } else { "" };
        let mut selected = String::new();
        // Who may see one object may list and watch just that one.
        if matches!(verb, "list" | "watch") && target.name.is_empty() && field_selector.contains("metadata.name") {
            let name = FieldSelector::parse(field_selector).ok().and_then(|s| s.exact("metadata.name").map(String::from));
            selected = name.filter(|n| !n.contains('/') && !n.contains('%') && n != "." && n != "..").unwrap_or_default();
        }
        Action { what: What::Resource { verb, target, field_selector, selected } }
    }

    /// As the authorizers see it.
    pub fn attributes(&self) -> Attributes<'_> {
        match &self.what {
            What::Path { verb, path } => Attributes::of_path(verb, path),
            What::Resource { verb, target, field_selector, selected } => {
                // A namespace lies within itself, so that a role in it can give a right to it.
                let itself = target.group.is_empty() && target.resource == "namespaces" && target.namespace.is_empty();
                Attributes {
                    verb,
                    group: &target.group,
                    version: &target.version,
                    resource: &target.resource,
                    subresource: &target.subresource,
                    namespace: if itself { &target.name } else { &target.namespace },
                    name: if target.name.is_empty() { selected } else { &target.name },
                    field_selector,
                    path: None,
                }
            }
        }
    }
}
