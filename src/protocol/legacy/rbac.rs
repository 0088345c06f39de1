//! Bindings of `rbac.authorization.k8s.io/v1alpha1`: subjects had an `apiVersion`, and the user `*` was everybody who is known.
use super::fields::{each, put, take};
use serde_json::Value;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn binding_to_today(binding: &mut Value) {
    for subject in each(binding, "subjects") {
        let version = take(subject, "apiVersion");
        if subject.get("apiGroup").is_some() && version.is_none() {
            continue;
        }
        let group = match subject["kind"].as_str().unwrap_or_default() {
            "ServiceAccount" => "",
            "User" | "Group" => GROUP,
            _ => version.as_ref().and_then(Value::as_str).and_then(|v| v.split_once('/')).map_or("", |(group, _)| group),
        };
        let group = group.to_string();
        if subject["kind"] == "User" && subject["name"] == "*" {
            subject["kind"] = "Group".into();
            subject["name"] = "system:authenticated".into();
        }
        put(subject, "apiGroup", (!group.is_empty()).then(|| group.into()));
    }
}

pub(super) fn binding_from_today(binding: &mut Value) {
    for subject in each(binding, "subjects") {
        if subject["kind"] == "Group" && subject["name"] == "system:authenticated" {
            subject["kind"] = "User".into();
            subject["name"] = "*".into();
        }
        let group = take(subject, "apiGroup");
        let group = group.as_ref().and_then(Value::as_str).unwrap_or_default();
        let version = match (subject["kind"].as_str().unwrap_or_default(), group) {
            ("ServiceAccount", _) | (_, "") => "v1".to_string(),
            ("User" | "Group", _) => format!("{GROUP}/v1alpha1"),
            (_, group) => format!("{group}/v1"),
        };
        put(subject, "apiVersion", Some(version.into()));
    }
}
