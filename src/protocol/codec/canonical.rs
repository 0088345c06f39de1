//! What Go's types do to a document on the way through and the generated Rust ones don't: quantities get their canonical spelling,
//! and empty strings of optional fields vanish (Go's `omitempty`).
use crate::quantity;
use serde_json::{Map, Value};

/// Fields whose value is a map of quantities, wherever they occur: `ResourceList` and its like.
const QUANTITY_MAPS: &[&str] = &[
    "requests",
    "limits",
    "capacity",
    "allocatable",
    "allocatedResources",
    "overhead",
    "podFixed",
    "hard",
    "used",
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
    "consumedCapacity",
    "resources",
];

/// Fields that are one quantity.
const QUANTITIES: &[&str] = &["sizeLimit", "divisor", "averageValue", "capacity", "tolerance", "maximumVolumeSize", "allocationMultiplier"];

/// Fields that hold other people's keys (labels, data, raw extensions): nothing inside them is ours to read.
const OPAQUE: &[&str] = &[
    "labels",
    "annotations",
    "matchLabels",
    "selector",
    "nodeSelector",
    "data",
    "stringData",
    "binaryData",
    "parameters",
    "volumeAttributes",
    "options",
    "attributes",
    "managedFields",
    "openAPIV3Schema",
    "extra",
];

/// Optional plain strings: given empty they are as good as absent. Strings that are pointers upstream (`storageClassName`,
/// `hostPath.type`) are not here, since empty means something there.
const OMIT_EMPTY: &[&str] = &[
    "clusterIP",
    "concurrencyPolicy",
    "creationTimestamp",
    "dnsPolicy",
    "externalName",
    "externalTrafficPolicy",
    "fieldPath",
    "generateName",
    "hostIP",
    "hostname",
    "imagePullPolicy",
    "loadBalancerIP",
    "nodeName",
    "podManagementPolicy",
    "priorityClassName",
    "protocol",
    "resourceVersion",
    "schedulerName",
    "selfLink",
    "serviceAccount",
    "serviceAccountName",
    "sessionAffinity",
    "subPath",
    "subPathExpr",
    "subdomain",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "uid",
    "volumeName",
    "workingDir",
];

/// Collections of `ObjectMeta` that vanish when empty.
const OMIT_EMPTY_META: &[&str] = &["labels", "annotations", "finalizers", "ownerReferences", "managedFields", "namespace", "name"];

/// Rewrites in place. Fails with the path and reason of the first quantity that is none.
pub(super) fn canonicalise(value: &mut Value, kind: &str) -> Result<(), (String, quantity::QuantityError)> {
    // Their `data`, schema and rules are not Kubernetes' own fields.
    if matches!(kind, "ConfigMap" | "Secret" | "ControllerRevision" | "CustomResourceDefinition") {
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            trim_meta(meta);
        }
        return Ok(());
    }
    walk(value, "", &mut Vec::new()).map_err(|(path, e)| (path.join("."), e))
}

type Fault = (Vec<String>, quantity::QuantityError);

fn walk(value: &mut Value, name: &str, path: &mut Vec<String>) -> Result<(), Fault> {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                // The name stays the list's own: `metrics[0]`.
                path.push(index.to_string());
                match item.as_str() {
                    Some(text) if name == "validValues" => *item = respell(text, path)?.into(),
                    _ => walk(item, name, path)?,
                }
                path.pop();
            }
            Ok(())
        }
        Value::Object(members) => walk_members(members, name, path),
        _ => Ok(()),
    }
}

fn walk_members(members: &mut Map<String, Value>, name: &str, path: &mut Vec<String>) -> Result<(), Fault> {
    if name == "metadata" {
        trim_meta(members);
        return Ok(());
    }
    // The protocol of a load balancer's port is no optional field, and has no default.
    let kept =
        matches!(path.as_slice(), [.., outer, list, _, ports, _] if outer == "loadBalancer" && list == "ingress" && ports == "ports");
    members.retain(|key, member| !(member.as_str() == Some("") && OMIT_EMPTY.contains(&key.as_str()) && !(kept && key == "protocol")));
    for (key, member) in members.iter_mut() {
        if OPAQUE.contains(&key.as_str()) {
            continue;
        }
        path.push(key.clone());
        if let Some(text) = member.as_str() {
            if QUANTITIES.contains(&key.as_str()) || is_amount(name, path) {
                *member = respell(text, path)?.into();
            }
        } else if QUANTITY_MAPS.contains(&key.as_str()) && is_string_map(member) {
            respell_map(member, path)?;
        } else {
            walk(member, key, path)?;
        }
        path.pop();
    }
    Ok(())
}

/// Whether the string at this path, in the object of this name, is a quantity though others of its name are none: a metric's target or
/// current value, and what a device has and gives (`capacity.memory.value`).
fn is_amount(name: &str, path: &[String]) -> bool {
    match path {
        [.., last] if last == "value" && matches!(name, "target" | "current") => true,
        [.., map, _, last] if last == "value" && map == "capacity" => true,
        [.., last] => name == "validRange" || (name == "requestPolicy" && last == "default"),
        [] => false,
    }
}

fn is_string_map(value: &Value) -> bool {
    value.as_object().is_some_and(|m| m.values().all(Value::is_string))
}

fn respell_map(map: &mut Value, path: &mut Vec<String>) -> Result<(), Fault> {
    for (key, member) in map.as_object_mut().into_iter().flatten() {
        path.push(key.clone());
        if let Some(text) = member.as_str() {
            *member = respell(text, path)?.into();
        }
        path.pop();
    }
    Ok(())
}

fn respell(text: &str, path: &[String]) -> Result<String, Fault> {
    quantity::canonical(text.trim()).map_err(|e| (path.to_vec(), e))
}

fn trim_meta(meta: &mut Map<String, Value>) {
    meta.retain(|key, member| {
        let empty = match member {
            Value::String(s) => s.is_empty(),
            Value::Array(a) => a.is_empty(),
            Value::Object(o) => o.is_empty(),
            Value::Number(n) => key == "generation" && n.as_i64() == Some(0),
            _ => false,
        };
        !(empty && (key == "generation" || OMIT_EMPTY.contains(&key.as_str()) || OMIT_EMPTY_META.contains(&key.as_str())))
    });
}
