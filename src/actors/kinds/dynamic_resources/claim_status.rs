//! What became of a claim: its devices, who may use them, what their drivers say.
use super::formats::{binding_conditions, driver, each, each_once, label, pool, raw_object, uid};
use super::requests::{CONFIG_MAX, REQUESTS_MAX, RequestNames, UNBOUNDED, configuration, name_reference, name_references};
use super::requests::{request_names, toleration};
use crate::actors::kinds::findings::{child, conditions, immutable, list, required, required_one_of, text, too_many};
use crate::protocol::status::FieldError;
use crate::protocol::validation;
use serde_json::Value;
use std::collections::HashSet;
use std::net::IpAddr;

const CONSUMERS_MAX: usize = 256;
const CONDITIONS_MAX: usize = 8;
const ADDRESSES_MAX: usize = 16;
const INTERFACE_MAX: usize = 256;
const HARDWARE_ADDRESS_MAX: usize = 128;
const TOLERATIONS_MAX: usize = 16;

/// Checks the next status of a claim.
pub(super) fn validate_status(new: &Value, old: &Value) -> Vec<FieldError> {
    let names = request_names(&new["spec"]["devices"]);
    let (status, held) = (&new["status"], &old["status"]);
    let consumer = |c: &Value| text(c, "uid").to_string();
    let mut errors = each_once(status, "status", "reservedFor", CONSUMERS_MAX, consumer, |consumer, path| {
        ["resource", "name", "uid"].iter().filter_map(|field| required(consumer, path, field)).collect()
    });
    let allocated: HashSet<String> = list(&status["allocation"]["devices"]["results"]).iter().map(device_id).collect();
    errors.extend(each_once(status, "status", "devices", UNBOUNDED, device_id, |device, path| device_status(device, path, &allocated)));
    errors.extend(consumers(new, old));
    if !held["allocation"].is_null() && !status["allocation"].is_null() {
        errors.extend(immutable(status, held, "status", "allocation"));
    } else if !status["allocation"].is_null() {
        errors.extend(allocation(&status["allocation"], &names));
    }
    errors
}

/// Nobody uses what is not allocated, and nobody new what is going away.
fn consumers(new: &Value, old: &Value) -> Option<FieldError> {
    let path = "status.reservedFor";
    let (now, before) = (list(&new["status"]["reservedFor"]), list(&old["status"]["reservedFor"]));
    if now.is_empty() {
        return None;
    }
    if new["status"]["allocation"].is_null() {
        return Some(FieldError::forbidden(path, "may not be specified when `allocated` is not set"));
    }
    let deleted = !new["metadata"]["deletionTimestamp"].is_null();
    let why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
    (deleted && now.iter().any(|c| !before.contains(c))).then(|| FieldError::forbidden(path, why))
}

/// `driver/pool/device`, and the share of a device that several claims have.
fn device_id(device: &Value) -> String {
    let id = ["driver", "pool", "device"].map(|field| text(device, field)).join("/");
    match device["shareID"].as_str() {
        Some(share) => format!("{id}/{share}"),
        None => id,
    }
}

fn place(device: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = driver(text(device, "driver"), &child(path, "driver"));
    errors.extend(pool(text(device, "pool"), &child(path, "pool")));
    errors.extend(label(text(device, "device"), &child(path, "device")));
    errors.extend(device["shareID"].as_str().and_then(|share| uid(share, &child(path, "shareID"))));
    errors
}

fn device_status(device: &Value, path: &str, allocated: &HashSet<String>) -> Vec<FieldError> {
    let mut errors = place(device, path);
    let id = device_id(device);
    if !allocated.contains(&id) {
        errors.push(FieldError::invalid(path, id, "must be an allocated device in the claim"));
    }
    let count = list(&device["conditions"]).len();
    if count > CONDITIONS_MAX {
        errors.push(too_many(child(path, "conditions"), count, CONDITIONS_MAX));
    }
    errors.extend(conditions(device, path, "conditions"));
    if !device["data"].is_null() {
        errors.extend(raw_object(&device["data"], &child(path, "data")));
    }
    errors.extend(network(&device["networkData"], &child(path, "networkData")));
    errors
}

fn network(data: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, max) in [("interfaceName", INTERFACE_MAX), ("hardwareAddress", HARDWARE_ADDRESS_MAX)] {
        if text(data, field).len() > max {
            errors.push(FieldError::too_long(child(path, field), max));
        }
    }
    errors.extend(each_once(data, path, "ips", ADDRESSES_MAX, super::formats::by_text, |address, path| {
        let given = address.as_str().unwrap_or_default();
        let why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        if is_interface_address(given) { Vec::new() } else { vec![FieldError::invalid(path, given, why)] }
    }));
    errors
}

fn is_interface_address(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let bits = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.parse::<u8>().is_ok_and(|p| p <= bits && p.to_string() == prefix)
}

fn allocation(allocation: &Value, names: &RequestNames<'_>) -> Vec<FieldError> {
    let (devices, path) = (&allocation["devices"], "status.allocation.devices");
    let mut errors = each(devices, path, "results", REQUESTS_MAX, |result, path| {
        let mut errors = name_reference(text(result, "request"), &child(path, "request"), names);
        errors.extend(place(result, path));
        errors.extend(binding_conditions(result, path));
        errors.extend(each(result, path, "tolerations", TOLERATIONS_MAX, toleration));
        errors
    });
    // Those of the class, and those of the claim.
    errors.extend(each(devices, path, "config", 2 * CONFIG_MAX, |config, path| {
        let mut errors: Vec<_> = required_one_of(config, path, "source", &["FromClaim", "FromClass"]).into_iter().collect();
        errors.extend(name_references(config, path, names));
        errors.extend(configuration(config, path));
        errors
    }));
    errors.extend(node_selector(&allocation["nodeSelector"], "status.allocation.nodeSelector"));
    errors
}

/// A node selector, where there is one.
pub(super) fn node_selector(selector: &Value, path: &str) -> Vec<FieldError> {
    if selector.is_null() { Vec::new() } else { validation::node_selector::node_selector(selector, path) }
}
