//! How a pod resolves names.
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, text};
use serde_json::Value;

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
/// Characters of all search paths with a space between them.
const MAX_SEARCH_TEXT: usize = 2048;

pub(super) fn validate(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let config = &spec["dnsConfig"];
    let path = format!("{path}.dnsConfig");
    let strings = |field: &str| config[field].as_array().map(Vec::as_slice).unwrap_or_default();
    if text(spec, "dnsPolicy") == "None" {
        if config.is_null() {
            faults.push(FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if strings("nameservers").is_empty() {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            faults.push(FieldError::required(format!("{path}.nameservers"), why));
            return;
        }
    }
    if strings("nameservers").len() > MAX_SERVERS {
        let list = config["nameservers"].clone();
        faults.push(FieldError::invalid(format!("{path}.nameservers"), list, "must not have more than 3 nameservers"));
    }
    for (path, server) in items(config, &path, "nameservers") {
        faults.extend(not_an_address(server.as_str().unwrap_or_default(), &path));
    }
    let searches = strings("searches");
    if searches.len() > MAX_SEARCHES {
        let why = format!("must not have more than {MAX_SEARCHES} search paths");
        faults.push(FieldError::invalid(format!("{path}.searches"), config["searches"].clone(), why));
    }
    let length = searches.iter().filter_map(Value::as_str).map(|s| s.len() + 1).sum::<usize>();
    if length > MAX_SEARCH_TEXT + 1 {
        let why = format!("must not have more than {MAX_SEARCH_TEXT} characters (including spaces) in the search list");
        faults.push(FieldError::invalid(format!("{path}.searches"), config["searches"].clone(), why));
    }
    for (path, search) in items(config, &path, "searches") {
        let search = search.as_str().unwrap_or_default();
        if search != "." {
            let search = search.strip_suffix('.').unwrap_or(search);
            // Underscores are allowed here, as SRV records have them.
            faults.extend(invalid_each(&path, search, names::dns1123_subdomain(&search.replace('_', "a"))));
        }
    }
    for (path, option) in items(config, &path, "options") {
        if text(option, "name").is_empty() {
            faults.push(FieldError::required(path, "must not be empty"));
        }
    }
}

/// The finding about a text that is no IP address.
pub(super) fn not_an_address(address: &str, path: &str) -> Option<FieldError> {
    let bad = address.parse::<std::net::IpAddr>().is_err();
    bad.then(|| FieldError::invalid(path, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
}
