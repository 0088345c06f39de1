//! `resources` of a container.
use crate::names;
use crate::quantity::{Quantity, QuantityError};
use crate::status::FieldError;
use crate::validation::invalid_each;
use serde_json::Value;
use std::cmp::Ordering;

/// Checks limits and requests: names, signs, whole numbers where fractions make no sense, and requests within limits.
pub fn resource_requirements(resources: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for list in ["limits", "requests"] {
        for (name, amount) in resources[list].as_object().into_iter().flatten() {
            check_amount(name, amount, &format!("{path}.{list}"), &mut faults);
        }
    }
    for (name, amount) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name];
        let field = format!("{path}.requests");
        match (parse(amount), parse(limit)) {
            (Ok(request), Ok(limit)) if overcommits(name) && request.compare(&limit) == Ordering::Greater => {
                faults.push(FieldError::invalid(
                    field,
                    request.to_string(),
                    format!("must be less than or equal to {name} limit of {limit}"),
                ));
            }
            (Ok(request), Ok(limit)) if !overcommits(name) && request.compare(&limit) != Ordering::Equal => {
                faults.push(FieldError::invalid(field, request.to_string(), format!("must be equal to {name} limit of {limit}")));
            }
            (Ok(_), Err(_)) if limit.is_null() && !overcommits(name) => {
                faults.push(FieldError::required(format!("{path}.limits"), "Limit must be set for non overcommitable resources"));
            }
            _ => {}
        }
    }
    faults
}

fn check_amount(name: &str, amount: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let sentences = names::qualified_name(name);
    let known = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if sentences.is_empty() && !known && !name.contains('/') {
        faults.push(FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
        faults.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
    }
    faults.extend(invalid_each(path, name, sentences));
    let field = format!("{path}[{name}]");
    match parse(amount) {
        Ok(quantity) if quantity.signum() < 0 => {
            faults.push(FieldError::invalid(field, quantity.to_string(), "must be greater than or equal to 0"));
        }
        Ok(quantity) if name.contains('/') && !quantity.is_whole() => {
            faults.push(FieldError::invalid(field, quantity.to_string(), "must be an integer"));
        }
        Ok(_) => {}
        Err(error) => faults.push(FieldError::invalid(field, amount.clone(), error.to_string())),
    }
}

/// Native resources may be promised beyond the limit's guarantee; extended ones and huge pages not.
fn overcommits(name: &str) -> bool {
    (!name.contains('/') || name.contains("kubernetes.io/")) && !name.starts_with("hugepages-")
}

fn parse(amount: &Value) -> Result<Quantity, QuantityError> {
    amount.as_str().unwrap_or_default().parse()
}
