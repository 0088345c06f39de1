//! The annotation `service.kubernetes.io/topology-mode: Auto`: endpoints are shared out among the zones by the processors of their
//! nodes, each to its own zone as far as that is fair. Where it can't be fair, nobody is told anything.
use crate::actors::controllers::world::World;
use crate::protocol::light::Light;
use crate::storage::entry::Entry;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The annotation, and the one that it had before.
const MODES: [&str; 2] = ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"];
const ZONE: &str = "topology.kubernetes.io/zone";
/// Nodes with these do not count.
const APART: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
/// How much more than its share the endpoints of a zone may get to do.
const OVERLOAD: f64 = 0.2;

/// Whether a service wants its endpoints shared out.
pub(super) fn wanted(service: &Value) -> bool {
    let said = MODES.iter().find_map(|mode| service["metadata"]["annotations"][*mode].as_str());
    matches!(said, Some("Auto" | "auto"))
}

/// Whether a service may want it; asked for many, so it is not parsed.
pub(super) fn may_be_wanted(service: &Entry) -> bool {
    std::str::from_utf8(&service.body).is_ok_and(|text| MODES.iter().any(|mode| text.contains(mode)))
}

/// The part of a node that matters here: its zone and its processors, thousandths. `None`: it does not count.
pub(super) fn weight(node: &Entry) -> Option<(Option<&str>, i64)> {
    let Light::Node(light) = &node.light else { return None };
    let counts = light.ready && APART.iter().all(|label| node.meta.label(label).is_none());
    counts.then(|| (node.meta.label(ZONE).filter(|zone| !zone.is_empty()), light.cpu_milli))
}

/// The share of each zone in all processors; `None` when one node does not tell, or there is but one zone.
fn shares(world: &dyn World) -> Option<BTreeMap<String, f64>> {
    let mut zones: BTreeMap<String, i64> = BTreeMap::new();
    for node in world.list("nodes", None) {
        let Some((zone, cpu)) = weight(&node) else { continue };
        *zones.entry(zone.filter(|_| cpu > 0)?.to_string()).or_default() += cpu;
    }
    let total: i64 = zones.values().sum();
    (zones.len() > 1).then(|| zones.into_iter().map(|(zone, cpu)| (zone, cpu as f64 / total as f64)).collect())
}

/// Sets the hints of all endpoints of one address family, or takes them away.
pub(super) fn share_out(endpoints: &mut [&mut Value], world: &dyn World) {
    let assigned = assign(endpoints, world).unwrap_or_default();
    for (at, endpoint) in endpoints.iter_mut().enumerate() {
        match assigned.get(&at) {
            Some(zone) => endpoint["hints"] = json!({"forZones": [{ "name": zone }]}),
            None => drop(endpoint.as_object_mut().and_then(|members| members.remove("hints"))),
        }
    }
}

/// The zone of each endpoint that is ready, by its place.
fn assign(endpoints: &[&mut Value], world: &dyn World) -> Option<BTreeMap<usize, String>> {
    let shares = shares(world)?;
    let ready: Vec<(usize, &str)> = endpoints
        .iter()
        .enumerate()
        .filter(|(_, endpoint)| endpoint["conditions"]["ready"] == true)
        .map(|(at, endpoint)| Some((at, endpoint["zone"].as_str()?)))
        .collect::<Option<_>>()?;
    let wishes = wishes(&shares, ready.len())?;
    let mut held: BTreeMap<&str, f64> = wishes.keys().map(|zone| (*zone, 0.0)).collect();
    for (_, zone) in &ready {
        *held.entry(zone).or_default() += 1.0;
    }
    let (mut giving, mut receiving) = moves(&wishes, &held);
    let mut assigned = BTreeMap::new();
    for (at, zone) in ready {
        let goes = giving.get_mut(zone).filter(|count| **count > 0);
        let to = goes.and_then(|count| {
            let (to, left) = receiving.iter_mut().max_by_key(|(_, left)| **left).filter(|(_, left)| **left > 0)?;
            (*count, *left) = (*count - 1, *left - 1);
            Some(*to)
        });
        assigned.insert(at, to.unwrap_or(zone).to_string());
    }
    Some(assigned)
}

/// How many endpoints each zone should have; `None` when so few can't be shared out without one zone having too much to do.
fn wishes(shares: &BTreeMap<String, f64>, count: usize) -> Option<BTreeMap<&str, f64>> {
    if shares.len() > count {
        return None;
    }
    let mut left = count as f64;
    let mut wishes = BTreeMap::new();
    for (zone, share) in shares {
        let desired = share * count as f64;
        let least = (desired / (1.0 + OVERLOAD)).ceil();
        left -= least;
        wishes.insert(zone.as_str(), desired.max(least));
    }
    (left >= 0.0).then_some(wishes)
}

type Moves<'a> = BTreeMap<&'a str, i64>;

/// How many endpoints zones with too many give, and zones with too few get.
fn moves<'a>(wishes: &BTreeMap<&'a str, f64>, held: &BTreeMap<&'a str, f64>) -> (Moves<'a>, Moves<'a>) {
    let over = |(zone, has): (&&'a str, &f64)| (*zone, has - wishes.get(zone).copied().unwrap_or_default());
    let balance: Vec<(&str, f64)> = held.iter().map(over).collect();
    let mut spare: BTreeMap<&str, f64> = balance.iter().filter(|(_, n)| *n > 0.0).copied().collect();
    let mut lacking: BTreeMap<&str, f64> = balance.iter().filter(|(_, n)| *n < 0.0).map(|(zone, n)| (*zone, -n)).collect();
    let (mut giving, mut receiving) = (Moves::new(), Moves::new());
    while let (Some((from, gives)), Some((to, gets))) = (most(&mut spare), most(&mut lacking)) {
        if (*gives < 1.0 && *gets < 1.0) || *gives < 0.5 || *gets < 0.5 {
            break;
        }
        (*gives, *gets) = (*gives - 1.0, *gets - 1.0);
        *giving.entry(from).or_default() += 1;
        *receiving.entry(to).or_default() += 1;
    }
    (giving, receiving)
}

fn most<'a, 'b>(amounts: &'b mut BTreeMap<&'a str, f64>) -> Option<(&'a str, &'b mut f64)> {
    amounts.iter_mut().max_by(|a, b| a.1.total_cmp(b.1)).map(|(zone, amount)| (*zone, amount))
}
