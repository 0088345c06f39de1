//! `CustomResourceDefinition` of `apiextensions.k8s.io/v1beta1`: one schema for all versions, and it could be loose or missing.
use super::fields::{annotate, default, each, gathered, object, put, rename, take};
use serde_json::{Value, json};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
/// Groups under these domains need somebody's approval today; the old version did not ask for it.
const APPROVAL: &str = "api-approved.kubernetes.io";
/// What could be said once for all versions, and the name that it has within a version.
const SHARED: [(&str, &str); 3] =
    [("validation", "schema"), ("subresources", "subresources"), ("additionalPrinterColumns", "additionalPrinterColumns")];
/// Levels of a schema that are looked at; deeper ones are left to today's rules.
const DEPTH: usize = 64;

pub(super) fn to_today(definition: &mut Value) {
    if definition["spec"].is_object() {
        approve(definition);
    }
    let Some(spec) = definition.get_mut("spec").filter(|s| s.is_object()) else { return };
    versions_to_today(spec);
    // Unknown fields were kept unless it was said otherwise; today the schema has to say it at each level.
    let keep = take(spec, "preserveUnknownFields") != Some(false.into());
    for version in each(spec, "versions").filter(|v| v.is_object()) {
        each(version, "additionalPrinterColumns").for_each(|c| rename(c, "JSONPath", "jsonPath"));
        let Some(schema) = object(version, "schema").and_then(|s| object(s, "openAPIV3Schema")) else { continue };
        let bare = schema.as_object().is_none_or(|s| s.is_empty());
        default(schema, "type", "object");
        if bare {
            put(schema, PRESERVE, Some(true.into()));
        }
        structural(schema, keep, true, DEPTH);
    }
    conversion_to_today(spec);
}

fn approve(definition: &mut Value) {
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    let ours = ["k8s.io", "kubernetes.io"].iter().any(|d| group == *d || group.ends_with(&format!(".{d}")));
    if ours && definition["metadata"]["annotations"].get(APPROVAL).is_none() {
        annotate(definition, APPROVAL, "unapproved, made through apiextensions.k8s.io/v1beta1".into());
    }
}

/// `spec.version` was another way to name the first version; what all share is given to each.
fn versions_to_today(spec: &mut Value) {
    let first = take(spec, "version");
    if spec["versions"].as_array().is_none_or(Vec::is_empty)
        && let Some(name) = first
    {
        put(spec, "versions", Some(json!([{ "name": name, "served": true, "storage": true }])));
    }
    for (shared, own) in SHARED {
        let Some(value) = take(spec, shared) else { continue };
        each(spec, "versions").for_each(|version| default(version, own, value.clone()));
    }
}

fn conversion_to_today(spec: &mut Value) {
    let Some(conversion) = spec.get_mut("conversion").filter(|c| c.is_object()) else { return };
    let client = take(conversion, "webhookClientConfig");
    let versions = take(conversion, "conversionReviewVersions");
    if conversion["strategy"] == "Webhook" && conversion.get("webhook").is_none() {
        let versions = versions.or_else(|| Some(json!(["v1beta1"])));
        put(conversion, "webhook", Some(gathered([("clientConfig", client), ("conversionReviewVersions", versions)])));
    }
}

/// Makes a schema structural: each level has a type, or says that it takes anything. With `keep` no level prunes.
fn structural(schema: &mut Value, keep: bool, root: bool, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    if !schema.is_object() {
        return;
    }
    if schema["type"].as_str().is_none_or(str::is_empty) && schema[INT_OR_STRING] != true {
        infer_type(schema);
    }
    let map = schema["additionalProperties"].is_object() || schema["additionalProperties"] == true;
    if keep && schema["type"] == "object" && !map {
        default(schema, PRESERVE, true);
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties {
            // The server's own fields; today's rules allow next to nothing to be said about them.
            if !(root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata")) {
                structural(property, keep, false, depth);
            }
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            structural(inner, keep, false, depth);
        }
    }
}

fn infer_type(schema: &mut Value) {
    let has = |field: &str| schema.get(field).is_some_and(|v| !v.is_null());
    let number_or_text = ["anyOf", "oneOf"].into_iter().find(|list| {
        let types: Vec<&str> = schema[*list].as_array().into_iter().flatten().filter_map(|s| s["type"].as_str()).collect();
        matches!(types.as_slice(), ["integer", "string"] | ["string", "integer"] | ["number", "string"] | ["string", "number"])
    });
    if let Some(list) = number_or_text {
        take(schema, list);
        put(schema, INT_OR_STRING, Some(true.into()));
    } else if has("properties") || has("additionalProperties") {
        schema["type"] = "object".into();
    } else if has("items") {
        schema["type"] = "array".into();
    } else {
        put(schema, PRESERVE, Some(true.into()));
    }
}

pub(super) fn from_today(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").filter(|s| s.is_object()) else { return };
    for version in each(spec, "versions") {
        each(version, "additionalPrinterColumns").for_each(|c| rename(c, "jsonPath", "JSONPath"));
    }
    let first = spec["versions"][0].clone();
    put(spec, "version", first.get("name").cloned());
    for (shared, own) in SHARED {
        let alike = spec["versions"].as_array().is_some_and(|all| all.iter().all(|v| v[own] == first[own]));
        if alike && first.get(own).is_some() {
            each(spec, "versions").for_each(|version| {
                take(version, own);
            });
            put(spec, shared, first.get(own).cloned());
        }
    }
    default(spec, "preserveUnknownFields", false);
    let Some(conversion) = spec.get_mut("conversion").filter(|c| c.is_object()) else { return };
    if let Some(mut webhook) = take(conversion, "webhook") {
        put(conversion, "webhookClientConfig", take(&mut webhook, "clientConfig"));
        put(conversion, "conversionReviewVersions", take(&mut webhook, "conversionReviewVersions"));
    }
}
