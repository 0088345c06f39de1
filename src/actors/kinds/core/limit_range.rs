//! `v1 LimitRange`.
use crate::actors::kinds::columns::{Column, NAME, column, name};
use crate::actors::kinds::fields::{items_mut, members};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::LIMIT_RANGE;
use crate::protocol::names;
use crate::protocol::quantity::Quantity;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::quantities::{amount, container_resource_name, overcommits, resource_name};
use crate::protocol::validation::{invalid_each, items, text};
use serde_json::{Value, json};
use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::{BTreeSet, HashSet};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "LimitRange",
        plural: "limitranges",
        singular: "limitrange",
        namespaced: true,
        short_names: &["limits"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&LIMIT_RANGE),
    schema: "LimitRange",
    rules: Rules { default, validate, create_on_update: true, ..PLAIN },
    columns: COLUMNS,
    row: |o, _| vec![name(o), o["metadata"]["creationTimestamp"].clone()],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Created At", "date", 0, "When the object was created.")];

const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];

/// For containers: the limit is the greatest allowed one, the request is the limit, or else the least allowed one.
fn default(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    for limit in items_mut(spec, "limits") {
        if limit["type"] != "Container" {
            continue;
        }
        for (to, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            let given = limit[from].as_object().cloned().unwrap_or_default();
            if given.is_empty() {
                continue;
            }
            if !limit[to].is_object() {
                limit[to] = json!({});
            }
            if let Some(map) = limit[to].as_object_mut() {
                given.into_iter().for_each(|(key, value)| {
                    map.entry(key).or_insert(value);
                });
            }
        }
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut types = HashSet::new();
    for (path, limit) in items(&object["spec"], "spec", "limits") {
        let type_ = text(limit, "type");
        let field = format!("{path}.type");
        let faults = names::qualified_name(type_);
        if faults.is_empty() && !type_.contains('/') && !TYPES.contains(&type_) {
            errors.push(FieldError::invalid(field.as_str(), type_, "must be a standard limit type or fully qualified"));
        }
        errors.extend(invalid_each(&field, type_, faults));
        if !types.insert(type_) {
            errors.push(FieldError::duplicate(field, type_));
        }
        validate_names(limit, type_, &path, &mut errors);
        let mut keys = BTreeSet::new();
        for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            if type_ != "Pod" || !list.starts_with("default") {
                keys.extend(members(&limit[list]).map(|(key, _)| key.as_str()));
            }
        }
        keys.into_iter().for_each(|key| Amounts::of(limit, key).validate(key, &path, &mut errors));
    }
    errors
}

fn validate_names(limit: &Value, type_: &str, path: &str, errors: &mut Vec<FieldError>) {
    let rule = if matches!(type_, "Pod" | "Container") { container_resource_name } else { resource_name };
    let check = |list: &str, errors: &mut Vec<FieldError>| {
        errors.extend(members(&limit[list]).flat_map(|(key, _)| rule(key, &format!("{path}.{list}[{key}]"))));
    };
    check("max", errors);
    check("min", errors);
    for list in ["default", "defaultRequest"] {
        if type_ != "Pod" {
            check(list, errors);
        } else if limit[list].as_object().is_some_and(|m| !m.is_empty()) {
            errors.push(FieldError::forbidden(format!("{path}.{list}"), "may not be specified when `type` is 'Pod'"));
        }
    }
    if type_ == "PersistentVolumeClaim" && limit["min"].get("storage").is_none() && limit["max"].get("storage").is_none() {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(FieldError::required(format!("{path}.limits"), why));
    }
    check("maxLimitRequestRatio", errors);
}

/// What one limit says about one resource.
struct Amounts {
    min: Option<Quantity>,
    max: Option<Quantity>,
    default: Option<Quantity>,
    request: Option<Quantity>,
    ratio: Option<Quantity>,
}

impl Amounts {
    fn of(limit: &Value, key: &str) -> Amounts {
        let get = |list: &str| amount(&limit[list][key]);
        Amounts {
            min: get("min"),
            max: get("max"),
            default: get("default"),
            request: get("defaultRequest"),
            ratio: get("maxLimitRequestRatio"),
        }
    }

    fn validate(&self, key: &str, path: &str, errors: &mut Vec<FieldError>) {
        // The two amounts in their order, what they are called, and which of them is to blame in which list.
        let pairs = [
            (&self.min, "min", &self.max, "max", "min", &self.min),
            (&self.min, "min", &self.request, "default request", "defaultRequest", &self.request),
            (&self.request, "default request", &self.max, "max", "defaultRequest", &self.request),
            (&self.request, "default request", &self.default, "default limit", "defaultRequest", &self.request),
            (&self.min, "min", &self.default, "default", "default", &self.min),
            (&self.default, "default", &self.max, "max", "default", &self.max),
        ];
        for (less, less_name, more, more_name, list, blamed) in pairs {
            let (Some(less), Some(more), Some(blamed)) = (less, more, blamed) else { continue };
            if less.compare(more) == Greater {
                let why = format!("{less_name} value {less} is greater than {more_name} value {more}");
                errors.push(FieldError::invalid(format!("{path}.{list}[{key}]"), blamed.to_string(), why));
            }
        }
        self.validate_ratio(key, path, errors);
        if let (false, Some(default), Some(request)) = (overcommits(key), &self.default, &self.request)
            && default.compare(request) != Equal
        {
            let why = format!("default value {default} must equal to defaultRequest value {request} in {key}");
            errors.push(FieldError::invalid(format!("{path}.defaultRequest[{key}]"), request.to_string(), why));
        }
    }

    fn validate_ratio(&self, key: &str, path: &str, errors: &mut Vec<FieldError>) {
        let Some(ratio) = &self.ratio else { return };
        let field = format!("{path}.maxLimitRequestRatio[{key}]");
        if ratio.compare(&Quantity::from_milli(1000)) == Less {
            errors.push(FieldError::invalid(field.as_str(), ratio.to_string(), format!("ratio {ratio} is less than 1")));
        }
        let (Some(min), Some(max)) = (&self.min, &self.max) else { return };
        let greatest = max.milli_value() as f64 / min.milli_value() as f64;
        if ratio.milli_value() as f64 / 1000.0 > greatest {
            let why = format!("ratio {ratio} is greater than max/min = {greatest:.6}");
            errors.push(FieldError::invalid(field, ratio.to_string(), why));
        }
    }
}
