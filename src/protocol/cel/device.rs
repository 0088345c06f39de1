//! `device`: what selectors of devices see.
use super::call::library;
use super::values::{from_json, map};
use super::{Type, Value, Variables};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The variable for a device of a driver: its attributes and capacities by domain and name. What is named without a domain is of the
/// driver's own. Versions can be compared as such, and amounts as quantities.
pub fn device_variable(driver: &str, device: &Json) -> Variables {
    let attribute = |value: &Json| match value["version"].as_str() {
        Some(version) => library("semver", None, vec![version.into()]).unwrap_or(Value::Null),
        None => {
            let said = ["bool", "int", "string", "bools", "ints", "strings", "versions"].iter().map(|of| &value[*of]);
            from_json(said.into_iter().find(|v| !v.is_null()).unwrap_or(&Json::Null), &Type::Dyn)
        }
    };
    let amount = |value: &Json| {
        let text = value["value"].as_str().unwrap_or_default();
        library("quantity", None, vec![text.into()]).unwrap_or(Value::Null)
    };
    let shared = device["allowMultipleAllocations"] == true;
    let members = [
        ("driver", driver.into()),
        ("attributes", by_domain(driver, &device["attributes"], attribute)),
        ("capacity", by_domain(driver, &device["capacity"], amount)),
        ("allowMultipleAllocations", Value::Bool(shared)),
    ];
    Variables::from([("device", map(members.into_iter().map(|(name, value)| (name.to_string(), value))))])
}

fn by_domain(driver: &str, named: &Json, read: impl Fn(&Json) -> Value) -> Value {
    let mut domains: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
    for (name, value) in named.as_object().into_iter().flatten() {
        let (domain, name) = name.split_once('/').unwrap_or((driver, name));
        domains.entry(domain).or_default().push((name.to_string(), read(value)));
    }
    map(domains.into_iter().map(|(domain, members)| (domain.to_string(), map(members.into_iter()))))
}
