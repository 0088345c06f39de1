//! Claims, classes and slices, read.
use super::{Alike, Claim, Class, Condition, Device, DeviceId, Devices, Given, PROGRAMS, Place, Request, Slice};
use crate::actors::scheduler::terms::{Toleration, items, node_terms};
use crate::protocol::cel::{Program, device_variable};
use crate::protocol::light::Taint;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::sync::Arc;

fn text(value: &Value) -> Arc<str> {
    value.as_str().unwrap_or_default().into()
}

/// A `ResourceSlice`.
pub(super) fn slice(object: &Value) -> Slice {
    let spec = &object["spec"];
    let (driver, pool) = (text(&spec["driver"]), &spec["pool"]);
    let own = spec["perDeviceNodeSelection"] == true;
    let device = |device: &Value| {
        let place = place(if own { device } else { spec })?;
        let id = DeviceId { driver: driver.clone(), pool: text(&pool["name"]), device: text(&device["name"]) };
        let part = items(&device["consumesCounters"]).next().is_some();
        Some(Arc::new(Device {
            id,
            place,
            variables: device_variable(&driver, device),
            attributes: device["attributes"].clone(),
            taints: items(&device["taints"]).map(taint).collect(),
            special: part || device["allowMultipleAllocations"] == true || !device["bindingConditions"].is_null(),
        }))
    };
    Slice {
        pool: text(&pool["name"]),
        generation: pool["generation"].as_i64().unwrap_or_default(),
        count: pool["resourceSliceCount"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        devices: items(&spec["devices"]).filter_map(device).collect(),
        driver,
    }
}

fn place(said: &Value) -> Option<Place> {
    if let Some(node) = said["nodeName"].as_str().filter(|n| !n.is_empty()) {
        return Some(Place::Node(node.into()));
    }
    if said["allNodes"] == true {
        return Some(Place::Everywhere);
    }
    node_terms(&said["nodeSelector"]).map(|terms| Place::Nodes(terms, said["nodeSelector"].clone()))
}

fn taint(value: &Value) -> Taint {
    Taint { key: text(&value["key"]), value: text(&value["value"]), effect: text(&value["effect"]) }
}

impl Devices {
    fn conditions(&mut self, selectors: &Value) -> Vec<Condition> {
        let sources = items(selectors).map(|s| s["cel"]["expression"].as_str().unwrap_or_default());
        sources.map(|source| self.condition(source)).collect()
    }

    /// Compiling costs a thread, so what was compiled is kept.
    fn condition(&mut self, source: &str) -> Condition {
        if let Some(known) = self.programs.get(source) {
            return known.clone();
        }
        if self.programs.len() >= PROGRAMS {
            self.programs.clear();
        }
        let condition = Program::compile(source).map_err(|e| e.to_string());
        self.programs.insert(source.into(), condition.clone());
        condition
    }

    /// A `DeviceClass`.
    pub(super) fn class(&mut self, object: &Value) -> Class {
        let spec = &object["spec"];
        Class { selectors: self.conditions(&spec["selectors"]), config: items(&spec["config"]).cloned().collect() }
    }

    /// A `ResourceClaim`.
    pub(super) fn claim(&mut self, entry: &Entry, object: &Value) -> Claim {
        let (devices, status) = (&object["spec"]["devices"], &object["status"]);
        let alike = |constraint: &Value| Alike {
            requests: items(&constraint["requests"]).filter_map(Value::as_str).map(String::from).collect(),
            attribute: constraint["matchAttribute"].as_str().unwrap_or_default().into(),
        };
        Claim {
            uid: entry.meta.uid.clone(),
            revision: entry.revision,
            deleting: entry.meta.deleting.is_some(),
            owner: entry.meta.controller().filter(|o| &*o.kind == "Pod").map(|o| o.uid.clone()).unwrap_or_default(),
            finalizers: entry.meta.finalizers.to_vec(),
            given: status["allocation"].is_object().then(|| given(&status["allocation"])),
            users: items(&status["reservedFor"]).cloned().collect(),
            requests: items(&devices["requests"]).map(|request| self.request(request)).collect(),
            alike: items(&devices["constraints"]).map(alike).collect(),
            config: items(&devices["config"]).cloned().collect(),
            refused: refused(&entry.key.to_string(), devices),
        }
    }

    fn request(&mut self, request: &Value) -> Request {
        let exactly = &request["exactly"];
        let all = exactly["allocationMode"] == "All";
        let count = exactly["count"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        Request {
            name: text(&request["name"]),
            class: text(&exactly["deviceClassName"]),
            selectors: self.conditions(&exactly["selectors"]),
            tolerations: items(&exactly["tolerations"]).map(Toleration::parse).collect(),
            count: (!all).then_some(count),
        }
    }
}

fn given(allocation: &Value) -> Given {
    let results = items(&allocation["devices"]["results"]).filter(|result| result["adminAccess"] != true);
    let id = |r: &Value| DeviceId { driver: text(&r["driver"]), pool: text(&r["pool"]), device: text(&r["device"]) };
    Given { nodes: node_terms(&allocation["nodeSelector"]), devices: results.map(id).collect() }
}

/// What a claim asks for that is not done here, in upstream's words for features that are off.
fn refused(claim: &str, devices: &Value) -> Option<String> {
    for request in items(&devices["requests"]) {
        let (name, exactly) = (request["name"].as_str().unwrap_or_default(), &request["exactly"]);
        let what = if !request["firstAvailable"].is_null() {
            "has subrequests, but the DRAPrioritizedList feature is disabled"
        } else if exactly["adminAccess"] == true {
            "admin access is requested, but the feature is disabled"
        } else if !exactly["capacity"].is_null() {
            "has capacity requests, but the DRAConsumableCapacity feature is disabled"
        } else {
            continue;
        };
        return Some(format!("resource claim {claim}, request {name}: {what}"));
    }
    let apart = items(&devices["constraints"]).any(|c| !c["distinctAttribute"].is_null());
    apart.then(|| format!("resource claim {claim}: distinctAttribute is used, but the DRAConsumableCapacity feature is disabled"))
}
