//! Security contexts of pods and containers.
use super::Pod;
use super::volumes::descending_path;
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, one_of_if_set, text};
use serde_json::Value;
use std::collections::HashSet;

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL_MAX: usize = 253;
const SYSCTL: &str =
    r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
/// `PATH_MAX` less the end of the text.
const PROFILE_PATH_MAX: usize = 4095;
const CREDENTIAL_SPEC_MAX: usize = 64 * 1024;

pub(super) fn of_pod(pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let (spec, context) = (pod.spec, &pod.spec["securityContext"]);
    let path = format!("{}.securityContext", pod.path);
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        faults.extend(not_an_id(&context[field], format!("{path}.{field}")));
    }
    for (path, group) in items(context, &path, "supplementalGroups") {
        faults.extend(not_an_id(group, path));
    }
    if spec["shareProcessNamespace"] == true && spec["hostPID"] == true {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        faults.push(FieldError::invalid(format!("{path}.shareProcessNamespace"), true, why));
    }
    sysctls(pod, &path, faults);
    faults.extend(one_of_if_set(context, &path, "fsGroupChangePolicy", &["Always", "OnRootMismatch"]));
    seccomp(&context["seccompProfile"], &format!("{path}.seccompProfile"), faults);
    windows(&context["windowsOptions"], &format!("{path}.windowsOptions"), faults);
    app_armor(&context["appArmorProfile"], &format!("{path}.appArmorProfile"), faults);
    faults.extend(one_of_if_set(context, &path, "supplementalGroupsPolicy", &["Merge", "Strict"]));
    faults.extend(one_of_if_set(context, &path, "seLinuxChangePolicy", &["MountOption", "Recursive"]));
    if !pod.host_users() {
        for (field, name) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
            if spec[field] == true {
                faults.push(FieldError::forbidden(format!("{}.{name}", pod.path), "when `pod.Spec.HostUsers` is false"));
            }
        }
    }
    host_process(pod, faults);
}

pub(super) fn of_container(container: &Value, path: &str, host_users: bool, faults: &mut Vec<FieldError>) {
    let context = &container["securityContext"];
    if !context.is_object() {
        return;
    }
    let path = format!("{path}.securityContext");
    for field in ["runAsUser", "runAsGroup"] {
        faults.extend(not_an_id(&context[field], format!("{path}.{field}")));
    }
    if let Some(kind) = context["procMount"].as_str() {
        if !matches!(kind, "Default" | "Unmasked") {
            faults.push(FieldError::not_supported(format!("{path}.procMount"), kind, &["Default", "Unmasked"]));
        }
        if host_users && kind == "Unmasked" {
            faults.push(FieldError::invalid(format!("{path}.procMount"), kind, "`hostUsers` must be false to use `Unmasked`"));
        }
    }
    seccomp(&context["seccompProfile"], &format!("{path}.seccompProfile"), faults);
    if context["allowPrivilegeEscalation"] == false {
        if context["privileged"] == true {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            faults.push(FieldError::invalid(&*path, context.clone(), why));
        }
        if context["capabilities"]["add"].as_array().is_some_and(|l| l.iter().any(|c| c == "CAP_SYS_ADMIN")) {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            faults.push(FieldError::invalid(&*path, context.clone(), why));
        }
    }
    windows(&context["windowsOptions"], &format!("{path}.windowsOptions"), faults);
    app_armor(&context["appArmorProfile"], &format!("{path}.appArmorProfile"), faults);
}

fn not_an_id(id: &Value, path: String) -> Option<FieldError> {
    let id = id.as_i64().filter(|id| !(0..=i64::from(i32::MAX)).contains(id))?;
    Some(FieldError::invalid(path, id, "must be between 0 and 2147483647, inclusive"))
}

fn sysctls(pod: &Pod<'_>, path: &str, faults: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (path, sysctl) in items(&pod.spec["securityContext"], path, "sysctls") {
        let name = text(sysctl, "name");
        let path = format!("{path}.name");
        if name.is_empty() {
            faults.push(FieldError::required(&*path, ""));
        } else if !is_sysctl(name) {
            faults.push(FieldError::invalid(&*path, name, SYSCTL));
        } else if !seen.insert(name) {
            faults.push(FieldError::duplicate(&*path, name));
        }
        let dotted = name.replace('/', ".");
        let net = dotted.starts_with("net.");
        let ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|p| dotted.starts_with(p)) || dotted == "kernel.sem";
        for (field, shared) in [("hostNetwork", net), ("hostIPC", ipc)] {
            if shared && pod.spec[field] == true {
                faults.push(FieldError::invalid(&*path, name, format!("may not be specified when '{field}' is true")));
            }
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let end = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let segment = |s: &str| {
        let bytes = s.as_bytes();
        bytes.first().is_some_and(end) && bytes.last().is_some_and(end) && bytes.iter().all(|b| end(b) || b"-_".contains(b))
    };
    name.len() <= SYSCTL_MAX && name.split(['.', '/']).all(segment)
}

