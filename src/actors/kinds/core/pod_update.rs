//! What may change in a pod once it exists: through the pod itself, its status, `ephemeralcontainers` and `resize`.
use super::pod::qos_class;
use crate::protocol::names;
use crate::protocol::quantity::Quantity;
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::members;
use crate::protocol::validation::{same, validate_toleration};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

const FROZEN: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const MIRROR: &str = "kubernetes.io/config.mirror";
/// So many differences are named in the refusal of an update.
const SHOWN: usize = 20;

fn list<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Checks an update of the pod itself.
pub(super) fn validate(new: &Value, old: &Value) -> Vec<FieldError> {
    let (spec, before) = (&new["spec"], &old["spec"]);
    let mut faults = mirror_annotation(new, old);
    for containers in ["containers", "initContainers"] {
        if list(spec, containers).len() != list(before, containers).len() {
            faults.push(FieldError::forbidden(format!("spec.{containers}"), "pod updates may not add or remove containers"));
            return faults;
        }
    }
    if let Some(fault) = deadline(&spec["activeDeadlineSeconds"], &before["activeDeadlineSeconds"]) {
        faults.push(fault);
        return faults;
    }
    faults.extend(tolerations(list(spec, "tolerations"), list(before, "tolerations")));
    let known: Vec<&Value> = list(before, "schedulingGates").iter().map(|g| &g["name"]).collect();
    for (index, gate) in list(spec, "schedulingGates").iter().enumerate().filter(|(_, g)| !known.contains(&&g["name"])) {
        let why = format!("only deletion is allowed, but found new scheduling gate '{}'", gate["name"].as_str().unwrap_or_default());
        faults.push(FieldError::forbidden(format!("spec.schedulingGates[{index}].name"), why));
    }
    let mut munged = spec.clone();
    restore(&mut munged, before);
    if !known.is_empty() {
        gated(&mut munged, before, &mut faults);
    }
    if !same(&munged, before) {
        let mut lines = Vec::new();
        differences(before, &munged, "", &mut lines);
        faults.push(FieldError::forbidden("spec", format!("{FROZEN}\n  core.PodSpec{{\n{}  }}\n", lines.concat())));
    }
    faults
}

fn mirror_annotation(new: &Value, old: &Value) -> Vec<FieldError> {
    let (now, before) = (&new["metadata"]["annotations"][MIRROR], &old["metadata"]["annotations"][MIRROR]);
    let why = match (now.is_null(), before.is_null()) {
        _ if now == before => return Vec::new(),
        (false, true) => "may not add mirror pod annotation",
        _ => "may not remove or update mirror pod annotation",
    };
    vec![FieldError::forbidden(format!("metadata.annotations[{MIRROR}]"), why)]
}

/// A deadline may be set and brought forward.
fn deadline(now: &Value, before: &Value) -> Option<FieldError> {
    let path = "spec.activeDeadlineSeconds";
    match (now.as_i64(), before.as_i64()) {
        (Some(now), _) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            Some(FieldError::invalid(path, now, "must be between 0 and 2147483647, inclusive"))
        }
        (Some(now), Some(before)) if before < now => Some(FieldError::invalid(path, now, "must be less than or equal to previous value")),
        (None, Some(_)) => Some(FieldError::invalid(path, Value::Null, "must not update from a positive integer to nil value")),
        _ => None,
    }
}

fn tolerations(now: &[Value], before: &[Value]) -> Vec<FieldError> {
    let lasting = |toleration: &Value| {
        let mut toleration = toleration.clone();
        members(&mut toleration).remove("tolerationSeconds");
        toleration
    };
    if before.iter().any(|old| !now.iter().any(|new| same(&lasting(new), &lasting(old)))) {
        return vec![FieldError::forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")];
    }
    let mut faults = Vec::new();
    for (index, toleration) in now.iter().enumerate() {
        validate_toleration(toleration, &format!("spec.tolerations[{index}]"), &mut faults);
    }
    faults
}

/// Puts back what may change, so that the rest can be compared.
fn restore(spec: &mut Value, before: &Value) {
    for containers in ["containers", "initContainers"] {
        let olds = list(before, containers);
        for (container, old) in spec.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten().zip(olds) {
            put(members(container), old, "image");
        }
    }
    let spec = members(spec);
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(spec, before, field);
    }
    let negative = before["terminationGracePeriodSeconds"].as_i64().is_some_and(|n| n < 0);
    if negative && spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64) == Some(1) {
        put(spec, before, "terminationGracePeriodSeconds");
    }
}

fn put(into: &mut Map<String, Value>, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => into.insert(field.into(), value.clone()),
        None => into.remove(field),
    };
}

