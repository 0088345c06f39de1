//! Where the pods behind a Service are, and the way to them.
use crate::actors::admission::refusal::{list, text};
use crate::actors::aggregation::{Dial, Duplex};
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::selector::LabelSelector;
use crate::storage::Shelves;
use async_trait::async_trait;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;

/// Services of this cluster. They are found by EndpointSlices, Endpoints, and at last by the pods that they select; and reached by the
/// connection of a pod's node, or straight where that does not lead to it.
pub struct ClusterServices {
    shelves: Arc<Shelves>,
    dial: OnceLock<Arc<dyn Dial>>,
}

impl ClusterServices {
    pub fn new(shelves: Arc<Shelves>) -> Self {
        ClusterServices { shelves, dial: OnceLock::new() }
    }

    /// Who knows the way through nodes. Until this is said, pods are only reached where the server has a route to them.
    pub fn dial_by(&self, dial: Arc<dyn Dial>) {
        let _ = self.dial.set(dial);
    }

    fn service(&self, namespace: &str, name: &str) -> Result<Value, String> {
        let held = self.shelves.shelf("services").snapshot().get(&ObjectKey::new(namespace, name)).cloned();
        Ok(held.ok_or_else(|| format!("service \"{name}\" not found"))?.parse())
    }

    /// Addresses that are ready, best first, or why there are none, in upstream's words.
    fn resolve(&self, service: &Value, namespace: &str, name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let found = list(&service["spec"], "ports").iter().find(|p| p["port"].as_u64() == Some(u64::from(port)));
        let found = found.ok_or_else(|| format!("no service port {port} found for service \"{name}\""))?;
        let port_name = text(found, "name");
        let mut places = self.by_slices(namespace, name, port_name);
        if places.is_empty() {
            places = self.by_endpoints(&ObjectKey::new(namespace, name), port_name);
        }
        if places.is_empty() {
            places = self.by_pods(namespace, service, found);
        }
        if places.is_empty() {
            return Err(format!("no endpoints available for service \"{name}\""));
        }
        Ok(places)
    }

    fn by_slices(&self, namespace: &str, name: &str, port: &str) -> Vec<SocketAddr> {
        let snapshot = self.shelves.shelf("endpointslices.discovery.k8s.io").snapshot();
        let of_service = snapshot.iter_namespace(namespace).filter(|e| e.meta.label("kubernetes.io/service-name") == Some(name));
        let mut found = Vec::new();
        for slice in of_service.map(|entry| entry.parse()) {
            let Some(number) = port_number(list(&slice, "ports"), port) else { continue };
            let ready = list(&slice, "endpoints").iter().filter(|e| e["conditions"]["ready"] != false);
            found.extend(ready.flat_map(|e| list(e, "addresses")).filter_map(|ip| address(ip, number)));
        }
        found
    }

    fn by_endpoints(&self, key: &ObjectKey, port: &str) -> Vec<SocketAddr> {
        let Some(entry) = self.shelves.shelf("endpoints").snapshot().get(key).cloned() else { return Vec::new() };
        let mut found = Vec::new();
        for subset in list(&entry.parse(), "subsets") {
            let Some(number) = port_number(list(subset, "ports"), port) else { continue };
            found.extend(list(subset, "addresses").iter().filter_map(|a| address(&a["ip"], number)));
        }
        found
    }

    fn by_pods(&self, namespace: &str, service: &Value, port: &Value) -> Vec<SocketAddr> {
        let Ok(selector) = LabelSelector::from_map(&service["spec"]["selector"]) else { return Vec::new() };
        let snapshot = self.shelves.shelf("pods").snapshot();
        let selected = snapshot.iter_namespace(namespace).filter(|e| e.meta.deleting.is_none() && selector.matches(&e.meta.labels));
        let target = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
        let place = |entry: &Arc<crate::storage::Entry>| {
            let Light::Pod(pod) = &entry.light else { return None };
            let ip: IpAddr = pod.pod_ip.parse().ok().filter(|_| pod.ready)?;
            let number = match target {
                Value::String(name) => named_port(&entry.parse(), name)?,
                number => number.as_u64()?,
            };
            Some(SocketAddr::new(ip, u16::try_from(number).ok()?))
        };
        selected.filter_map(place).collect()
    }
}

fn port_number(ports: &[Value], name: &str) -> Option<u16> {
    let found = ports.iter().find(|p| text(p, "name") == name)?;
    found["port"].as_u64().and_then(|p| u16::try_from(p).ok())
}

fn address(ip: &Value, port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::new(ip.as_str()?.parse().ok()?, port))
}

fn named_port(pod: &Value, name: &str) -> Option<u64> {
    let ports = list(&pod["spec"], "containers").iter().flat_map(|c| list(c, "ports"));
    ports.into_iter().find(|p| text(p, "name") == name)?["containerPort"].as_u64()
}

#[async_trait]
impl Dial for ClusterServices {
    async fn dial(&self, namespace: &str, name: &str, port: u16) -> Result<Box<dyn Duplex>, String> {
        let service = self.service(namespace, name)?;
        if service["spec"]["type"] == "ExternalName" {
            let host = text(&service["spec"], "externalName");
            let stream = TcpStream::connect((host, port)).await.map_err(|e| format!("dial tcp {host}:{port}: {e}"))?;
            return Ok(Box::new(stream));
        }
        let places = self.resolve(&service, namespace, name, port)?;
        let mut refused = None;
        if let Some(dial) = self.dial.get() {
            match dial.dial(namespace, name, port).await {
                Ok(stream) => return Ok(stream),
                Err(why) => refused = Some(why),
            }
        }
        let stream = TcpStream::connect(&places[..]).await;
        let stream = stream.map_err(|e| refused.unwrap_or_else(|| format!("dial tcp {name}.{namespace}.svc:{port}: {e}")))?;
        // A review is one write; waiting for more would only cost time.
        let _ = stream.set_nodelay(true);
        Ok(Box::new(stream))
    }
}
