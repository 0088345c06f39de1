//! `spec.conversion`.
use crate::protocol::names::dns1123_subdomain;
use crate::protocol::status::FieldError;
use serde_json::Value;

const PATH: &str = "spec.conversion";

/// A service is called at port 443 unless it says otherwise.
pub(super) fn default(conversion: &mut Value) {
    let service = conversion.get_mut("webhook").and_then(|w| w.get_mut("clientConfig")).and_then(|c| c.get_mut("service"));
    if let Some(service) = service.and_then(Value::as_object_mut) {
        service.entry("port").or_insert_with(|| 443.into());
    }
}

pub(super) fn validate(conversion: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let at = |name: &str| format!("{PATH}.{name}");
    let webhook = &conversion["webhook"];
    match conversion["strategy"].as_str().unwrap_or_default() {
        "" => errors.push(FieldError::required(at("strategy"), "")),
        "None" => {
            if !webhook["clientConfig"].is_null() {
                let why = "should not be set when strategy is not set to Webhook";
                errors.push(FieldError::forbidden(at("webhookClientConfig"), why));
            }
        }
        "Webhook" if webhook["clientConfig"].is_null() => {
            errors.push(FieldError::required(at("webhookClientConfig"), "required when strategy is set to Webhook"));
        }
        "Webhook" => {
            client(&webhook["clientConfig"], &at("webhookClientConfig"), &mut errors);
            versions(webhook, &mut errors);
        }
        other => errors.push(FieldError::not_supported(at("strategy"), other, &["None", "Webhook"])),
    }
    errors
}

fn versions(webhook: &Value, errors: &mut Vec<FieldError>) {
    let given = &webhook["conversionReviewVersions"];
    let at = format!("{PATH}.conversionReviewVersions");
    let listed = given.as_array().map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() {
        errors.push(FieldError::required(at, ""));
    } else if !listed.iter().any(|v| v == "v1" || v == "v1beta1") {
        errors.push(FieldError::invalid(at, given.clone(), "must include at least one of v1, v1beta1"));
    }
}

fn client(config: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match (config["url"].as_str(), config["service"].is_object()) {
        (None, false) | (Some(_), true) => errors.push(FieldError::required(path, "exactly one of url or service is required")),
        (Some(url), false) => self::url(url, &format!("{path}.url"), errors),
        (None, true) => service(&config["service"], &format!("{path}.service"), errors),
    }
}

fn url(url: &str, path: &str, errors: &mut Vec<FieldError>) {
    let mut refuse = |why: &str| errors.push(FieldError::invalid(path, url, why));
    match url.parse::<http::Uri>() {
        Err(why) => refuse(&format!("url must be a valid URL: {why}; desired format: https://host[/path]")),
        Ok(uri) => {
            if uri.scheme_str() != Some("https") {
                refuse("'https' is the only allowed URL scheme; desired format: https://host[/path]");
            }
            if uri.host().unwrap_or_default().is_empty() {
                refuse("host must be specified; desired format: https://host[/path]");
            }
            if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
                refuse("user information is not permitted in the URL");
            }
            if uri.query().is_some() {
                refuse("query parameters are not permitted in the URL");
            }
        }
    }
}

fn service(service: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (field, why) in [("name", "service name is required"), ("namespace", "service namespace is required")] {
        if service[field].as_str().unwrap_or_default().is_empty() {
            errors.push(FieldError::required(format!("{path}.{field}"), why));
        }
    }
    let port = service["port"].as_i64().unwrap_or(443);
    if !(1..=65535).contains(&port) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid(format!("{path}.port"), port, why));
    }
    let Some(given) = service["path"].as_str().filter(|p| !p.is_empty() && *p != "/") else { return };
    let at = format!("{path}.path");
    let Some(steps) = given.strip_prefix('/') else {
        errors.push(FieldError::invalid(at, given, "must start with a '/'"));
        return;
    };
    for (index, step) in steps.trim_end_matches('/').split('/').enumerate() {
        if step.is_empty() {
            errors.push(FieldError::invalid(at.clone(), given, format!("segment[{index}] may not be empty")));
            return;
        }
        for fault in dns1123_subdomain(step) {
            errors.push(FieldError::invalid(at.clone(), given, format!("segment[{index}]: {fault}")));
        }
    }
}
