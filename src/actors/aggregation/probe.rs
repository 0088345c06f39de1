//! Asking an extension API server: whether it is there, and what it serves.
use super::{Remote, Route};
use crate::protocol::user::{MASTERS, User};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

/// As whom the server itself asks.
pub const KUBE_AGGREGATOR: &str = "system:kube-aggregator";
/// How long an answer may take, upstream's limit.
const PATIENCE: Duration = Duration::from_secs(6);
/// Bytes of an answer.
const LONGEST: usize = 16 * 1024 * 1024;

/// What an extension API server says about its group and version.
#[derive(Debug, Default, PartialEq)]
pub struct Discovered {
    /// The `resources` of its `APIResourceList`.
    pub resources: Vec<Value>,
    /// Where its OpenAPI v3 document is.
    pub openapi: Option<String>,
}

/// Asks for the list of resources, which every such server has to have; and for its schema, which it may have.
pub(super) async fn discover(remote: &Remote, route: &Route) -> Result<Discovered, String> {
    let path = route.path();
    let url = format!("https://{}:{}{path}", route.server_name(), route.port);
    let user = User { name: KUBE_AGGREGATOR.into(), groups: vec![MASTERS.into()], ..User::default() };
    let answer = call(remote, route, "GET", &path, &user).await;
    let (status, body) = answer.map_err(|why| format!("failing or missing response from {url}: Get \"{url}\": {why}"))?;
    if !(200..300).contains(&status) {
        return Err(format!("failing or missing response from {url}: bad status from {url}: {status}"));
    }
    let list: Value = serde_json::from_slice(&body).unwrap_or_default();
    let resources = list["resources"].as_array().cloned().unwrap_or_default();
    Ok(Discovered { resources, openapi: openapi(remote, route, &user).await })
}

async fn openapi(remote: &Remote, route: &Route, user: &User) -> Option<String> {
    let (status, body) = call(remote, route, "GET", "/openapi/v3", user).await.ok()?;
    let index: Value = serde_json::from_slice(&body).ok().filter(|_| status == 200)?;
    let place = &index["paths"][route.path().trim_start_matches('/')]["serverRelativeURL"];
    place.as_str().map(String::from)
}

/// One request without a body, on behalf of `user`. Answers the status and the body.
pub(super) async fn call(remote: &Remote, route: &Route, method: &str, path: &str, user: &User) -> Result<(u16, Bytes), String> {
    let exchange = async {
        let stream = remote.connect(route).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let driver = tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", route.server_name());
        request = request.header("accept", "application/json").header("user-agent", "kube-apiserver");
        for (name, value) in identity_headers(user) {
            request = request.header(name, value);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|e| e.to_string())?.to_bytes();
        driver.abort();
        Ok((status, body))
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("context deadline exceeded".into()))
}

/// The headers that say on whose behalf a request is made.
pub fn identity_headers(user: &User) -> Vec<(String, String)> {
    let mut headers = vec![("x-remote-user".to_string(), user.name.clone())];
    if !user.uid.is_empty() {
        headers.push(("x-remote-uid".into(), user.uid.clone()));
    }
    headers.extend(user.groups.iter().map(|group| ("x-remote-group".to_string(), group.clone())));
    for (key, values) in &user.extra {
        let name = format!("x-remote-extra-{}", escaped(key));
        headers.extend(values.iter().map(|value| (name.clone(), value.clone())));
    }
    headers
}

/// A key of an extra field may hold what a header's name cannot: that is percent-encoded.
fn escaped(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.to_ascii_lowercase().bytes() {
        match byte {
            b'a'..=b'z'
            | b'0'..=b'9'
            | b'!'
            | b'#'
            | b'$'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~' => {
                out.push(char::from(byte));
            }
            other => _ = write!(out, "%{other:02X}"),
        }
    }
    out
}
