//! `os`: a pod that says what it runs on has nothing of the other system.
use crate::status::FieldError;
use crate::validation::{items, same, text};
use serde_json::Value;

const LINUX_POD: [&str; 11] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];
const LINUX_SPEC: [&str; 4] = ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"];
const LINUX_CONTAINER: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

pub(super) fn validate(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    if !spec["os"].is_object() {
        return;
    }
    let (in_pod, in_spec, in_container, why): (&[&str], &[&str], &[&str], &str) = match text(&spec["os"], "name") {
        "linux" => (&["windowsOptions"], &[], &["windowsOptions"], "windows options cannot be set for a linux pod"),
        "windows" => (&LINUX_POD, &LINUX_SPEC, &LINUX_CONTAINER, "cannot be set for a windows pod"),
        "" => return faults.push(FieldError::required(format!("{path}.os.name"), "cannot be empty")),
        other => return faults.push(FieldError::not_supported(format!("{path}.os"), other, &["linux", "windows"])),
    };
    let mut refuse = |of: &Value, path: &str, fields: &[&str]| {
        for field in fields {
            let value = &of[*field];
            // Of hostPID and hostIPC only true counts: false is their absence.
            let off = matches!(*field, "hostPID" | "hostIPC") && *value == false;
            let absent = value.is_null() || off || (*field == "sysctls" && same(value, &Value::Null));
            if !absent {
                faults.push(FieldError::forbidden(format!("{path}.{field}"), why));
            }
        }
    };
    refuse(&spec["securityContext"], &format!("{path}.securityContext"), in_pod);
    refuse(spec, path, in_spec);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (path, container) in items(spec, path, list) {
            refuse(&container["securityContext"], &format!("{path}.securityContext"), in_container);
        }
    }
}
