//! The templates that workloads make pods from.
use super::{labels, meta, text, validate_pod_spec};
use crate::status::FieldError;
use serde_json::Value;

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Checks a `PodTemplateSpec`; `path` is where it stands: `spec.template`.
pub fn validate_pod_template(template: &Value, path: &str) -> Vec<FieldError> {
    let meta = &template["metadata"];
    let spec = &template["spec"];
    let at_annotations = format!("{path}.annotations");
    let mut faults = labels(&meta["labels"], &format!("{path}.labels"));
    faults.extend(meta::annotations(&meta["annotations"], &at_annotations));
    faults.extend(pod_annotations(&meta["annotations"], spec, &at_annotations));
    faults.extend(validate_pod_spec(spec, &format!("{path}.spec")));
    if spec["ephemeralContainers"].as_array().is_some_and(|l| !l.is_empty()) {
        faults.push(FieldError::forbidden(format!("{path}.spec.ephemeralContainers"), "ephemeral containers not allowed in pod template"));
    }
    faults
}

/// What controllers that keep pods running ask of a template: pods that are always restarted and have no deadline. `kind` is the
/// controller's.
pub fn only_always(template: &Value, path: &str, kind: &str) -> Vec<FieldError> {
    let spec = &template["spec"];
    let mut faults = Vec::new();
    let policy = text(spec, "restartPolicy");
    if policy != "Always" {
        faults.push(FieldError::not_supported(format!("{path}.spec.restartPolicy"), policy, &["Always"]));
    }
    if !spec["activeDeadlineSeconds"].is_null() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        faults.push(FieldError::forbidden(format!("{path}.spec.activeDeadlineSeconds"), why));
    }
    faults
}

/// Annotations that mean something to pods.
pub fn pod_annotations(annotations: &Value, spec: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let field = format!("{path}[{key}]");
        if key == MIRROR && text(spec, "nodeName").is_empty() {
            faults.push(FieldError::invalid(&*field, value, "must set spec.nodeName if mirror pod annotation is set"));
        }
        if key == DELETION_COST && !is_cost(value) {
            faults.push(FieldError::invalid(&*field, value, "must be a 32bit integer"));
        }
        if (key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER)) && !is_seccomp(value) {
            faults.push(FieldError::invalid(format!("{path}.{key}"), value, "must be a valid seccomp profile"));
        }
        if let Some(container) = key.strip_prefix(APP_ARMOR) {
            let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter().filter_map(|l| spec[l].as_array());
            if !lists.flatten().any(|c| c["name"] == container) {
                faults.push(FieldError::invalid(&*field, container, "container not found"));
            }
            if !matches!(value, "" | "runtime/default" | "unconfined") && !value.starts_with("localhost/") {
                faults.push(FieldError::invalid(field, value, format!("invalid AppArmor profile name: {value:?}")));
            }
        }
    }
    faults
}

/// A 32-bit number without a plus sign or leading zeroes.
fn is_cost(value: &str) -> bool {
    value.parse::<i32>().is_ok_and(|n| n.to_string() == value)
}

fn is_seccomp(value: &str) -> bool {
    matches!(value, "runtime/default" | "docker/default" | "unconfined") || value.starts_with("localhost/")
}