/// Where a pod may run can be narrowed down as long as a gate holds it back.
fn gated(spec: &mut Value, before: &Value, faults: &mut Vec<FieldError>) {
    let (now, held) = (&spec["nodeSelector"], &before["nodeSelector"]);
    if held.as_object().into_iter().flatten().any(|(k, v)| now.get(k) != Some(v)) {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        faults.push(FieldError::invalid("spec.nodeSelector", now.clone(), why));
    }
    let required = |spec: &Value| {
        let terms = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        terms.as_array().cloned().unwrap_or_default()
    };
    let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let (terms, olds) = (required(spec), required(before));
    if !olds.is_empty() && olds.len() != terms.len() {
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        faults.push(FieldError::invalid(path, Value::from(terms), why));
    } else {
        for (index, (term, old)) in terms.iter().zip(&olds).enumerate() {
            let grown = ["matchExpressions", "matchFields"].iter().all(|f| list(old, f).iter().all(|r| list(term, f).contains(r)));
            if !grown || (same(old, &Value::Null) && !same(term, &Value::Null)) {
                let why = "only additions are allowed (no mutations or deletions)";
                faults.push(FieldError::invalid(format!("{path}[{index}]"), term.clone(), why));
            }
        }
    }
    let spec = members(spec);
    put(spec, before, "nodeSelector");
    let mut affinity = spec.remove("affinity").unwrap_or_else(|| json!({}));
    put(members(&mut affinity), &before["affinity"], "nodeAffinity");
    if !same(&affinity, &Value::Null) {
        spec.insert("affinity".into(), affinity);
    }
}

/// The differences between two values as lines with `-` and `+`.
fn differences(old: &Value, new: &Value, path: &str, lines: &mut Vec<String>) {
    if same(old, new) || lines.len() >= 2 * SHOWN {
        return;
    }
    match (old, new) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            for key in keys {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(&old[key], &new[key], &at, lines);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (index, (a, b)) in x.iter().zip(y).enumerate() {
                differences(a, b, &format!("{path}[{index}]"), lines);
            }
        }
        _ => {
            for (sign, value) in [('-', old), ('+', new)] {
                if !value.is_null() {
                    lines.push(format!("{sign} \t{path}: {value},\n"));
                }
            }
        }
    }
}

/// Checks an update of the status.
pub(super) fn validate_status(new: &Value, old: &Value) -> Vec<FieldError> {
    let (status, before, spec) = (&new["status"], &old["status"], &old["spec"]);
    let mut faults = mirror_annotation(new, old);
    for (index, condition) in list(status, "conditions").iter().enumerate() {
        let type_ = condition["type"].as_str().unwrap_or_default();
        let why = names::qualified_name(type_).into_iter();
        faults.extend(why.map(|why| FieldError::invalid(format!("metadata.conditions[{index}].Type"), type_, why)));
    }
    let nominated = status["nominatedNodeName"].as_str().unwrap_or_default();
    if !nominated.is_empty() && status["nominatedNodeName"] != before["nominatedNodeName"] {
        let why = names::dns1123_subdomain(nominated).into_iter();
        faults.extend(why.map(|why| FieldError::invalid("status.nominatedNodeName", nominated, why)));
    }
    // A writer that leaves the class out keeps it.
    if !status["qosClass"].is_null() && !before["qosClass"].is_null() && status["qosClass"] != before["qosClass"] {
        faults.push(FieldError::invalid("status.qosClass", status["qosClass"].clone(), "field is immutable"));
    }
    let policy = spec["restartPolicy"].as_str().unwrap_or_default();
    let sidecar = |name: &Value| list(spec, "initContainers").iter().any(|c| c["name"] == *name && c["restartPolicy"] == "Always");
    for (field, policy) in [("containerStatuses", policy), ("initContainerStatuses", policy), ("ephemeralContainerStatuses", "Never")] {
        let inits = field == "initContainerStatuses";
        let own_rules = |name: &Value| {
            let all = ["containers", "initContainers"].into_iter().flat_map(|l| list(spec, l));
            all.into_iter().any(|c| c["name"] == *name && !c["restartPolicy"].is_null())
        };
        for (index, was) in list(before, field).iter().enumerate() {
            let ended = &was["state"]["terminated"];
            let may_restart = policy == "Always"
                || ended.is_null()
                || (policy == "OnFailure" && ended["exitCode"] != 0)
                || (inits && sidecar(&was["name"]))
                || own_rules(&was["name"]);
            let revived = list(status, field).iter().any(|s| s["name"] == was["name"] && s["state"]["terminated"].is_null());
            if !may_restart && revived {
                faults.push(FieldError::forbidden(
                    format!("status.{field}[{index}].state"),
                    "may not be transitioned to non-terminated state",
                ));
            }
        }
    }
    addresses(status, "podIPs", &mut faults);
    addresses(status, "hostIPs", &mut faults);
    faults
}

/// One address for each family at most, the first the same as the single one.
fn addresses(status: &Value, field: &str, faults: &mut Vec<FieldError>) {
    let path = format!("status.{field}");
    let mut seen = HashSet::new();
    let mut families = [0, 0];
    for (index, ip) in list(status, field).iter().enumerate() {
        let text = ip["ip"].as_str().unwrap_or_default();
        match text.parse::<std::net::IpAddr>() {
            Err(_) => {
                let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                faults.push(FieldError::invalid(format!("{path}[{index}]"), text, why));
            }
            Ok(std::net::IpAddr::V4(_)) => families[0] += 1,
            Ok(std::net::IpAddr::V6(_)) => families[1] += 1,
        }
        if !seen.insert(text) {
            faults.push(FieldError::duplicate(format!("{path}[{index}]"), ip.clone()));
        }
    }
    if families.iter().any(|count| *count > 1) {
        faults.push(FieldError::invalid(path, status[field].clone(), "may specify no more than one IP for each IP family"));
    }
}

