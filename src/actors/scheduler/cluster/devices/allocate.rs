//! Which devices a pod's claims get on a node.
use super::{Alike, Claim, Condition, Device, Devices, Place};
use crate::actors::scheduler::terms::tolerated;
use crate::protocol::cel::{Budget, CONDITIONS_BUDGET, Fault};
use crate::protocol::meta::{Meta, ObjectKey};
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

/// Devices that one claim can have.
const RESULTS_MAX: usize = 32;
/// Choices that are tried for a node; beyond that it counts as full.
const STEPS_MAX: usize = 10_000;

/// What one claim of a pod is to be given.
#[derive(Clone, Debug)]
pub struct Want {
    pub key: ObjectKey,
    requests: Vec<Wanted>,
    alike: Vec<Alike>,
}

#[derive(Clone, Debug)]
struct Wanted {
    name: Arc<str>,
    count: Option<usize>,
    /// Devices anywhere that will do, and whether nobody has them.
    candidates: Vec<(Arc<Device>, bool)>,
}

/// What one claim gets: the request and its device.
pub type Choice = Vec<(Arc<str>, Arc<Device>)>;

impl Devices {
    /// The devices that a claim's requests allow, wherever they are.
    ///
    /// # Errors
    /// Why no node will do, in upstream's words.
    pub fn want(&self, key: &ObjectKey, claim: &Claim) -> Result<Want, String> {
        if let Some(why) = &claim.refused {
            return Err(why.clone());
        }
        let mut requests = Vec::new();
        for request in &claim.requests {
            let (name, class) = (&request.name, &request.class);
            let Some(known) = self.classes.get(class) else {
                return Err(format!("request {name}: device class {class} does not exist"));
            };
            let mut candidates = Vec::new();
            for device in self.offered().filter(|device| !device.special) {
                let kept_off =
                    device.taints.iter().any(|t| matches!(&*t.effect, "NoSchedule" | "NoExecute") && !tolerated(&request.tolerations, t));
                let class_says = all_hold(&known.selectors, device).map_err(|why| format!("class {class}: {why}"))?;
                if !kept_off && class_says && all_hold(&request.selectors, device).map_err(|why| format!("claim {key}: {why}"))? {
                    candidates.push((device.clone(), self.is_free(&device.id)));
                }
            }
            requests.push(Wanted { name: name.clone(), count: request.count, candidates });
        }
        Ok(Want { key: key.clone(), requests, alike: claim.alike.clone() })
    }
}

fn all_hold(conditions: &[Condition], device: &Device) -> Result<bool, String> {
    for (at, condition) in conditions.iter().enumerate() {
        let program = condition.as_ref().map_err(|why| format!("selector #{at}: {why}"))?;
        match program.evaluate_bool(&device.variables, &mut Budget::new(CONDITIONS_BUDGET)) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // A domain of which the device says nothing.
            Err(Fault::NoSuchKey(key)) if key.contains('.') => return Ok(false),
            Err(fault) => return Err(format!("selector #{at}: runtime error: {fault}")),
        }
    }
    Ok(true)
}

/// One device that has to be found.
struct Unit {
    claim: usize,
    request: usize,
    usable: Rc<Vec<Arc<Device>>>,
}

struct Search<'a> {
    wants: &'a [Want],
    units: Vec<Unit>,
    picked: Vec<Arc<Device>>,
    steps: usize,
}

/// What each claim gets on a node, all or nothing: the first choice that fits, in the order in which devices are offered.
pub fn choose(wants: &[Want], node: &str, meta: &Meta) -> Option<Vec<Choice>> {
    let mut search = Search { wants, units: Vec::new(), picked: Vec::new(), steps: 0 };
    for (claim, want) in wants.iter().enumerate() {
        let before = search.units.len();
        for (request, wanted) in want.requests.iter().enumerate() {
            let here: Vec<&(Arc<Device>, bool)> = wanted.candidates.iter().filter(|(d, _)| d.place.reaches(node, meta)).collect();
            // Who wants all gets all, or nothing.
            if wanted.count.is_none() && (here.is_empty() || here.iter().any(|(_, free)| !free)) {
                return None;
            }
            let usable: Rc<Vec<Arc<Device>>> = Rc::new(here.into_iter().filter(|(_, free)| *free).map(|(d, _)| d.clone()).collect());
            let count = wanted.count.unwrap_or(usable.len());
            if count > usable.len() || count > RESULTS_MAX {
                return None;
            }
            search.units.extend((0..count).map(|_| Unit { claim, request, usable: usable.clone() }));
        }
        if search.units.len() - before > RESULTS_MAX {
            return None;
        }
    }
    search.pick(0, 0).then(|| search.choices())
}

