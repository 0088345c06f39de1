//! What admission hears of a connection: options in place of an object.
use super::gateway::Gateway;
use super::options::Query;
use super::path::Target;
use crate::actors::kinds::Writer;
use crate::http::auth::User;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use serde_json::{Value, json};
use std::sync::Arc;

impl Gateway {
    /// Lets webhooks and policies judge `exec`, `attach`, `portforward` and `proxy`. The user may make the request.
    pub(super) async fn admit_connection(&self, user: &Arc<User>, target: &Target, query: &Query, behind: &str) -> Result<(), ApiError> {
        let Some(options) = options(target, query, behind) else { return Ok(()) };
        let served = self.find(target)?;
        // A proxied name may say a scheme and a port; admission hears the name as the client wrote it.
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let writer = Writer { user: user.clone(), manager: "".into(), dry_run: false, options: Arc::default() };
        self.kinds.connect(&served, &key, &target.subresource, options, &writer).await
    }
}

/// The options as an object of their own kind; `None` for what is no connection.
fn options(target: &Target, query: &Query, behind: &str) -> Option<Value> {
    let mut object = json!({ "apiVersion": "v1" });
    let kind = match (target.resource.as_str(), target.subresource.as_str()) {
        ("pods", which @ ("exec" | "attach")) => {
            for stream in ["stdin", "stdout", "stderr", "tty"].into_iter().filter(|s| query.flag(s)) {
                object[stream] = true.into();
            }
            if !query.get("container").is_empty() {
                object["container"] = query.get("container").into();
            }
            if which == "exec" {
                object["command"] = query.all("command").into();
            }
            if which == "exec" { "PodExecOptions" } else { "PodAttachOptions" }
        }
        ("pods", "portforward") => {
            let ports: Vec<u16> = query.all("ports").iter().flat_map(|p| p.split(',')).filter_map(|p| p.parse().ok()).collect();
            if !ports.is_empty() {
                object["ports"] = ports.into();
            }
            "PodPortForwardOptions"
        }
        (resource @ ("pods" | "services" | "nodes"), "proxy") => {
            if !behind.is_empty() {
                object["path"] = behind.into();
            }
            match resource {
                "pods" => "PodProxyOptions",
                "services" => "ServiceProxyOptions",
                _ => "NodeProxyOptions",
            }
        }
        _ => return None,
    };
    object["kind"] = kind.into();
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_their_own_kinds() {
        let target =
            |resource: &str, subresource: &str| Target { resource: resource.into(), subresource: subresource.into(), ..Default::default() };
        let query = Query::parse("command=ls&command=-l&stdout=true&container=c&stdin=false").expect("a query");
        let exec = options(&target("pods", "exec"), &query, "").expect("a connection");
        let wanted = json!({ "apiVersion": "v1", "kind": "PodExecOptions", "stdout": true, "container": "c", "command": ["ls", "-l"] });
        assert_eq!(exec, wanted);
        let proxy = options(&target("services", "proxy"), &Query::default(), "/a").expect("a connection");
        assert_eq!(proxy, json!({ "apiVersion": "v1", "kind": "ServiceProxyOptions", "path": "/a" }));
        assert_eq!(options(&target("pods", "log"), &query, ""), None);
    }
}