/// The pod with the ephemeral containers of `body`, which is a whole pod too; nothing else of it counts.
pub fn merge_ephemeral_containers(old: &Value, body: &Value) -> Value {
    let mut new = old.clone();
    if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) {
        put(spec, &body["spec"], "ephemeralContainers");
    }
    new
}

/// Checks what [`merge_ephemeral_containers`] came to, besides the rules of any pod: those that are there stay as they are.
pub fn validate_ephemeral_containers(new: &Value, old: &Value) -> Vec<FieldError> {
    if !old["metadata"]["annotations"][MIRROR].is_null() {
        return vec![FieldError::forbidden("", "static pods do not support ephemeral containers")];
    }
    let path = "spec.ephemeralContainers";
    let mut faults = Vec::new();
    for old in list(&old["spec"], "ephemeralContainers") {
        let name = old["name"].as_str().unwrap_or_default();
        match list(&new["spec"], "ephemeralContainers").iter().find(|c| c["name"] == name) {
            None => faults.push(FieldError::forbidden(path, format!("existing ephemeral containers {name:?} may not be removed\n"))),
            Some(now) if !same(now, old) => {
                let mut lines = Vec::new();
                differences(old, now, "", &mut lines);
                let why = format!("existing ephemeral containers {name:?} may not be changed\n{}", lines.concat());
                faults.push(FieldError::forbidden(path, why));
            }
            Some(_) => {}
        }
    }
    faults
}

/// The pod with the resources and resize policies of `body`, which is a whole pod too, by the containers' names; nothing else of it
/// counts. Of the init containers only those that keep running can be resized.
pub fn merge_resize(old: &Value, body: &Value) -> Value {
    let mut new = old.clone();
    for containers in ["containers", "initContainers"] {
        let wanted = list(&body["spec"], containers);
        let mine = new.get_mut("spec").and_then(|s| s.get_mut(containers)).and_then(Value::as_array_mut);
        for container in mine.into_iter().flatten() {
            let Some(wish) = wanted.iter().find(|c| c["name"] == container["name"]) else { continue };
            if containers == "containers" || container["restartPolicy"] == "Always" {
                for field in ["resources", "resizePolicy"] {
                    put(members(container), wish, field);
                }
            }
        }
    }
    new
}

/// Checks what [`merge_resize`] came to, besides the rules of any pod.
pub fn validate_resize(new: &Value, old: &Value) -> Vec<FieldError> {
    let refuse = |why: &str| vec![FieldError::forbidden("", why)];
    let pod_level = |pod: &Value| ["requests", "limits"].iter().any(|l| !same(&pod["spec"]["resources"][*l], &Value::Null));
    if pod_level(old) || pod_level(new) {
        return refuse("pods with pod-level resources cannot be resized");
    }
    if !old["metadata"]["annotations"][MIRROR].is_null() {
        return refuse("static pods cannot be resized");
    }
    if old["spec"]["os"]["name"] == "windows" {
        return refuse("windows pods cannot be resized");
    }
    let mut faults = Vec::new();
    let class = old["status"]["qosClass"].as_str().unwrap_or_else(|| qos_class(&old["spec"]));
    if class != qos_class(&new["spec"]) {
        let why = "Pod QOS Class may not change as a result of resizing";
        faults.push(FieldError::invalid("spec", new["status"]["qosClass"].clone(), why));
    }
    for containers in ["containers", "initContainers"] {
        let pairs = list(&new["spec"], containers).iter().zip(list(&old["spec"], containers));
        for (index, (now, was)) in pairs.enumerate() {
            resized(&now["resources"], &was["resources"], &format!("spec.{containers}[{index}].resources"), &mut faults);
        }
    }
    faults
}

fn resized(now: &Value, was: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for amounts in ["requests", "limits"] {
        let held = was[amounts].as_object();
        if held.into_iter().flatten().any(|(name, _)| now[amounts][name].is_null()) {
            faults.push(FieldError::forbidden(format!("{path}.{amounts}"), format!("resource {amounts} cannot be removed")));
        }
        let changed = |name: &String, amount: &Value| {
            let parse = |v: &Value| v.as_str().and_then(|t| t.parse::<Quantity>().ok());
            match (parse(amount), parse(&was[amounts][name])) {
                (Some(a), Some(b)) => a.compare(&b).is_ne(),
                _ => true,
            }
        };
        let given = now[amounts].as_object().into_iter().flatten();
        if given.into_iter().any(|(name, amount)| !matches!(name.as_str(), "cpu" | "memory") && changed(name, amount)) {
            faults.push(FieldError::forbidden("spec", "only cpu and memory resources are mutable"));
        }
    }
    if !same(&now["claims"], &was["claims"]) {
        faults.push(FieldError::forbidden("spec", "only cpu and memory resources are mutable"));
    }
}
