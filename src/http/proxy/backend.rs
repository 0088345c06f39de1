//! Which pod and port a proxied name means. Pure.
use crate::protocol::light::{Light, Phase};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::ApiError;
use crate::storage::Entry;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// `[scheme:]name[:port]`, as a path spells a backend.
#[derive(Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    pub name: &'a str,
    /// A number, for services a port's name as well; may be empty.
    pub port: &'a str,
}

impl<'a> Named<'a> {
    /// Takes a name in a path apart, in upstream's way.
    pub fn parse(text: &'a str) -> Result<Self, ApiError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("http", *name, ""),
            [name, port] => ("http", *name, *port),
            ["" | "http", name, port] => ("http", *name, *port),
            ["https", name, port] => ("https", *name, *port),
            _ => return Err(ApiError::bad_request(format!("invalid proxy request \"{text}\""))),
        };
        Ok(Named { scheme, name, port })
    }
}

/// Where a request goes.
pub enum Backend {
    Pod {
        entry: Arc<Entry>,
        port: u16,
    },
    /// Something outside of the cluster's pods, by hand-made endpoints.
    Address(SocketAddr),
}

impl Backend {
    /// For the `Host` header.
    pub fn host(&self) -> String {
        match self {
            Backend::Pod { entry, port } => match &entry.light {
                Light::Pod(pod) if !pod.pod_ip.is_empty() => format!("{}:{port}", pod.pod_ip),
                _ => format!("{}:{port}", entry.key.name),
            },
            Backend::Address(address) => address.to_string(),
        }
    }
}

/// The port given, or the first one that a container declares, or 80.
pub fn pod_port(pod: &Value, given: &str) -> Result<u16, ApiError> {
    if !given.is_empty() {
        return given.parse().map_err(|_| ApiError::bad_request(format!("invalid port \"{given}\": a number from 1 to 65535 is expected")));
    }
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let declared = containers.filter_map(|c| c["ports"][0]["containerPort"].as_u64()).find_map(|p| u16::try_from(p).ok());
    Ok(declared.unwrap_or(80))
}

/// Whether an EndpointSlice belongs to a service.
pub fn slice_of(slice: &Entry, service: &str) -> bool {
    slice.meta.labels.iter().any(|(k, v)| &**k == "kubernetes.io/service-name" && &**v == service)
}

/// A ready endpoint of the service: of its slices, or of the pods that it selects as long as it has none.
pub fn service_backend<'a, I: Iterator<Item = &'a Arc<Entry>>>(
    service: &Value,
    named: &Named<'_>,
    slices: impl Iterator<Item = Value>,
    pods: impl Fn() -> I,
) -> Result<Backend, ApiError> {
    let name = named.name;
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = match named.port {
        "" if ports.len() == 1 => ports.first(),
        "" => None,
        port => ports.iter().find(|p| p["name"] == port || p["port"].as_u64().is_some_and(|n| port.parse() == Ok(n))),
    };
    let wanted = wanted.ok_or_else(|| ApiError::unavailable(format!("no service port \"{}\" found for service \"{name}\"", named.port)))?;
    let none = || ApiError::unavailable(format!("no endpoints available for service \"{name}\""));
    let mut any = false;
    for slice in slices {
        any = true;
        if let Some(found) = of_slice(&slice, wanted, &pods) {
            return Ok(found);
        }
    }
    if any || !service["spec"]["selector"].is_object() {
        return Err(none());
    }
    let selector = LabelSelector::from_object(&json!({ "matchLabels": service["spec"]["selector"] })).map_err(ApiError::internal)?;
    let entry = pods().find(|pod| ready(pod) && selector.matches(&pod.meta.labels)).ok_or_else(none)?;
    let port = target_port(&entry.parse(), wanted).ok_or_else(none)?;
    Ok(Backend::Pod { entry: entry.clone(), port })
}

fn of_slice<'a, I: Iterator<Item = &'a Arc<Entry>>>(slice: &Value, wanted: &Value, pods: &impl Fn() -> I) -> Option<Backend> {
    let name = wanted["name"].as_str().unwrap_or_default();
    let mut ports = slice["ports"].as_array()?.iter().filter(|p| p["name"].as_str().unwrap_or_default() == name);
    let port = ports.find_map(|p| u16::try_from(p["port"].as_u64()?).ok())?;
    let mut endpoints = slice["endpoints"].as_array()?.iter().filter(|e| e["conditions"]["ready"] != false);
    let endpoint = endpoints.next()?;
    if endpoint["targetRef"]["kind"] == "Pod" {
        let uid = endpoint["targetRef"]["uid"].as_str()?;
        let entry = pods().find(|pod| &*pod.meta.uid == uid)?;
        return Some(Backend::Pod { entry: entry.clone(), port });
    }
    let address = endpoint["addresses"][0].as_str()?.parse().ok()?;
    Some(Backend::Address(SocketAddr::new(address, port)))
}

fn ready(pod: &Entry) -> bool {
    matches!(&pod.light, Light::Pod(light) if light.ready && light.phase == Phase::Running) && pod.meta.deleting.is_none()
}

/// The pod's port behind a service's port: a number, or the name of a container's port.
fn target_port(pod: &Value, port: &Value) -> Option<u16> {
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok().filter(|p| *p > 0);
    match &port["targetPort"] {
        Value::String(name) => {
            let containers = pod["spec"]["containers"].as_array()?.iter();
            let mut declared = containers.filter_map(|c| c["ports"].as_array()).flatten();
            declared.find(|p| p["name"] == name.as_str()).and_then(|p| number(&p["containerPort"]))
        }
        given => number(given).or_else(|| number(&port["port"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let parsed = |text| Named::parse(text).expect("a good name");
        assert_eq!(parsed("a"), Named { scheme: "http", name: "a", port: "" });
        assert_eq!(parsed("a:web"), Named { scheme: "http", name: "a", port: "web" });
        assert_eq!(parsed("https:a:443"), Named { scheme: "https", name: "a", port: "443" });
        assert!(Named::parse("ftp:a:1").is_err() && Named::parse("a:b:c:d").is_err());
    }

    #[test]
    fn ports_are_found_by_number_name_and_declaration() {
        let pod = json!({ "spec": { "containers": [{ "name": "c", "ports": [{ "name": "web", "containerPort": 8080 }] }] } });
        assert_eq!(pod_port(&pod, "").expect("declared"), 8080);
        assert_eq!(pod_port(&pod, "9").expect("given"), 9);
        assert!(pod_port(&pod, "web").is_err());
        assert_eq!(target_port(&pod, &json!({ "port": 80, "targetPort": "web" })), Some(8080));
        assert_eq!(target_port(&pod, &json!({ "port": 80 })), Some(80));
        assert_eq!(target_port(&pod, &json!({ "port": 80, "targetPort": "none" })), None);
    }

    #[test]
    fn a_service_without_endpoints_says_so() {
        let service = json!({ "spec": { "ports": [{ "port": 80 }], "selector": { "a": "b" } } });
        let named = Named::parse("s").expect("a name");
        let found = service_backend(&service, &named, std::iter::empty(), || [].iter());
        assert_eq!(found.err().expect("refused").message, "no endpoints available for service \"s\"");
    }
}
