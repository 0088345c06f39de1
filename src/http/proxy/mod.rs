//! `pods/<name>/proxy` and `services/<name>/proxy`: HTTP through to a pod, over the connection that its node dialled.
mod aggregate;
mod backend;
mod forward;
mod node;

pub use aggregate::Aggregator;

use super::api::{Gateway, Target};
use super::pods::PodStreams;
use crate::actors::aggregation::{Dial, Duplex};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::storage::Entry;
use actix_web::{HttpRequest, HttpResponse, web};
use async_trait::async_trait;
use backend::{Backend, Named, pod_port, service_backend};
use std::sync::Arc;
use tokio::net::TcpStream;

/// Forwards requests to what runs in the cluster.
pub struct Proxy {
    gateway: Arc<Gateway>,
    pods: PodStreams,
}

impl Proxy {
    pub fn new(gateway: Arc<Gateway>, pods: PodStreams) -> Self {
        Proxy { gateway, pods }
    }

    /// Whether a path is one of those that are forwarded.
    pub fn owns(target: &Target) -> bool {
        target.group.is_empty() && target.subresource == "proxy"
    }

    /// What is asked of the backend: the path behind `/proxy`, if there is one.
    pub fn behind(path: &str) -> &str {
        path.get(prefix_of(path).len()..).unwrap_or_default()
    }

    /// Answers such a request; the user may make it.
    pub async fn serve(&self, request: &HttpRequest, payload: web::Payload, target: &Target) -> Result<HttpResponse, ApiError> {
        let named = Named::parse(&target.name)?;
        let backend = match target.resource.as_str() {
            "pods" => {
                let entry = self.entry("pods", &target.namespace, named.name)?;
                let port = pod_port(&entry.parse(), named.port)?;
                Backend::Pod { entry, port }
            }
            "services" => self.service(&target.namespace, &named)?,
            "nodes" => {
                let behind = Proxy::behind(request.path());
                return node::serve(&self.gateway, &self.pods, named.name, request.method().as_str(), behind).await;
            }
            other => return Err(ApiError::not_found("", other, &target.name)),
        };
        let prefix = prefix_of(request.path());
        let rest = request.path().get(prefix.len()..).unwrap_or_default();
        if rest.is_empty() && request.method() == actix_web::http::Method::GET {
            // As upstream: relative links of the page behind only work below a slash.
            let mut location = format!("{prefix}/");
            if !request.query_string().is_empty() {
                location = format!("{location}?{}", request.query_string());
            }
            return Ok(HttpResponse::MovedPermanently().insert_header(("Location", location)).finish());
        }
        let onward = forward::Onward {
            prefix,
            path: if rest.is_empty() { "/" } else { rest },
            host: backend.host(),
            scheme: named.scheme,
            identity: None,
        };
        let unreachable = |e: String| ApiError::unavailable(format!("error trying to reach service: {e}"));
        match &backend {
            Backend::Pod { entry, port } => {
                let stream = self.pods.dial(entry, *port).await?;
                forward::forward(request, payload, stream, &onward).await.map_err(unreachable)
            }
            Backend::Address(address) => {
                let stream = TcpStream::connect(address).await.map_err(|e| unreachable(format!("dial tcp {address}: {e}")))?;
                forward::forward(request, payload, stream, &onward).await.map_err(unreachable)
            }
        }
    }

    fn service(&self, namespace: &str, named: &Named<'_>) -> Result<Backend, ApiError> {
        let service = self.entry("services", namespace, named.name)?.parse();
        let read = |shelf: &str| self.gateway.kinds.by_shelf(shelf).map(|s| s.shelf.snapshot());
        let slices: Vec<Arc<Entry>> = read("endpointslices.discovery.k8s.io")
            .map(|s| s.iter_after(Some(namespace), None).filter(|e| backend::slice_of(e, named.name)).cloned().collect())
            .unwrap_or_default();
        let pods = read("pods").ok_or_else(|| ApiError::internal("pods are not served"))?;
        let inside = || pods.iter_after(Some(namespace), None);
        service_backend(&service, named, slices.iter().map(|s| s.parse()), inside)
    }

    fn entry(&self, plural: &str, namespace: &str, name: &str) -> Result<Arc<Entry>, ApiError> {
        let found = self.gateway.kinds.find("", plural).and_then(|s| s.shelf.snapshot().get(&ObjectKey::new(namespace, name)).cloned());
        found.ok_or_else(|| ApiError::not_found("", plural, name))
    }
}

#[async_trait]
impl Dial for Proxy {
    /// Through the pod's node where there is a pod; straight to the address where the endpoints are somebody else's.
    async fn dial(&self, namespace: &str, service: &str, port: u16) -> Result<Box<dyn Duplex>, String> {
        let entry = self.entry("services", namespace, service).map_err(|e| e.message)?;
        let object = entry.parse();
        let straight = |e: std::io::Error| format!("dial tcp: {e}");
        if object["spec"]["type"] == "ExternalName" {
            let host = object["spec"]["externalName"].as_str().unwrap_or_default();
            return Ok(Box::new(TcpStream::connect((host, port)).await.map_err(straight)?));
        }
        let port = port.to_string();
        let named = Named { scheme: "https", name: service, port: &port };
        match self.service(namespace, &named).map_err(|e| e.message)? {
            Backend::Pod { entry, port } => Ok(Box::new(self.pods.dial(&entry, port).await.map_err(|e| e.message)?)),
            Backend::Address(address) => {
                let stream = TcpStream::connect(address).await.map_err(|e| format!("dial tcp {address}: {e}"))?;
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
        }
    }
}

/// The path up to and with `/proxy`, as the client wrote it.
fn prefix_of(path: &str) -> &str {
    // A pod may be called "proxy", and so may what is asked of it: the word counts behind the name.
    let after_name = ["/pods/", "/services/", "/nodes/"].iter().filter_map(|p| path.find(p).map(|at| at + p.len())).min().unwrap_or(0);
    let slash = path.get(after_name..).and_then(|rest| rest.find('/')).map_or(path.len(), |at| after_name + at);
    path.get(..slash + "/proxy".len()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_ends_behind_the_name() {
        assert_eq!(prefix_of("/api/v1/namespaces/a/pods/p:80/proxy/x/proxy"), "/api/v1/namespaces/a/pods/p:80/proxy");
        assert_eq!(prefix_of("/api/v1/namespaces/proxy/pods/proxy/proxy"), "/api/v1/namespaces/proxy/pods/proxy/proxy");
    }
}
