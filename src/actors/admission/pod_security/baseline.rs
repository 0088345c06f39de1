//! The checks of the baseline level.
use super::checks::{Check, Finding, Pod, containers, named, plural, quoted, setters, strangers};
use crate::actors::admission::refusal::{list, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every check, by upstream's names.
pub fn all() -> Vec<Check> {
    let mut checks: Vec<Check> = vec![app_armor, capabilities, host_namespaces, host_paths, host_ports, host_probes, privileged];
    checks.extend([proc_mount_baseline as Check, selinux, seccomp, sysctls, host_process]);
    checks
}

/// Those that the restricted level keeps: for some it has stricter ones.
pub fn below_restricted(minor: u32) -> Vec<Check> {
    let mut checks: Vec<Check> = vec![app_armor];
    if minor < 22 {
        checks.push(capabilities);
    }
    checks.extend([host_namespaces as Check, host_ports, host_probes, privileged]);
    if minor < 35 {
        checks.push(proc_mount_baseline);
    }
    checks.push(selinux);
    if minor < 19 {
        checks.push(seccomp);
    }
    checks.extend([sysctls as Check, host_process]);
    checks
}

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

fn app_armor(pod: Pod<'_>) -> Option<Finding> {
    let bad = |s: &Value| {
        let profile = &s["appArmorProfile"];
        profile.is_object() && !matches!(text(profile, "type"), "RuntimeDefault" | "Localhost")
    };
    let kind = |s: &Value| text(&s["appArmorProfile"], "type").to_string();
    let names = named(pod, bad);
    let mut values: BTreeSet<String> = pod.containers().map(|c| &c["securityContext"]).filter(|s| bad(s)).map(kind).collect();
    let whole = bad(pod.security());
    if whole {
        values.insert(kind(pod.security()));
    }
    let allowed = |v: &str| v.is_empty() || v == "runtime/default" || v.starts_with("localhost/");
    let annotations = pod.meta["annotations"].as_object().into_iter().flatten();
    let mut marked: Vec<String> = annotations
        .filter(|(k, v)| k.starts_with(APP_ARMOR) && !allowed(v.as_str().unwrap_or_default()))
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    marked.sort();
    let mut who: Vec<String> = setters(whole, &names).into_iter().collect();
    if !marked.is_empty() {
        who.push(plural("annotation", "annotations", marked.len()).into());
    }
    if who.is_empty() {
        return None;
    }
    let values: Vec<String> = values.into_iter().chain(marked).collect();
    let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    Finding::new(reason, format!("{} must not set AppArmor profile type to {}", who.join(" and "), quoted(&values)))
}

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn capabilities(pod: Pod<'_>) -> Option<Finding> {
    let foreign = |s: &Value| strangers(list(&s["capabilities"], "add"), &CAPABILITIES);
    let bad = named(pod, |s| !foreign(s).is_empty());
    if bad.is_empty() {
        return None;
    }
    let added: BTreeSet<String> = pod.containers().flat_map(|c| foreign(&c["securityContext"])).collect();
    let detail = format!("{} must not include {} in securityContext.capabilities.add", containers(&bad), quoted(&added));
    Finding::new("non-default capabilities", detail)
}

fn host_namespaces(pod: Pod<'_>) -> Option<Finding> {
    let set = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| pod.spec[*field] == true);
    let set: Vec<String> = set.map(|field| format!("{field}=true")).collect();
    if set.is_empty() { None } else { Finding::new("host namespaces", set.join(", ")) }
}

fn host_paths(pod: Pod<'_>) -> Option<Finding> {
    let bad = list(pod.spec, "volumes").iter().filter(|v| v.get("hostPath").is_some()).map(|v| text(v, "name"));
    let bad: Vec<&str> = bad.collect();
    if bad.is_empty() {
        return None;
    }
    Finding::new("hostPath volumes", format!("{} {}", plural("volume", "volumes", bad.len()), quoted(&bad)))
}

fn host_ports(pod: Pod<'_>) -> Option<Finding> {
    let ports = |c: &Value| -> Vec<String> {
        let ports = list(c, "ports").iter().filter_map(|p| p["hostPort"].as_i64());
        ports.filter(|p| *p != 0).map(|p| p.to_string()).collect()
    };
    let bad: Vec<String> = pod.containers().filter(|c| !ports(c).is_empty()).map(|c| text(c, "name").to_string()).collect();
    if bad.is_empty() {
        return None;
    }
    let used: BTreeSet<String> = pod.containers().flat_map(ports).collect();
    let detail = format!(
        "{} {} {} {}",
        containers(&bad),
        plural("uses", "use", bad.len()),
        plural("hostPort", "hostPorts", used.len()),
        used.into_iter().collect::<Vec<_>>().join(", "),
    );
    Finding::new("hostPort", detail)
}

fn host_probes(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor < 34 {
        return None;
    }
    let hosts = |c: &Value| -> BTreeSet<String> {
        let handlers =
            [&c["livenessProbe"], &c["readinessProbe"], &c["startupProbe"], &c["lifecycle"]["postStart"], &c["lifecycle"]["preStop"]];
        let hosts = handlers.into_iter().flat_map(|h| [text(&h["httpGet"], "host"), text(&h["tcpSocket"], "host")]);
        hosts.filter(|h| !h.is_empty()).map(String::from).collect()
    };
    let bad: BTreeSet<String> = pod.containers().filter(|c| !hosts(c).is_empty()).map(|c| text(c, "name").to_string()).collect();
    if bad.is_empty() {
        return None;
    }
    let bad: Vec<String> = bad.into_iter().collect();
    let used: BTreeSet<String> = pod.containers().flat_map(hosts).collect();
    let detail = format!(
        "{} {} {} {}",
        containers(&bad),
        plural("uses", "use", bad.len()),
        plural("probe or lifecycle host", "probe or lifecycle hosts", used.len()),
        quoted(&used),
    );
    Finding::new("probe or lifecycle host", detail)
}

