//! Probes and lifecycle hooks.
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, not_negative, one_of, required, text};
use serde_json::Value;

const PROBE_HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
const HOOK_HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "sleep"];

/// `grace` is how long the pod may take to end: no hook may sleep longer.
pub(super) fn validate(container: &Value, path: &str, grace: Option<i64>, faults: &mut Vec<FieldError>) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[name];
        if !probe.is_object() {
            continue;
        }
        let path = format!("{path}.{name}");
        handler(probe, &path, PROBE_HANDLERS, grace, faults);
        for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
            faults.extend(not_negative(probe, &path, field));
        }
        if let Some(seconds) = probe["terminationGracePeriodSeconds"].as_i64() {
            let field = format!("{path}.terminationGracePeriodSeconds");
            if seconds <= 0 {
                faults.push(FieldError::invalid(&*field, seconds, "must be greater than 0"));
            }
            if name == "readinessProbe" {
                faults.push(FieldError::invalid(field, seconds, "must not be set for readinessProbes"));
            }
        }
        let threshold = probe["successThreshold"].as_i64().unwrap_or(1);
        if name != "readinessProbe" && threshold != 1 {
            faults.push(FieldError::invalid(format!("{path}.successThreshold"), threshold, "must be 1"));
        }
    }
    for name in ["postStart", "preStop"] {
        let hook = &container["lifecycle"][name];
        if hook.is_object() {
            handler(hook, &format!("{path}.lifecycle.{name}"), HOOK_HANDLERS, grace, faults);
        }
    }
}

fn handler(action: &Value, path: &str, kinds: &[&str], grace: Option<i64>, faults: &mut Vec<FieldError>) {
    let given: Vec<_> = kinds.iter().filter(|k| action[**k].is_object()).collect();
    if given.is_empty() {
        faults.push(FieldError::required(path, "must specify a handler type"));
    }
    for extra in given.iter().skip(1) {
        faults.push(FieldError::forbidden(format!("{path}.{extra}"), "may not specify more than 1 handler type"));
    }
    let Some(kind) = given.first() else { return };
    let (value, path) = (&action[**kind], format!("{path}.{kind}"));
    match **kind {
        "exec" if value["command"].as_array().is_none_or(Vec::is_empty) => faults.push(FieldError::required(format!("{path}.command"), "")),
        "httpGet" => {
            faults.extend(required(value, &path, "path"));
            port(&value["port"], format!("{path}.port"), faults);
            faults.extend(one_of(value, &path, "scheme", &["HTTP", "HTTPS"]));
            for (_, header) in items(value, &path, "httpHeaders") {
                let name = text(header, "name");
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                    let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
                    faults.push(FieldError::invalid(format!("{path}.httpHeaders"), name, why));
                }
            }
        }
        "tcpSocket" | "grpc" => port(&value["port"], format!("{path}.port"), faults),
        "sleep" => {
            let seconds = value["seconds"].as_i64().unwrap_or_default();
            if let Some(grace) = grace.filter(|g| seconds < 0 || seconds > *g) {
                let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                faults.push(FieldError::invalid(path, seconds, why));
            }
        }
        _ => {}
    }
}

/// A number or a port's name.
fn port(value: &Value, path: String, faults: &mut Vec<FieldError>) {
    match value.as_str() {
        Some(name) => faults.extend(invalid_each(&path, name, names::port_name(name))),
        None => {
            let number = value.as_i64().unwrap_or_default();
            faults.extend(names::port_number(number).into_iter().map(|s| FieldError::invalid(path.as_str(), number, s)));
        }
    }
}
