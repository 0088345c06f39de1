//! The endpoints of a service: its pods, by address family and ports.
use super::slices::{Group, MANAGED_BY, SERVICE_NAME, ports_key};
use super::topology;
use crate::actors::controllers::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";
const ZONE: &str = "topology.kubernetes.io/zone";

/// A pod that has an address and has not ended.
pub(super) struct Target {
    pub entry: Arc<Entry>,
    pub body: Value,
    pub ready: bool,
}

impl Target {
    pub fn of(entry: &Arc<Entry>) -> Option<Target> {
        let Light::Pod(light) = &entry.light else { return None };
        let there = !light.phase.finished() && !light.pod_ip.is_empty();
        there.then(|| Target { entry: entry.clone(), body: entry.parse(), ready: light.ready })
    }

    pub fn terminating(&self) -> bool {
        self.entry.meta.deleting.is_some()
    }

    /// The pod's address of a family.
    pub fn address(&self, family: &str) -> Option<&str> {
        let status = &self.body["status"];
        let several = status["podIPs"].as_array().into_iter().flatten().filter_map(|ip| ip["ip"].as_str());
        let mut all = several.chain(status["podIP"].as_str());
        all.find(|ip| ip.contains(':') == (family == "IPv6"))
    }

    /// The service's ports as this pod has them; named ones that it lacks are left out.
    pub fn ports(&self, service: &Value) -> Vec<Value> {
        service["spec"]["ports"].as_array().into_iter().flatten().filter_map(|port| self.port(port)).collect()
    }

    fn port(&self, port: &Value) -> Option<Value> {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let number = match &port["targetPort"] {
            Value::String(name) => self.named(name, protocol)?,
            Value::Null => port["port"].as_i64()?,
            number => number.as_i64()?,
        };
        let mut found = json!({"name": port["name"].as_str().unwrap_or_default(), "port": number, "protocol": protocol});
        if let Some(application) = port["appProtocol"].as_str() {
            found["appProtocol"] = application.into();
        }
        Some(found)
    }

    fn named(&self, name: &str, protocol: &str) -> Option<i64> {
        let spec = &self.body["spec"];
        let sidecars = spec["initContainers"].as_array().into_iter().flatten().filter(|c| c["restartPolicy"] == "Always");
        let containers = spec["containers"].as_array().into_iter().flatten().chain(sidecars);
        let mut ports = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
        ports.find(|p| p["name"] == name && p["protocol"].as_str().unwrap_or("TCP") == protocol)?["containerPort"].as_i64()
    }

    pub fn reference(&self) -> Value {
        let key = &self.entry.key;
        json!({"kind": "Pod", "namespace": &*key.namespace, "name": &*key.name, "uid": &*self.entry.meta.uid})
    }

    /// The name that the pod has below the service's.
    pub fn hostname(&self, service: &Entry) -> Option<&str> {
        let spec = &self.body["spec"];
        spec["hostname"].as_str().filter(|name| !name.is_empty() && spec["subdomain"] == *service.key.name)
    }

    pub fn node(&self) -> Option<&str> {
        self.body["spec"]["nodeName"].as_str().filter(|n| !n.is_empty())
    }
}

/// What the slices of a service shall say.
pub(super) fn groups(service: &Entry, object: &Value, targets: &[Target], world: &dyn World) -> Vec<Group> {
    let spec = &object["spec"];
    let named = spec["ipFamilies"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut families: Vec<&'static str> = named.map(|f| if f == "IPv6" { "IPv6" } else { "IPv4" }).collect();
    if families.is_empty() {
        families.push("IPv4");
    }
    let mut groups: Vec<Group> = Vec::new();
    for family in families {
        let start = groups.len();
        for target in targets {
            let Some(address) = target.address(family) else { continue };
            let ports: Value = target.ports(object).into();
            let endpoint = endpoint(service, spec, target, address, world);
            let alike = groups.iter_mut().skip(start).find(|g| ports_key(&g.ports) == ports_key(&ports));
            match alike {
                Some(group) => group.endpoints.push(endpoint),
                None => groups.push(Group { family, ports, endpoints: vec![endpoint] }),
            }
        }
        if topology::wanted(object) {
            let mut all: Vec<&mut Value> = groups.iter_mut().skip(start).flat_map(|group| &mut group.endpoints).collect();
            topology::share_out(&mut all, world);
        }
        // Nobody there: one slice says so.
        if groups.len() == start {
            groups.push(Group { family, ports: json!([]), endpoints: Vec::new() });
        }
    }
    groups
}

fn endpoint(service: &Entry, spec: &Value, target: &Target, address: &str, world: &dyn World) -> Value {
    let early = spec["publishNotReadyAddresses"] == true;
    let ready = early || (target.ready && !target.terminating());
    let mut endpoint = json!({
        "addresses": [address],
        "conditions": {"ready": ready, "serving": target.ready, "terminating": target.terminating()},
        "targetRef": target.reference(),
    });
    if let Some(hostname) = target.hostname(service) {
        endpoint["hostname"] = hostname.into();
    }
    let Some(node) = target.node() else { return endpoint };
    endpoint["nodeName"] = node.into();
    let zone = world.get("nodes", &ObjectKey::new("", node)).and_then(|n| n.meta.label(ZONE).map(str::to_string));
    if let Some(hints) = hints(spec["trafficDistribution"].as_str(), node, zone.as_deref()).filter(|_| ready) {
        endpoint["hints"] = hints;
    }
    if let Some(zone) = zone {
        endpoint["zone"] = zone.into();
    }
    endpoint
}

/// Whom an endpoint is for: clients of its zone, or of its node and then of its zone, as far as they are known.
fn hints(distribution: Option<&str>, node: &str, zone: Option<&str>) -> Option<Value> {
    let zones = zone.map(|zone| json!([{ "name": zone }]));
    match distribution? {
        "PreferClose" | "PreferSameZone" => zones.map(|zones| json!({ "forZones": zones })),
        "PreferSameNode" => {
            let mut hints = json!({"forNodes": [{ "name": node }]});
            if let Some(zones) = zones {
                hints["forZones"] = zones;
            }
            Some(hints)
        }
        _ => None,
    }
}

/// The labels of a service's slices: its own, and those that say whose they are.
pub(super) fn labels(service: &Entry, object: &Value) -> Value {
    let mut labels = object["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    headless(object, &mut labels);
    labels[SERVICE_NAME] = service.key.name.to_string().into();
    labels[MANAGED_BY] = "endpointslice-controller.k8s.io".into();
    labels
}

pub(super) fn headless(object: &Value, labels: &mut Value) {
    if object["spec"]["clusterIP"] == "None" {
        labels[HEADLESS] = "".into();
    } else if let Some(map) = labels.as_object_mut() {
        map.remove(HEADLESS);
    }
}
