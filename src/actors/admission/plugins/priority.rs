//! Priority: a pod's number comes from its class.
use crate::actors::admission::refusal::{forbidden, text};
use crate::actors::kinds::{Attributes, Operation};
use crate::protocol::status::ApiError;
use crate::storage::Snapshot;
use serde_json::Value;

/// A PriorityClass.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    pub name: String,
    pub value: i64,
    pub default: bool,
    pub preemption: String,
}

/// Classes that every cluster has, whether or not somebody has written them down.
const SYSTEM: [(&str, i64); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
const PREEMPT: &str = "PreemptLowerPriority";

/// The classes of a shelf.
pub fn classes(snapshot: &Snapshot) -> Vec<Class> {
    snapshot.iter().map(|entry| class(&entry.parse())).collect()
}

fn class(object: &Value) -> Class {
    let preemption = text(object, "preemptionPolicy");
    Class {
        name: text(&object["metadata"], "name").into(),
        value: object["value"].as_i64().unwrap_or_default(),
        default: object["globalDefault"] == true,
        preemption: if preemption.is_empty() { PREEMPT.into() } else { preemption.into() },
    }
}

/// Fills in priority and pre-emption policy of a new pod.
pub fn mutate_pod(a: &Attributes<'_>, pod: &mut Value, classes: &[Class]) -> Result<(), ApiError> {
    let name = text(&pod["spec"], "priorityClassName").to_string();
    let (class, number, preemption) = if name.is_empty() {
        match default(classes) {
            Some(class) => (class.name.clone(), class.value, class.preemption.clone()),
            None => (String::new(), 0, PREEMPT.to_string()),
        }
    } else {
        let written = classes.iter().find(|c| c.name == name).map(|c| (c.value, c.preemption.clone()));
        let system = || SYSTEM.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value, PREEMPT.to_string()));
        let Some((value, preemption)) = written.or_else(system) else {
            return Err(forbidden(a, Some(pod), &format!("no PriorityClass with name {name} was found")));
        };
        (name, value, preemption)
    };
    if let Some(given) = pod["spec"]["priority"].as_i64().filter(|given| *given != number) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {number} from the given PriorityClass name"
        );
        return Err(forbidden(a, Some(pod), &why));
    }
    let given = text(&pod["spec"], "preemptionPolicy");
    if !given.is_empty() && given != preemption {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {preemption} from the given PriorityClass name"
        );
        return Err(forbidden(a, Some(pod), &why));
    }
    let spec = &mut pod["spec"];
    if !class.is_empty() {
        spec["priorityClassName"] = class.into();
    }
    spec["priority"] = number.into();
    spec["preemptionPolicy"] = preemption.into();
    Ok(())
}

/// An update that leaves the computed fields out keeps them.
pub fn keep(pod: &mut Value, old: &Value) {
    for field in ["priority", "preemptionPolicy"] {
        if pod["spec"].get(field).is_none_or(Value::is_null)
            && let Some(held) = old["spec"].get(field)
        {
            pod["spec"][field] = held.clone();
        }
    }
}

/// There is one default class at most.
pub fn validate_class(a: &Attributes<'_>, object: &Value, classes: &[Class]) -> Result<(), ApiError> {
    if object["globalDefault"] != true {
        return Ok(());
    }
    match default(classes) {
        Some(held) if a.operation == Operation::Create || held.name != text(&object["metadata"], "name") => {
            let why = format!("PriorityClass {} is already marked as default. Only one default can exist", held.name);
            Err(forbidden(a, Some(object), &why))
        }
        _ => Ok(()),
    }
}

/// The default class; should a race have made several, the one with the lowest number.
fn default(classes: &[Class]) -> Option<&Class> {
    classes.iter().filter(|c| c.default).min_by_key(|c| c.value)
}
