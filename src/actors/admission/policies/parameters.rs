//! The objects that a binding gives its policy.
use super::policy::{ParameterKind, ParameterRef};
use crate::actors::kinds::all;
use crate::protocol::meta::ObjectKey;
use crate::storage::{Entry, Shelf, Shelves};
use serde_json::Value;
use std::sync::Arc;

/// The parameters of a binding for a request in `namespace`; `None` when there are none and need not be.
///
/// # Errors
/// When there have to be some, in upstream's words.
pub fn find(
    shelves: &Shelves,
    kind: &ParameterKind,
    reference: Option<&ParameterRef>,
    namespace: &str,
) -> Result<Option<Vec<Value>>, String> {
    // A policy that could have parameters runs without when the binding names none.
    let Some(reference) = reference else { return Ok(Some(vec![Value::Null])) };
    let (shelf, namespaced) = shelf_of(shelves, kind)?;
    let namespace = match (namespaced, reference.namespace.as_str()) {
        (false, "") => "",
        (false, _) => {
            return Err("failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into());
        }
        (true, "") if namespace.is_empty() => {
            return Err(
                "failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                    .into(),
            );
        }
        (true, "") => namespace,
        (true, given) => given,
    };
    let snapshot = shelf.snapshot();
    let found: Vec<Arc<Entry>> = match &reference.selector {
        Some(selector) => snapshot.iter_namespace(namespace).filter(|e| selector.matches(&e.meta.labels)).cloned().collect(),
        None => snapshot.get(&ObjectKey::new(namespace, reference.name.as_str())).cloned().into_iter().collect(),
    };
    if !found.is_empty() {
        return Ok(Some(found.iter().map(|entry| entry.parse_whole()).collect()));
    }
    if reference.required {
        return Err("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction".into());
    }
    Ok(None)
}

/// The shelf of a kind, and whether it is namespaced.
fn shelf_of(shelves: &Shelves, kind: &ParameterKind) -> Result<(Arc<Shelf>, bool), String> {
    if let Some(found) = all().into_iter().find(|k| k.resource.kind == kind.kind && k.resource.api_version() == kind.api_version) {
        return Ok((shelves.shelf(&found.shelf()), found.resource.namespaced));
    }
    // A CustomResourceDefinition says under which name its objects are kept.
    let definitions = shelves.shelf("customresourcedefinitions.apiextensions.k8s.io").snapshot();
    let group = kind.api_version.split_once('/').map_or("", |(group, _)| group);
    for spec in definitions.iter().map(|entry| entry.parse()["spec"].take()) {
        if spec["names"]["kind"] == *kind.kind && spec["group"] == *group {
            let plural = spec["names"]["plural"].as_str().unwrap_or_default();
            return Ok((shelves.shelf(&format!("{plural}.{group}")), spec["scope"] == "Namespaced"));
        }
    }
    Err(format!("failed to configure policy: failed to find resource referenced by paramKind: '{}, Kind={}'", kind.api_version, kind.kind))
}
