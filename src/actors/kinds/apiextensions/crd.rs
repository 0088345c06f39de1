//! `apiextensions.k8s.io/v1 CustomResourceDefinition`.
use super::conditions::set_condition;
use super::{conversion, names, update, versions};
use crate::actors::kinds::columns::{Column, NAME, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CUSTOM_RESOURCE_DEFINITION;
use crate::protocol::names::dns1123_subdomain;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The shelf of definitions.
pub const SHELF: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Holds a definition until its instances are gone.
pub const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";
const APPROVAL: &str = "api-approved.kubernetes.io";

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "apiextensions.k8s.io",
        version: "v1",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        singular: "customresourcedefinition",
        namespaced: false,
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "apiextensions.k8s.io",
            version: "v1",
            kind: "CustomResourceDefinition",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&CUSTOM_RESOURCE_DEFINITION),
    schema: "CustomResourceDefinition",
    rules: Rules {
        default,
        create,
        update: update::prepare,
        validate,
        validate_update: update::validate,
        validate_status: |new, _| names::validate(&new["status"]["acceptedNames"], "status.acceptedNames"),
        generation: true,
        unconditional: false,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, _| vec![name(o), o["metadata"]["creationTimestamp"].clone()],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Created At", "date", 0, "When the definition was created.")];

fn default(object: &mut Value) {
    let spec = &mut object["spec"];
    if !spec.is_object() {
        *spec = json!({});
    }
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_string();
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let empty = |v: Option<&Value>| v.and_then(Value::as_str).is_none_or(str::is_empty);
        if empty(names.get("singular")) {
            names.insert("singular".into(), kind.to_lowercase().into());
        }
        if empty(names.get("listKind")) && !kind.is_empty() {
            names.insert("listKind".into(), format!("{kind}List").into());
        }
    }
    if spec["conversion"].is_null() {
        spec["conversion"] = json!({ "strategy": "None" });
    }
    conversion::default(&mut spec["conversion"]);
    if spec["preserveUnknownFields"] == false
        && let Some(spec) = spec.as_object_mut()
    {
        spec.remove("preserveUnknownFields");
    }
}

/// A new definition begins with nothing but the version that its objects are stored in.
fn create(object: &mut Value) {
    let stored: Vec<Value> = storage_version(object).into_iter().map(Value::from).collect();
    object["status"] = json!({
        "conditions": [],
        "acceptedNames": { "plural": "", "kind": "" },
        "storedVersions": stored,
    });
}

pub(super) fn storage_version(object: &Value) -> Option<String> {
    let versions = object["spec"]["versions"].as_array()?;
    versions.iter().find(|v| v["storage"] == true).and_then(|v| v["name"].as_str()).map(str::to_string)
}

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let (spec, mut errors) = (&object["spec"], Vec::new());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let (plural, group) = (text(&spec["names"]["plural"]), text(&spec["group"]));
    let own = text(&object["metadata"]["name"]);
    if own != format!("{plural}.{group}") {
        errors.push(FieldError::invalid("metadata.name", own, "must be spec.names.plural+\".\"+spec.group"));
    }
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else {
        let faults = dns1123_subdomain(&group);
        if !faults.is_empty() {
            errors.push(FieldError::invalid("spec.group", group.as_str(), faults.join(",")));
        } else if !group.contains('.') {
            errors.push(FieldError::invalid("spec.group", group.as_str(), "should be a domain with at least one dot"));
        }
    }
    match spec["scope"].as_str().unwrap_or_default() {
        "" => errors.push(FieldError::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => errors.push(FieldError::not_supported("spec.scope", other, &["Cluster", "Namespaced"])),
    }
    if spec["preserveUnknownFields"] == true {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", true, why));
    }
    errors.extend(versions::validate(spec));
    for (field, path) in [
        ("plural", "spec.names.plural"),
        ("singular", "spec.names.singular"),
        ("kind", "spec.names.kind"),
        ("listKind", "spec.names.listKind"),
    ] {
        if text(&spec["names"][field]).is_empty() {
            errors.push(FieldError::required(path, ""));
        }
    }
    errors.extend(names::validate(&spec["names"], "spec.names"));
    errors.extend(conversion::validate(&spec["conversion"]));
    errors.extend(approval(object, &group));
    errors
}

/// Groups of the community need a sign that its API was approved.
fn approval(object: &Value, group: &str) -> Option<FieldError> {
    if !is_protected(group) || !object["metadata"]["annotations"][APPROVAL].is_null() {
        return None;
    }
    let why =
        format!("protected groups must have approval annotation \"{APPROVAL}\", see https://github.com/kubernetes/enhancements/pull/1111");
    Some(FieldError::required(format!("metadata.annotations[{APPROVAL}]"), why))
}

pub(super) fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|end| group == *end || group.ends_with(&format!(".{end}")))
}

/// The mark of a deletion: the instances go first, and say so.
pub fn mark_deleted(object: &mut Value, now: Timestamp) {
    let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|f| f == CLEANUP_FINALIZER) {
        finalizers.push(CLEANUP_FINALIZER.into());
    }
    object["metadata"]["finalizers"] = finalizers.into();
    let why = "CustomResourceDefinition marked for deletion; CustomResource deletion will occur as soon as possible";
    set_condition(&mut object["status"], "Terminating", ("True", "InstanceDeletionPending", why), now);
}
