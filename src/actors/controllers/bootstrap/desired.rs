//! The objects that a cluster has from the start, computed from its settings.
use crate::actors::kinds::flowcontrol::bootstrap as flowcontrol;
use crate::protocol::meta::ObjectKey;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// What the objects depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The services' address range: `10.96.0.0/16`.
    pub service_range: String,
    /// Its first address, which the service `kubernetes` has.
    pub service_address: Ipv4Addr,
    /// Where the API server is reached from a pod.
    pub api_addresses: Vec<IpAddr>,
    pub api_port: u16,
    /// The CA of client certificates, PEM.
    pub client_ca: String,
    /// The request-header CA, PEM, and whom of it extension API servers believe.
    pub request_header_ca: String,
    pub request_header_name: String,
}

/// What is done about an object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Present,
    /// Its fields get the wanted values; others stay.
    Fields,
    /// It is put back to exactly what is wanted.
    Exact,
    /// The same, until people take it over.
    Suggested,
}

/// An object that is to be there.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    pub shelf: &'static str,
    pub key: ObjectKey,
    pub object: Value,
    pub keep: Keep,
    /// The top-level fields that are compared.
    pub fields: &'static [&'static str],
}

const NAME: &str = "kubernetes";
const HTTPS: &str = "https";

/// Every object, in the order that they are needed in.
pub fn desired(settings: &Settings) -> Vec<Desired> {
    let mut all = vec![
        priority_class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        priority_class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        of("servicecidrs.networking.k8s.io", "", service_range(settings), Keep::Present, &[]),
        of("services", "default", service(settings), Keep::Fields, &["spec"]),
        of("endpoints", "default", endpoints(settings), Keep::Exact, &["subsets"]),
        of("endpointslices.discovery.k8s.io", "default", slice(settings), Keep::Exact, &["endpoints", "ports"]),
        of("configmaps", "kube-system", authentication(settings), Keep::Fields, &["data"]),
    ];
    let levels = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io";
    let schemas = "flowschemas.flowcontrol.apiserver.k8s.io";
    let mut add = |shelf, objects: Vec<Value>, keep| {
        // The shares of the level `exempt` are for people to choose; what else there is of mandatory objects cannot be changed.
        all.extend(objects.into_iter().map(|object| of(shelf, "", object, keep, &["spec"])));
    };
    add(levels, flowcontrol::mandatory_priority_levels(), Keep::Present);
    add(levels, flowcontrol::suggested_priority_levels(), Keep::Suggested);
    add(schemas, flowcontrol::mandatory_flow_schemas(), Keep::Present);
    add(schemas, flowcontrol::suggested_flow_schemas(), Keep::Suggested);
    all
}

fn of(shelf: &'static str, namespace: &str, object: Value, keep: Keep, fields: &'static [&'static str]) -> Desired {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Desired { shelf, key: ObjectKey::new(namespace, name), object, keep, fields }
}

fn priority_class(name: &str, value: i64, description: &str) -> Desired {
    let object = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
        "value": value, "description": description,
    });
    of("priorityclasses.scheduling.k8s.io", "", object, Keep::Present, &[])
}

fn service_range(settings: &Settings) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": NAME},
        "spec": {"cidrs": [settings.service_range]},
    })
}

fn service(settings: &Settings) -> Value {
    let address = settings.service_address.to_string();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": NAME, "namespace": "default", "labels": {"component": "apiserver", "provider": NAME}},
        "spec": {
            "type": "ClusterIP", "sessionAffinity": "None", "clusterIP": address, "clusterIPs": [address],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": HTTPS, "port": 443, "protocol": "TCP", "targetPort": settings.api_port}],
        },
    })
}

/// By what extension API servers recognise users that come straight to them, and this server when it speaks for others.
fn authentication(settings: &Settings) -> Value {
    let list = |name: &str| json!([name]).to_string();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": settings.client_ca,
            "requestheader-allowed-names": list(&settings.request_header_name),
            "requestheader-client-ca-file": settings.request_header_ca,
            "requestheader-extra-headers-prefix": list("X-Remote-Extra-"),
            "requestheader-group-headers": list("X-Remote-Group"),
            "requestheader-uid-headers": list("X-Remote-Uid"),
            "requestheader-username-headers": list("X-Remote-User"),
        },
    })
}

/// The addresses as texts, in one order whatever order they were given in.
fn addresses(settings: &Settings) -> Vec<String> {
    let mut addresses = settings.api_addresses.clone();
    addresses.sort();
    addresses.dedup();
    addresses.into_iter().filter(IpAddr::is_ipv4).map(|a| a.to_string()).collect()
}

fn port(settings: &Settings) -> Value {
    json!([{"name": HTTPS, "port": settings.api_port, "protocol": "TCP"}])
}

fn endpoints(settings: &Settings) -> Value {
    let addresses: Vec<Value> = addresses(settings).into_iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": NAME, "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": addresses, "ports": port(settings)}],
    })
}

fn slice(settings: &Settings) -> Value {
    let endpoint = |ip: String| json!({"addresses": [ip], "conditions": {"ready": true}});
    let endpoints: Vec<Value> = addresses(settings).into_iter().map(endpoint).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": "default", "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4", "endpoints": endpoints, "ports": port(settings),
    })
}
