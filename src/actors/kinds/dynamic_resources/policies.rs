//! How much of a shared device's capacity a claim may ask for.
use super::formats::each;
use crate::actors::kinds::findings::{child, items};
use crate::protocol::quantity::Quantity;
use crate::protocol::status::FieldError;
use serde_json::Value;
use std::cmp::Ordering;

const OPTIONS_MAX: usize = 10;

/// Checks one capacity; only a device that may be shared has a policy.
pub(super) fn capacity(capacity: &Value, path: &str, shared: bool) -> Vec<FieldError> {
    let (policy, path) = (&capacity["requestPolicy"], child(path, "requestPolicy"));
    if policy.is_null() {
        return Vec::new();
    }
    if !shared {
        return vec![FieldError::forbidden(path, "allowMultipleAllocations must be true")];
    }
    let options = policy["validValues"].as_array().is_some_and(|v| !v.is_empty());
    let range = !policy["validRange"].is_null();
    let by = match (options, range) {
        (true, true) => {
            let why = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
            return vec![FieldError::forbidden(path, why)];
        }
        (true, false) => "validValues",
        (false, true) => "validRange",
        (false, false) => return Vec::new(),
    };
    let Some(max) = quantity(&capacity["value"]) else { return Vec::new() };
    let Some(default) = quantity(&policy["default"]) else {
        return vec![FieldError::required(child(&path, "default"), format!("required when {by} is defined"))];
    };
    if options {
        valid_values(policy, &path, &default, &max)
    } else {
        valid_range(&policy["validRange"], &child(&path, by), &default, &max)
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    value.as_str()?.parse().ok()
}

fn valid_values(policy: &Value, path: &str, default: &Quantity, max: &Quantity) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let values: Vec<(String, Quantity)> = items(policy, path, "validValues").filter_map(|(path, v)| Some((path, quantity(v)?))).collect();
    for pair in values.windows(2) {
        if let [(_, before), (path, after)] = pair
            && before.compare(after) == Ordering::Greater
        {
            errors.push(FieldError::invalid(path.clone(), after.to_string(), "values must be sorted in ascending order"));
        }
    }
    errors.extend(each(policy, path, "validValues", OPTIONS_MAX, |value, path| {
        let larger = quantity(value).filter(|v| v.compare(max) == Ordering::Greater);
        larger
            .map(|v| FieldError::invalid(path, v.to_string(), format!("option is larger than capacity value: {max}")))
            .into_iter()
            .collect()
    }));
    for (index, (path, value)) in values.iter().enumerate() {
        if values.iter().take(index).any(|(_, other)| other.compare(value) == Ordering::Equal) {
            errors.push(FieldError::duplicate(path.clone(), value.to_string()));
        }
    }
    if !values.iter().any(|(_, value)| value.compare(default) == Ordering::Equal) {
        let why = "default value is not valid according to the requestPolicy";
        errors.push(FieldError::invalid(child(path, "validValues"), default.to_string(), why));
    }
    errors
}

fn valid_range(range: &Value, path: &str, default: &Quantity, capacity: &Quantity) -> Vec<FieldError> {
    let Some(min) = quantity(&range["min"]) else {
        return vec![FieldError::required(child(path, "min"), "required when validRange is defined")];
    };
    let mut errors = Vec::new();
    let mut bad = |field: &str, value: &Quantity, why: String| errors.push(FieldError::invalid(child(path, field), value.to_string(), why));
    let above = |a: &Quantity, b: &Quantity| a.compare(b) == Ordering::Greater;
    if above(&min, capacity) {
        bad("min", &min, format!("min is larger than capacity value: {capacity}"));
    }
    if above(&min, default) {
        bad("default", default, format!("default is less than min: {min}"));
    }
    let max = quantity(&range["max"]);
    if let Some(max) = &max {
        if above(&min, max) {
            bad("max", &min, format!("min is larger than max: {max}"));
        }
        if above(max, capacity) {
            bad("max", max, format!("max is larger than capacity value: {capacity}"));
        }
        if above(default, max) {
            bad("default", default, format!("default is more than max: {max}"));
        }
    }
    let Some(step) = quantity(&range["step"]) else { return errors };
    if step.signum() <= 0 {
        bad("step", &step, "must be greater than zero".into());
        return errors;
    }
    let one = min.add(&step);
    if above(&one, capacity) {
        bad("step", &step, format!("one step {one} is larger than capacity value: {capacity}"));
    }
    for value in std::iter::once(default).chain(&max) {
        let off = value.value().checked_sub(min.value()).and_then(|d| d.checked_rem(step.value()));
        if off.is_none_or(|rest| rest != 0) {
            bad("step", value, format!("value is not a multiple of a given step ({step}) from ({min})"));
        }
    }
    errors
}
