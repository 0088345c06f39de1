//! What an object uses of a quota, by upstream's evaluators.
use super::add;
use crate::actors::admission::plugins::limit_ranger::{Amounts, amounts};
use crate::actors::admission::plugins::tolerations::is_extended;
use crate::actors::admission::refusal::{list, text};
use crate::protocol::quantity::{Format, Quantity};
use crate::protocol::validation::aggregated;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds that may be counted by their bare name as well.
const PLAIN: [&str; 7] =
    ["pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"];
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const BY_CLASS: &str = ".storageclass.storage.k8s.io/";

/// `count/deployments.apps`
fn count_name(group: &str, plural: &str) -> String {
    if group.is_empty() { format!("count/{plural}") } else { format!("count/{plural}.{group}") }
}

/// Whether objects of a kind can use something of that name.
pub fn concerns(group: &str, plural: &str, name: &str) -> bool {
    if name == count_name(group, plural) || (group.is_empty() && PLAIN.contains(&plural) && name == plural) {
        return true;
    }
    match (group, plural) {
        ("", "pods") => {
            let bare = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
            COMPUTE.contains(&bare)
                || name.strip_prefix("requests.").unwrap_or(name).starts_with("hugepages-")
                || name.strip_prefix("requests.").is_some_and(is_extended)
        }
        ("", "services") => matches!(name, "services.nodeports" | "services.loadbalancers"),
        ("", "persistentvolumeclaims") => {
            let of_class = name.split_once(BY_CLASS).is_some_and(|(_, rest)| matches!(rest, "requests.storage" | "persistentvolumeclaims"));
            name == "requests.storage" || of_class
        }
        _ => false,
    }
}

/// The kinds, as plural and group, that names in a quota can be about.
pub fn shelves_of<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for name in names {
        let counted = name.strip_prefix("count/").map(|rest| rest.split_once('.').unwrap_or((rest, "")));
        let kind = counted.or_else(|| {
            let special = ["pods", "services", "persistentvolumeclaims"].into_iter().chain(PLAIN);
            special.into_iter().find(|plural| concerns("", plural, name)).map(|plural| (plural, ""))
        });
        found.extend(kind.map(|(plural, group)| (plural.to_string(), group.to_string())));
    }
    found
}

fn one() -> Quantity {
    Quantity::from_units(1, Format::DecimalSi)
}

/// What an object uses.
pub fn usage(group: &str, plural: &str, object: &Value) -> Amounts {
    let mut used = Amounts::from([(count_name(group, plural), one())]);
    if !group.is_empty() {
        return used;
    }
    match plural {
        // What has come to its end uses nothing; it is still counted as an object.
        "pods" if matches!(text(&object["status"], "phase"), "Succeeded" | "Failed") => {}
        "pods" => used.extend(compute(&pod_total(&object["spec"], "requests"), &pod_total(&object["spec"], "limits"))),
        "services" => used.extend(service(object)),
        "persistentvolumeclaims" => used.extend(claim(object)),
        _ if PLAIN.contains(&plural) => drop(used.insert(plural.into(), one())),
        _ => {}
    }
    used
}

/// Requests and limits under the names that quotas use.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::from([("pods".to_string(), one())]);
    for (name, quantity) in requests {
        if COMPUTE.contains(&name.as_str()) || name.starts_with("hugepages-") {
            used.insert(name.clone(), *quantity);
            used.insert(format!("requests.{name}"), *quantity);
        } else if is_extended(name) {
            used.insert(format!("requests.{name}"), *quantity);
        }
    }
    for (name, quantity) in limits.iter().filter(|(name, _)| COMPUTE.contains(&name.as_str())) {
        used.insert(format!("limits.{name}"), *quantity);
    }
    used
}

/// What a pod asks for as a whole: by its containers, or by what it says for itself; and what it costs besides.
fn pod_total(spec: &Value, kind: &str) -> Amounts {
    let mut total = pod_demand(spec, kind);
    for (name, quantity) in amounts(&spec["overhead"]) {
        if kind == "requests" || total.contains_key(&name) {
            total = add(&total, &Amounts::from([(name, quantity)]));
        }
    }
    total
}

/// The same without the overhead.
pub fn pod_demand(spec: &Value, kind: &str) -> Amounts {
    let mut total = aggregated(spec, kind);
    // What the pod says for itself counts instead.
    total.extend(amounts(&spec["resources"][kind]));
    total
}

fn service(service: &Value) -> Amounts {
    let spec = &service["spec"];
    let ports = list(spec, "ports");
    let kind = text(spec, "type");
    let node_ports = match kind {
        "NodePort" => ports.len(),
        "LoadBalancer" if spec["allocateLoadBalancerNodePorts"] == false => {
            ports.iter().filter(|p| p["nodePort"].as_i64().unwrap_or(0) != 0).count()
        }
        "LoadBalancer" => ports.len(),
        _ => 0,
    };
    let number = |n: usize| Quantity::from_units(i64::try_from(n).unwrap_or(i64::MAX), Format::DecimalSi);
    Amounts::from([
        ("services".to_string(), one()),
        ("services.nodeports".to_string(), number(node_ports)),
        ("services.loadbalancers".to_string(), number(usize::from(kind == "LoadBalancer"))),
    ])
}

fn claim(claim: &Value) -> Amounts {
    let mut used = Amounts::from([("persistentvolumeclaims".to_string(), one())]);
    let annotated = text(&claim["metadata"]["annotations"], "volume.beta.kubernetes.io/storage-class");
    let class = if annotated.is_empty() { text(&claim["spec"], "storageClassName") } else { annotated };
    if !class.is_empty() {
        used.insert(format!("{class}{BY_CLASS}persistentvolumeclaims"), one());
    }
    let size = |object: &Value| text(object, "storage").parse::<Quantity>().ok();
    let asked = size(&claim["spec"]["resources"]["requests"]);
    let allocated = size(&claim["status"]["allocatedResources"]);
    let storage = match (asked, allocated) {
        (Some(asked), Some(allocated)) if allocated.compare(&asked).is_gt() => Some(allocated),
        (asked, _) => asked,
    };
    if let Some(storage) = storage {
        // Whole bytes.
        let storage = if storage.is_whole() { storage } else { Quantity::from_units(storage.value(), storage.format()) };
        used.insert("requests.storage".into(), storage);
        if !class.is_empty() {
            used.insert(format!("{class}{BY_CLASS}requests.storage"), storage);
        }
    }
    used
}

/// Where cpu or memory is counted, every container has to say how much it wants.
pub fn constraints(plural: &str, names: &[&str], pod: &Value) -> Result<(), String> {
    if plural != "pods" || pod["spec"]["resources"].is_object() {
        return Ok(());
    }
    let required = names.iter().filter(|name| {
        let bare = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
        matches!(bare, "cpu" | "memory")
    });
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for name in required {
        for container in list(&pod["spec"], "containers").iter().chain(list(&pod["spec"], "initContainers")) {
            let resources = &container["resources"];
            let said = compute(&amounts(&resources["requests"]), &amounts(&resources["limits"]));
            if !said.contains_key(*name) {
                missing.entry(name).or_default().insert(text(container, "name"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let say =
        |(name, containers): (&&str, &BTreeSet<&str>)| format!("{name} for: {}", containers.iter().copied().collect::<Vec<_>>().join(","));
    Err(format!("must specify {}", missing.iter().map(say).collect::<Vec<_>>().join("; ")))
}