fn seccomp(profile: &Value, path: &str, faults: &mut Vec<FieldError>) {
    if !profile.is_object() {
        return;
    }
    let local = profile["localhostProfile"].as_str();
    match text(profile, "type") {
        "" => faults.push(FieldError::required(format!("{path}.type"), "type is required when seccompProfile is set")),
        kind if PROFILES.contains(&kind) => {}
        other => faults.push(FieldError::not_supported(format!("{path}.type"), other, &PROFILES)),
    }
    let at = format!("{path}.localhostProfile");
    match (text(profile, "type") == "Localhost", local) {
        (true, None) => faults.push(FieldError::required(at, "must be set when seccomp type is Localhost")),
        (true, Some(local)) => faults.extend(descending_path(local, &at)),
        (false, Some(_)) => faults.push(FieldError::invalid(at, profile.clone(), "can only be set when seccomp type is Localhost")),
        (false, None) => {}
    }
}

fn app_armor(profile: &Value, path: &str, faults: &mut Vec<FieldError>) {
    if !profile.is_object() {
        return;
    }
    let local = profile["localhostProfile"].as_str();
    let at = format!("{path}.localhostProfile");
    match text(profile, "type") {
        "Localhost" => match local {
            None => faults.push(FieldError::required(at, "must be set when AppArmor type is Localhost")),
            Some(name) if name.trim() != name => faults.push(FieldError::invalid(at, name, "must not be padded with whitespace")),
            Some("") => faults.push(FieldError::required(at, "must be set when AppArmor type is Localhost")),
            Some(name) if name.len() > PROFILE_PATH_MAX => faults.push(FieldError::too_long(at, PROFILE_PATH_MAX)),
            Some(_) => {}
        },
        "RuntimeDefault" | "Unconfined" => {
            if let Some(name) = local {
                faults.push(FieldError::invalid(at, name, "can only be set when AppArmor type is Localhost"));
            }
        }
        "" => faults.push(FieldError::required(format!("{path}.type"), "type is required when appArmorProfile is set")),
        other => faults.push(FieldError::not_supported(format!("{path}.type"), other, &PROFILES)),
    }
}

fn windows(options: &Value, path: &str, faults: &mut Vec<FieldError>) {
    if let Some(name) = options["gmsaCredentialSpecName"].as_str() {
        faults.extend(invalid_each(&format!("{path}.gmsaCredentialSpecName"), name, names::dns1123_subdomain(name)));
    }
    if let Some(spec) = options["gmsaCredentialSpec"].as_str() {
        let path = format!("{path}.gmsaCredentialSpec");
        if spec.is_empty() {
            faults.push(FieldError::invalid(path, spec, "gmsaCredentialSpec cannot be an empty string"));
        } else if spec.len() > CREDENTIAL_SPEC_MAX {
            faults.push(FieldError::invalid(path, spec, "gmsaCredentialSpec size must be under 64 KiB"));
        }
    }
    let Some(user) = options["runAsUserName"].as_str() else { return };
    let path = format!("{path}.runAsUserName");
    let mut refuse = |why: &str| faults.push(FieldError::invalid(&*path, user, why));
    if user.is_empty() {
        return refuse("runAsUserName cannot be an empty string");
    }
    if user.chars().any(char::is_control) {
        return refuse("runAsUserName cannot contain control characters");
    }
    let (domain, name) = user.split_once('\\').map_or((None, user), |(domain, name)| (Some(domain), name));
    if name.contains('\\') {
        return refuse("runAsUserName cannot contain more than one backslash");
    }
    if domain.is_some_and(|d| d.len() >= 256) {
        refuse("runAsUserName's Domain length must be under 256 characters");
    }
    if domain.is_some_and(|d| d.is_empty() || d.contains(['/', ':', '*', '?', '"', '<', '>', '|']) || d.starts_with('.')) {
        refuse("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
    if name.is_empty() {
        refuse("runAsUserName's User cannot be empty");
    } else if name.len() > 104 {
        refuse("runAsUserName's User length must not be longer than 104 characters");
    }
    if !name.is_empty() && name.chars().all(|c| c == '.' || c == ' ') {
        refuse("runAsUserName's User cannot contain only periods or spaces");
    }
    if name.contains(['"', '/', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        refuse(r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#);
    }
}

/// Windows' containers in the host: all of a pod's, or none.
fn host_process(pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let of_pod = pod.spec["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
    let (mut all, mut hosted) = (0, 0);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (path, container) in items(pod.spec, pod.path, list) {
            let own = container["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
            all += 1;
            hosted += usize::from(own.or(of_pod) == Some(true));
            if let (Some(own), Some(of_pod)) = (own, of_pod)
                && own != of_pod
            {
                let why = format!("pod hostProcess value must be identical if both are specified, was {of_pod}");
                faults.push(FieldError::invalid(format!("{path}.securityContext.windowsOptions.hostProcess"), own, why));
            }
        }
    }
    if hosted == 0 {
        return;
    }
    if hosted != all {
        let why = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        faults.push(FieldError::invalid(pod.path, "", why));
    }
    if pod.spec["hostNetwork"] != true {
        let why = "hostNetwork must be true if pod contains any hostProcess containers";
        faults.push(FieldError::invalid(format!("{}.hostNetwork", pod.path), false, why));
    }
}