impl Search<'_> {
    /// Finds devices for this unit and those after it; of one request they come in order.
    fn pick(&mut self, at: usize, from: usize) -> bool {
        let Some(unit) = self.units.get(at) else { return true };
        let (place, usable) = ((unit.claim, unit.request), unit.usable.clone());
        let goes_on = self.units.get(at + 1).is_some_and(|next| (next.claim, next.request) == place);
        for (index, device) in usable.iter().enumerate().skip(from) {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return false;
            }
            if self.picked.iter().any(|other| other.id == device.id) || !self.agrees(place, device) {
                continue;
            }
            self.picked.push(device.clone());
            if self.pick(at + 1, if goes_on { index + 1 } else { 0 }) {
                return true;
            }
            self.picked.pop();
        }
        false
    }

    /// Whether the device is like those picked before where it has to be.
    fn agrees(&self, (claim, request): (usize, usize), device: &Device) -> bool {
        let Some(want) = self.wants.get(claim) else { return false };
        let name = |request: usize| want.requests.get(request).map(|r| &*r.name).unwrap_or_default();
        let covers = |alike: &Alike, request: usize| alike.requests.is_empty() || alike.requests.iter().any(|r| r == name(request));
        want.alike.iter().filter(|alike| covers(alike, request)).all(|alike| {
            let mine = attribute(device, &alike.attribute);
            let others = self.units.iter().zip(&self.picked).filter(|(u, _)| u.claim == claim && covers(alike, u.request));
            mine.is_some() && others.into_iter().all(|(_, other)| attribute(other, &alike.attribute) == mine)
        })
    }

    fn choices(self) -> Vec<Choice> {
        let mut choices: Vec<Choice> = self.wants.iter().map(|_| Vec::new()).collect();
        for (unit, device) in self.units.iter().zip(self.picked) {
            let name = self.wants.get(unit.claim).and_then(|w| w.requests.get(unit.request)).map(|r| r.name.clone());
            if let (Some(choice), Some(name)) = (choices.get_mut(unit.claim), name) {
                choice.push((name, device));
            }
        }
        choices
    }
}

/// An attribute by its full name; without its domain when that is the driver's own.
fn attribute<'a>(device: &'a Device, name: &str) -> Option<&'a Value> {
    let own = name.split_once('/').filter(|(domain, _)| *domain == &*device.id.driver).map(|(_, short)| short);
    device.attributes.get(name).or_else(|| device.attributes.get(own?))
}

/// `status.allocation` of a claim for a choice on a node.
pub fn allocation(choice: &Choice, claim: &Claim, devices: &Devices) -> Value {
    let results: Vec<Value> = choice
        .iter()
        .map(|(request, d)| json!({"request": &**request, "driver": &*d.id.driver, "pool": &*d.id.pool, "device": &*d.id.device}))
        .collect();
    let mut config: Vec<Value> = Vec::new();
    for request in &claim.requests {
        for given in devices.classes.get(&request.class).iter().flat_map(|class| &class.config) {
            let mut given = given.clone();
            given["source"] = "FromClass".into();
            given["requests"] = json!([&*request.name]);
            config.push(given);
        }
    }
    for given in &claim.config {
        let mut given = given.clone();
        given["source"] = "FromClaim".into();
        config.push(given);
    }
    let mut made = json!({ "devices": { "results": results } });
    if !config.is_empty() {
        made["devices"]["config"] = config.into();
    }
    if let Some(selector) = node_selector(choice) {
        made["nodeSelector"] = selector;
    }
    made
}

/// The nodes that can use all of the devices.
fn node_selector(choice: &Choice) -> Option<Value> {
    let mut expressions: Vec<Value> = Vec::new();
    let mut fields: Vec<Value> = Vec::new();
    for (_, device) in choice {
        let (more, of): (Vec<Value>, &mut Vec<Value>) = match &device.place {
            Place::Everywhere => continue,
            Place::Node(node) => (vec![json!({"key": "metadata.name", "operator": "In", "values": [&**node]})], &mut fields),
            // Slices have exactly one term.
            Place::Nodes(_, said) => {
                let term = &said["nodeSelectorTerms"][0];
                (term["matchExpressions"].as_array().cloned().unwrap_or_default(), &mut expressions)
            }
        };
        for requirement in more {
            if !of.contains(&requirement) {
                of.push(requirement);
            }
        }
    }
    let mut term = json!({});
    for (field, list) in [("matchExpressions", expressions), ("matchFields", fields)] {
        if !list.is_empty() {
            term[field] = list.into();
        }
    }
    term.as_object().is_some_and(|t| !t.is_empty()).then(|| json!({ "nodeSelectorTerms": [term] }))
}