fn privileged(pod: Pod<'_>) -> Option<Finding> {
    let bad = named(pod, |s| s["privileged"] == true);
    if bad.is_empty() {
        return None;
    }
    Finding::new("privileged", format!("{} must not set securityContext.privileged=true", containers(&bad)))
}

fn proc_mount_baseline(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor >= 35 && pod.has_user_namespace() { None } else { proc_mount(pod) }
}

/// Nobody sees an unmasked /proc.
pub fn proc_mount(pod: Pod<'_>) -> Option<Finding> {
    let kind = |s: &Value| s["procMount"].as_str().filter(|k| *k != "Default").map(String::from);
    let bad = named(pod, |s| kind(s).is_some());
    if bad.is_empty() {
        return None;
    }
    let kinds: BTreeSet<String> = pod.containers().filter_map(|c| kind(&c["securityContext"])).collect();
    Finding::new("procMount", format!("{} must not set securityContext.procMount to {}", containers(&bad), quoted(&kinds)))
}

fn selinux(pod: Pod<'_>) -> Option<Finding> {
    let mut allowed = vec!["", "container_t", "container_init_t", "container_kvm_t"];
    if pod.minor >= 31 {
        allowed.push("container_engine_t");
    }
    let set = |s: &Value, field: &str| !text(&s["seLinuxOptions"], field).is_empty();
    let wrong = |s: &Value| !allowed.contains(&text(&s["seLinuxOptions"], "type"));
    let bad = |s: &Value| s["seLinuxOptions"].is_object() && (wrong(s) || set(s, "user") || set(s, "role"));
    let who = setters(bad(pod.security()), &named(pod, bad))?;
    let contexts: Vec<&Value> = std::iter::once(pod.security()).chain(pod.containers().map(|c| &c["securityContext"])).collect();
    let types: BTreeSet<&str> = contexts.iter().filter(|s| wrong(s)).map(|s| text(&s["seLinuxOptions"], "type")).collect();
    let mut faults = Vec::new();
    if !types.is_empty() {
        faults.push(format!("{} {}", plural("type", "types", types.len()), quoted(&types)));
    }
    for field in ["user", "role"] {
        if contexts.iter().any(|s| set(s, field)) {
            faults.push(format!("{field} may not be set"));
        }
    }
    Finding::new("seLinuxOptions", format!("{who} set forbidden securityContext.seLinuxOptions: {}", faults.join("; ")))
}

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

fn seccomp(pod: Pod<'_>) -> Option<Finding> {
    if pod.minor >= 19 {
        return seccomp_types(pod);
    }
    let names = pod.containers().map(|c| format!("{SECCOMP_CONTAINER}{}", text(c, "name")));
    let allowed = |v: &str| matches!(v, "runtime/default" | "docker/default") || v.starts_with("localhost/");
    let bad: BTreeSet<String> = std::iter::once(SECCOMP_POD.to_string())
        .chain(names)
        .filter_map(|key| pod.meta["annotations"][&key].as_str().filter(|v| !allowed(v)).map(|v| format!("{key}=\"{v}\"")))
        .collect();
    if bad.is_empty() {
        return None;
    }
    let listed = bad.iter().cloned().collect::<Vec<_>>().join(", ");
    Finding::new("seccompProfile", format!("forbidden {} {listed}", plural("annotation", "annotations", bad.len())))
}

/// Who sets a profile sets a good one.
pub fn seccomp_types(pod: Pod<'_>) -> Option<Finding> {
    let kind = |s: &Value| -> Option<String> {
        let profile = &s["seccompProfile"];
        let kind = text(profile, "type");
        (profile.is_object() && !matches!(kind, "RuntimeDefault" | "Localhost")).then(|| kind.to_string())
    };
    let who = setters(kind(pod.security()).is_some(), &named(pod, |s| kind(s).is_some()))?;
    let contexts = std::iter::once(pod.security()).chain(pod.containers().map(|c| &c["securityContext"]));
    let kinds: BTreeSet<String> = contexts.filter_map(kind).collect();
    Finding::new("seccompProfile", format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(&kinds)))
}

/// Safe sysctls, with the release that they are allowed from.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

fn sysctls(pod: Pod<'_>) -> Option<Finding> {
    let safe = |name: &str| SYSCTLS.iter().any(|(known, since)| *known == name && pod.minor >= *since);
    let bad: Vec<&str> = list(pod.security(), "sysctls").iter().map(|s| text(s, "name")).filter(|n| !safe(n)).collect();
    if bad.is_empty() { None } else { Finding::new("forbidden sysctls", bad.join(", ")) }
}

fn host_process(pod: Pod<'_>) -> Option<Finding> {
    let bad = |s: &Value| s["windowsOptions"]["hostProcess"] == true;
    let who = setters(bad(pod.security()), &named(pod, bad))?;
    Finding::new("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}
