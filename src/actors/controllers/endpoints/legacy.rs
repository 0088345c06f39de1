//! `v1 Endpoints`: one object beside each service, of its primary address family; and the slices that mirror those made by hand.
use super::service::{Target, headless};
use super::slices::{Group, MANAGED_BY, SERVICE_NAME, ports_key};
use super::trigger::LAST_CHANGE;
use crate::actors::controllers::difference::merge_patch;
use crate::actors::controllers::plan::{Action, Creation, Patch};
use crate::storage::entry::Entry;
use serde_json::{Value, json};
use std::sync::Arc;

pub const ENDPOINTS: &str = "endpoints";
const OWN: &str = "endpoints.kubernetes.io/managed-by";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// The most addresses of one object, as upstream.
const MAX_ADDRESSES: usize = 1000;
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What has to be written so that the Endpoints of a service are right.
pub(super) fn write(
    service: &Entry,
    object: &Value,
    targets: &[Target],
    trigger: Option<String>,
    current: Option<&Arc<Entry>>,
) -> Option<Action> {
    let (subsets, truncated) = subsets(service, object, targets);
    let mut labels = object["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    headless(object, &mut labels);
    labels[OWN] = "endpoint-controller".into();
    let annotation = if truncated { json!("truncated") } else { Value::Null };
    let Some(current) = current else {
        let mut meta = json!({"name": &*service.key.name, "labels": labels});
        if truncated {
            meta["annotations"][OVER_CAPACITY] = annotation;
        }
        if let Some(trigger) = trigger {
            meta["annotations"][LAST_CHANGE] = trigger.into();
        }
        return Some(Action::Create(Creation {
            kind: ENDPOINTS.into(),
            namespace: service.key.namespace.clone(),
            object: json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets}),
            report: None,
        }));
    };
    let old = current.parse();
    let mut patch = json!({});
    if canonical(old["subsets"].as_array().map(Vec::as_slice).unwrap_or_default()) != canonical(&subsets) {
        patch["subsets"] = subsets.into();
    }
    if let Some(change) = merge_patch(&old["metadata"]["labels"], &labels) {
        patch["metadata"]["labels"] = change;
    }
    if old["metadata"]["annotations"][OVER_CAPACITY] != annotation {
        patch["metadata"]["annotations"][OVER_CAPACITY] = annotation;
    }
    (patch != json!({})).then(|| {
        let trigger = trigger.map_or(Value::Null, Value::from);
        if old["metadata"]["annotations"][LAST_CHANGE] != trigger {
            patch["metadata"]["annotations"][LAST_CHANGE] = trigger;
        }
        Action::Patch(Patch {
            kind: ENDPOINTS.into(),
            key: current.key.clone(),
            uid: Some(current.meta.uid.clone()),
            subresource: None,
            patch,
            expect_revision: Some(current.revision),
        })
    })
}

/// Subsets in a form in which equal ones are equal, however they were ordered when they were stored.
fn canonical(subsets: &[Value]) -> Vec<(Vec<String>, Vec<String>)> {
    let addresses = |subset: &Value| {
        let of = |list: &str| {
            let all = subset[list].as_array().into_iter().flatten();
            all.map(|address| format!("{list} {address}")).collect::<Vec<_>>()
        };
        let mut all = of("addresses");
        all.extend(of("notReadyAddresses"));
        all.sort();
        all
    };
    let mut all: Vec<_> = subsets.iter().map(|s| (ports_key(&s["ports"]), addresses(s))).collect();
    all.sort();
    all
}

fn subsets(service: &Entry, object: &Value, targets: &[Target]) -> (Vec<Value>, bool) {
    let spec = &object["spec"];
    let family = spec["ipFamilies"][0].as_str().unwrap_or("IPv4");
    let early = spec["publishNotReadyAddresses"] == true;
    let portless = spec["ports"].as_array().is_none_or(Vec::is_empty);
    let mut subsets: Vec<Value> = Vec::new();
    let usable = targets.iter().filter(|t| early || !t.terminating());
    let mut all: Vec<(&Target, &str)> = usable.filter_map(|t| Some((t, t.address(family)?))).collect();
    // Those that are ready matter most when there are too many.
    all.sort_by_key(|(t, _)| !t.ready);
    let truncated = all.len() > MAX_ADDRESSES;
    all.truncate(MAX_ADDRESSES);
    all.sort_by(|a, b| a.1.cmp(b.1));
    for (target, ip) in all {
        let mut ports = target.ports(object);
        if ports.is_empty() && !portless {
            continue;
        }
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            port.retain(|field, value| !(field == "name" && value == ""));
        }
        let ports: Value = ports.into();
        let at = subsets.iter().position(|s| ports_key(&s["ports"]) == ports_key(&ports)).unwrap_or(subsets.len());
        if at == subsets.len() {
            subsets.push(if portless { json!({}) } else { json!({ "ports": ports }) });
        }
        let mut address = json!({"ip": ip, "targetRef": target.reference()});
        if let Some(node) = target.node() {
            address["nodeName"] = node.into();
        }
        if let Some(hostname) = target.hostname(service) {
            address["hostname"] = hostname.into();
        }
        let list = if early || target.ready { "addresses" } else { "notReadyAddresses" };
        let Some(subset) = subsets.get_mut(at) else { continue };
        match subset[list].as_array_mut() {
            Some(addresses) => addresses.push(address),
            None => subset[list] = json!([address]),
        }
    }
    (subsets, truncated)
}

/// Whether Endpoints are to be mirrored into slices, as far as they say themselves.
pub(super) fn mirrored(endpoints: &Entry, object: &Value) -> bool {
    endpoints.meta.label(SKIP) != Some("true")
        && object["metadata"]["annotations"][LEADER].is_null()
        && endpoints.meta.label(OWN).is_none()
        && endpoints.meta.deleting.is_none()
}

/// The groups that mirror Endpoints.
pub(super) fn mirror(object: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for subset in object["subsets"].as_array().into_iter().flatten() {
        let ports = if subset["ports"].is_null() { json!([]) } else { subset["ports"].clone() };
        for (list, ready) in [("addresses", true), ("notReadyAddresses", false)] {
            for address in subset[list].as_array().into_iter().flatten() {
                let Some(ip) = address["ip"].as_str() else { continue };
                let family = if ip.contains(':') { "IPv6" } else { "IPv4" };
                let mut endpoint = json!({"addresses": [ip], "conditions": {"ready": ready}});
                for field in ["hostname", "nodeName", "targetRef"] {
                    if !address[field].is_null() {
                        endpoint[field] = address[field].clone();
                    }
                }
                match groups.iter_mut().find(|g| g.family == family && ports_key(&g.ports) == ports_key(&ports)) {
                    Some(group) => group.endpoints.push(endpoint),
                    None => groups.push(Group { family, ports: ports.clone(), endpoints: vec![endpoint] }),
                }
            }
        }
    }
    groups
}

/// The labels and annotations of mirroring slices.
pub(super) fn mirror_meta(endpoints: &Entry, object: &Value) -> (Value, Value) {
    let map = |field: &str| Some(object["metadata"][field].clone()).filter(Value::is_object).unwrap_or_else(|| json!({}));
    let (mut labels, mut annotations) = (map("labels"), map("annotations"));
    labels[SERVICE_NAME] = endpoints.key.name.to_string().into();
    labels[MANAGED_BY] = "endpointslicemirroring-controller.k8s.io".into();
    if let Some(map) = annotations.as_object_mut() {
        map.remove(LAST_APPLIED);
        map.remove(LAST_CHANGE);
    }
    (labels, annotations)
}
