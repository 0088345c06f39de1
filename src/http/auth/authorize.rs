//! May this user do that? Masters may do everything, node agents what an agent needs, everybody may look at health,
//! and authenticated users at discovery. Roles and bindings are not served yet, so nobody else has any right.
use super::{MASTERS, User};
use crate::http::api::Target;
use crate::protocol::status::ApiError;

/// Something that somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Anything that is no object; `method` as in HTTP.
    Path { method: &'a str, path: &'a str },
    Resource { verb: &'static str, target: &'a Target },
}

impl<'a> Action<'a> {
    pub fn path(method: &'a str, path: &'a str) -> Self {
        Action::Path { method, path }
    }

    pub fn resource(verb: &'static str, target: &'a Target) -> Self {
        Action::Resource { verb, target }
    }
}

/// `Ok`, or 401 for somebody unknown, or 403 in upstream's words.
pub fn authorize(user: &User, action: &Action<'_>) -> Result<(), ApiError> {
    if user.is_in(MASTERS) {
        return Ok(());
    }
    let allowed = match action {
        Action::Path { method, path } => matches!(*method, "GET" | "HEAD") && may_look(user, path),
        Action::Resource { verb, target } => user.node().is_some() && agent_may(user, verb, target),
    };
    if allowed {
        return Ok(());
    }
    Err(forbidden(user, action))
}

fn may_look(user: &User, path: &str) -> bool {
    let under = |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if ["/healthz", "/livez", "/readyz", "/version"].iter().any(|p| under(p)) {
        return true;
    }
    let known = user.is_in("system:authenticated");
    known && (path == "/" || ["/api", "/apis", "/openapi"].iter().any(|p| under(p)))
}

/// What upstream's node authorizer and restriction allow, as far as the served kinds go. Which objects of a kind an agent
/// may touch is checked where the object is known.
fn agent_may(user: &User, verb: &str, target: &Target) -> bool {
    let own_name = user.node() == Some(target.name.as_str());
    match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
        ("", "nodes", "") => matches!(verb, "get" | "list" | "watch" | "create") || (own_name && matches!(verb, "update" | "patch")),
        ("", "nodes", "status") => own_name && matches!(verb, "get" | "update" | "patch"),
        ("", "pods", "") => matches!(verb, "get" | "list" | "watch" | "create" | "delete"),
        ("", "pods", "status") => matches!(verb, "get" | "update" | "patch"),
        ("", "configmaps" | "secrets", "") => matches!(verb, "get" | "list" | "watch"),
        ("", "services", "") => matches!(verb, "get" | "list" | "watch"),
        ("", "events", "") => matches!(verb, "create" | "update" | "patch"),
        ("coordination.k8s.io", "leases", "") => matches!(verb, "get" | "create" | "update" | "patch" | "delete"),
        _ => false,
    }
}

fn forbidden(user: &User, action: &Action<'_>) -> ApiError {
    match action {
        Action::Path { method, path } => {
            let verb = method.to_ascii_lowercase();
            ApiError::new(403, "Forbidden", format!("forbidden: User \"{}\" cannot {verb} path \"{path}\"", user.name))
        }
        Action::Resource { verb, target } => {
            let resource =
                if target.subresource.is_empty() { target.resource.clone() } else { format!("{}/{}", target.resource, target.subresource) };
            let scope = if target.namespace.is_empty() {
                " at the cluster scope".to_string()
            } else {
                format!(" in the namespace \"{}\"", target.namespace)
            };
            let why = format!("User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\"{scope}", user.name, target.group);
            ApiError::forbidden(&target.group, &target.resource, &target.name, &why)
        }
    }
}
