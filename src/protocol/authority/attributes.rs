//! What somebody wants to do, as authorizers see it.
use crate::status::ApiError;

/// A request to be judged: a verb on a resource, or on a path that is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: &'a str,
    /// Empty: cluster-scoped, or all namespaces.
    pub namespace: &'a str,
    /// Empty: the collection, or a name that is not known yet.
    pub name: &'a str,
    /// The selector of a list, watch or deletecollection as the client wrote it.
    pub field_selector: &'a str,
    /// Set for what is no resource: the path of the URL.
    pub path: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// A request for something that is no resource; `verb` is the HTTP method in small letters.
    pub fn of_path(verb: &'a str, path: &'a str) -> Self {
        Attributes { verb, path: Some(path), ..Default::default() }
    }

    /// `User "jane" cannot list resource "pods" in API group "" at the cluster scope`
    pub fn refusal(&self, user: &str) -> String {
        let verb = self.verb;
        if let Some(path) = self.path {
            return format!("User \"{user}\" cannot {verb} path \"{path}\"");
        }
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        let resource = format!("{}{slash}{}", self.resource, self.subresource);
        let scope = match self.namespace {
            "" => "at the cluster scope".to_string(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        format!("User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {scope}", self.group)
    }

    /// The 403 for a user; `reason` is what the authorizers said, and may be empty.
    pub fn forbidden(&self, user: &str, reason: &str) -> ApiError {
        let mut why = self.refusal(user);
        if !reason.is_empty() {
            why.push_str(": ");
            why.push_str(reason);
        }
        match self.path {
            Some(_) => ApiError::new(403, "Forbidden", format!("forbidden: {why}")),
            None => ApiError::forbidden(self.group, self.resource, self.name, &why),
        }
    }
}
