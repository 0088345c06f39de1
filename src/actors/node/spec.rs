//! From a pod's words to what the runtime starts: pure, with every reference already resolved.
use super::env::{CONFIG_ERROR, Facts, environment, expand};
use super::object::PodObject;
use super::references::References;
use crate::protocol::quantity::Quantity;
use crate::runtime::api::{ContainerSpec, Dns, Image, Limits, Mount, Result, RuntimeError, SandboxSpec, Security};
use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the node keeps things, and how pods of it resolve names.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub data_dir: PathBuf,
    /// The cluster's DNS server, when there is one.
    pub dns_server: Option<String>,
    pub cluster_domain: String,
    /// The node's own `/etc/resolv.conf`.
    pub host_dns: Dns,
}

impl Places {
    /// `<data>/logs/pods/<ns>_<pod>_<uid>`.
    pub fn logs(&self, namespace: &str, pod: &str, uid: &str) -> PathBuf {
        self.data_dir.join("logs/pods").join(format!("{namespace}_{pod}_{uid}"))
    }

    /// The log of one attempt.
    pub fn log(&self, object: &PodObject, container: &str, attempt: u32) -> PathBuf {
        self.logs(&object.namespace, &object.name, &object.uid).join(container).join(format!("{attempt}.log"))
    }

    /// What the agent itself keeps for a pod: volumes, termination messages.
    pub fn pod(&self, uid: &str) -> PathBuf {
        self.data_dir.join("pods").join(uid)
    }
}

/// The id of one attempt of a container.
pub fn container_id(uid: &str, name: &str, attempt: u32) -> String {
    format!("{uid}-{name}-{attempt}")
}

/// The pod's sandbox.
pub fn sandbox_spec(object: &PodObject, places: &Places) -> SandboxSpec {
    let spec = &object.spec;
    let aliases = spec.host_aliases.iter().flatten().map(|a| (a.ip.clone(), a.hostnames.clone().unwrap_or_default()));
    let sysctls = spec.security_context.as_ref().and_then(|s| s.sysctls.as_ref());
    let qos = object.raw["status"]["qosClass"].as_str().unwrap_or("BestEffort").to_string();
    SandboxSpec {
        uid: object.uid.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        hostname: spec.hostname.clone().unwrap_or_else(|| object.name.clone()).chars().take(63).collect(),
        domain: spec.subdomain.as_ref().map_or(String::new(), |s| format!("{s}.{}.svc.{}", object.namespace, places.cluster_domain)),
        host_network: spec.host_network == Some(true),
        host_pid: spec.host_pid == Some(true),
        host_ipc: spec.host_ipc == Some(true),
        share_pid: spec.share_process_namespace == Some(true),
        host_aliases: aliases.collect(),
        dns: dns(object, places),
        limits: pod_limits(object),
        qos,
        sysctls: sysctls.into_iter().flatten().map(|s| (s.name.clone(), s.value.clone())).collect(),
    }
}

/// `/etc/resolv.conf` by `dnsPolicy` and `dnsConfig`.
fn dns(object: &PodObject, places: &Places) -> Dns {
    let policy = object.spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let on_host = object.spec.host_network == Some(true);
    let cluster = match policy {
        "ClusterFirst" => !on_host,
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut dns = match (&places.dns_server, policy) {
        (_, "None") => Dns::default(),
        (Some(server), _) if cluster => {
            let domain = &places.cluster_domain;
            let mut searches = vec![format!("{}.svc.{domain}", object.namespace), format!("svc.{domain}"), domain.clone()];
            searches.extend(places.host_dns.searches.iter().cloned());
            Dns { servers: vec![server.clone()], searches, options: vec!["ndots:5".into()] }
        }
        _ => places.host_dns.clone(),
    };
    if let Some(config) = &object.spec.dns_config {
        let own = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        dns.servers.extend(own(&config.nameservers));
        dns.searches.extend(own(&config.searches));
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            dns.options.retain(|o| o.split(':').next() != Some(name.as_str()));
            dns.options.push(option.value.as_ref().map_or_else(|| name.clone(), |v| format!("{name}:{v}")));
        }
    }
    dns
}

/// A container's own cgroup limits.
pub fn limits(resources: Option<&ResourceRequirements>) -> Limits {
    let read = |of: Option<&BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>, name: &str, milli: bool| {
        let quantity = of.and_then(|m| m.get(name)).and_then(|q| q.0.parse::<Quantity>().ok());
        let value = quantity.map_or(0, |q| if milli { q.milli_value() } else { q.value() });
        u64::try_from(value).unwrap_or(0)
    };
    let limit = resources.and_then(|r| r.limits.as_ref());
    let request = resources.and_then(|r| r.requests.as_ref());
    let or = |a: u64, b: u64| if a == 0 { b } else { a };
    let (cpu_limit_milli, memory_limit) = (read(limit, "cpu", true), read(limit, "memory", false));
    Limits {
        cpu_request_milli: or(read(request, "cpu", true), cpu_limit_milli),
        cpu_limit_milli,
        memory_request: or(read(request, "memory", false), memory_limit),
        memory_limit,
        pids: 0,
    }
}

/// The pod's: sums of the containers'; a limit only where every container has one.
fn pod_limits(object: &PodObject) -> Limits {
    let each: Vec<Limits> = object.spec.containers.iter().map(|c| limits(c.resources.as_ref())).collect();
    let sum = |field: fn(&Limits) -> u64| each.iter().map(field).fold(0u64, u64::saturating_add);
    let bounded = |field: fn(&Limits) -> u64| {
        let initial = object.spec.init_containers.iter().flatten().map(|c| field(&limits(c.resources.as_ref())));
        let initial: Vec<u64> = initial.collect();
        let all = each.iter().map(field).chain(initial.iter().copied()).all(|l| l > 0);
        if all { sum(field).max(initial.iter().copied().fold(0, u64::saturating_add)) } else { 0 }
    };
    Limits {
        cpu_request_milli: sum(|l| l.cpu_request_milli),
        cpu_limit_milli: bounded(|l| l.cpu_limit_milli),
        memory_request: sum(|l| l.memory_request),
        memory_limit: bounded(|l| l.memory_limit),
        pids: 0,
    }
}

/// Everything known when a container is started.
pub struct Start<'a> {
    pub object: &'a PodObject,
    pub container: &'a Container,
    pub attempt: u32,
    pub image: &'a Image,
    pub facts: &'a Facts,
    pub references: &'a References,
    /// Volumes of the pod by name: where they are on the host.
    pub volumes: &'a BTreeMap<String, PathBuf>,
    pub places: &'a Places,
}

/// A part of a volume that must be bound to `target` before the container starts.
#[derive(Clone, Debug, PartialEq)]
pub struct SubPath {
    pub volume: PathBuf,
    pub path: String,
    pub target: PathBuf,
}

/// The container as the runtime starts it, and the parts of volumes that it mounts.
///
/// # Errors
/// [`CONFIG_ERROR`] when something referred to is missing or the settings contradict the image.
pub fn container_spec(start: &Start<'_>) -> Result<(ContainerSpec, Vec<SubPath>)> {
    let Start { object, container, attempt, image, places, .. } = start;
    let env = environment(object, container, start.facts, start.references)?;
    let lookup = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let words = |list: &Option<Vec<String>>| list.iter().flatten().map(|word| expand(word, lookup)).collect();
    let (command, args) = (words(&container.command), words(&container.args));
    let (mounts, sub_paths) = mounts(start, lookup)?;
    let termination = places.pod(&object.uid).join("termination").join(format!("{}-{attempt}", container.name));
    let spec = ContainerSpec {
        id: container_id(&object.uid, &container.name, *attempt),
        pod_uid: object.uid.clone(),
        name: container.name.clone(),
        attempt: *attempt,
        image_id: image.id.clone(),
        command,
        args,
        working_dir: container.working_dir.clone().unwrap_or_default(),
        mounts,
        tty: container.tty == Some(true),
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        limits: limits(container.resources.as_ref()),
        security: security(object, container, image)?,
        log_path: places.log(object, &container.name, *attempt),
        termination_path: container.termination_message_path.clone().unwrap_or_else(|| "/dev/termination-log".into()),
        termination_file: termination,
        oom_score_adj: oom_score(object, container, start.facts),
        env,
    };
    Ok((spec, sub_paths))
}

fn mounts(start: &Start<'_>, lookup: impl Fn(&str) -> Option<String>) -> Result<(Vec<Mount>, Vec<SubPath>)> {
    let (mut mounts, mut sub_paths) = (Vec::new(), Vec::new());
    let places = start.places.pod(&start.object.uid).join("subpaths").join(&start.container.name);
    for (index, mount) in start.container.volume_mounts.iter().flatten().enumerate() {
        let missing = || RuntimeError::new(CONFIG_ERROR, format!("no volume named \"{}\" is mounted", mount.name));
        let volume = start.volumes.get(&mount.name).ok_or_else(missing)?.clone();
        let expanded = mount.sub_path_expr.as_deref().map(|path| expand(path, &lookup));
        let path = expanded.or_else(|| mount.sub_path.clone()).unwrap_or_default();
        let source = if path.is_empty() {
            volume
        } else {
            let target = places.join(index.to_string());
            sub_paths.push(SubPath { volume, path, target: target.clone() });
            target
        };
        mounts.push(Mount {
            source,
            destination: mount.mount_path.clone(),
            read_only: mount.read_only == Some(true) || only_read(start.object, &mount.name),
            propagation: mount.mount_propagation.clone().unwrap_or_else(|| "None".into()),
        });
    }
    Ok((mounts, sub_paths))
}

/// The pod itself takes the claim for reading only.
fn only_read(object: &PodObject, volume: &str) -> bool {
    let named = object.spec.volumes.iter().flatten().find(|v| v.name == volume);
    named.and_then(|v| v.persistent_volume_claim.as_ref()).is_some_and(|claim| claim.read_only == Some(true))
}

fn security(object: &PodObject, container: &Container, image: &Image) -> Result<Security> {
    let pod = object.spec.security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let id = |a: Option<i64>, b: Option<i64>| a.or(b).and_then(|id| u32::try_from(id).ok());
    let groups = pod.supplemental_groups.iter().flatten().filter_map(|g| u32::try_from(*g).ok());
    let capabilities = own.capabilities.unwrap_or_default();
    let privileged = own.privileged == Some(true);
    let seccomp = own.seccomp_profile.or(pod.seccomp_profile).map_or_else(|| "Unconfined".to_string(), |p| p.type_);
    if seccomp == "Localhost" {
        return Err(RuntimeError::new(CONFIG_ERROR, "seccomp profiles of type Localhost are not implemented"));
    }
    let security = Security {
        privileged,
        run_as_user: id(own.run_as_user, pod.run_as_user),
        run_as_group: id(own.run_as_group, pod.run_as_group),
        run_as_non_root: own.run_as_non_root.or(pod.run_as_non_root) == Some(true),
        supplemental_groups: groups.collect(),
        fs_group: id(pod.fs_group, None),
        read_only_root: own.read_only_root_filesystem == Some(true),
        allow_privilege_escalation: privileged || own.allow_privilege_escalation.unwrap_or(true),
        add_capabilities: capabilities.add.unwrap_or_default(),
        drop_capabilities: capabilities.drop.unwrap_or_default(),
        seccomp,
    };
    refuse_root(object, container, image, &security)?;
    Ok(security)
}

/// `runAsNonRoot`, in upstream's words.
fn refuse_root(object: &PodObject, container: &Container, image: &Image, security: &Security) -> Result<()> {
    if !security.run_as_non_root {
        return Ok(());
    }
    let whose = format!("(pod: \"{}_{}({})\", container: {})", object.name, object.namespace, object.uid, container.name);
    let user = image.user.split(':').next().unwrap_or_default();
    let why = match (security.run_as_user, user.parse::<u32>()) {
        (Some(0), _) => "container's runAsUser breaks non-root policy".to_string(),
        (Some(_), _) => return Ok(()),
        (None, Ok(0)) => "container has runAsNonRoot and image will run as root".to_string(),
        (None, Ok(_)) => return Ok(()),
        (None, Err(_)) if user.is_empty() => "container has runAsNonRoot and image will run as root".to_string(),
        (None, Err(_)) => format!("container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root"),
    };
    Err(RuntimeError::new(CONFIG_ERROR, format!("{why} {whose}")))
}

/// Upstream's `oom_score_adj`: −997 for Guaranteed, 1000 for BestEffort, by the memory request in between.
fn oom_score(object: &PodObject, container: &Container, facts: &Facts) -> i32 {
    match object.raw["status"]["qosClass"].as_str() {
        Some("Guaranteed") => -997,
        Some("Burstable") => {
            let request = i64::try_from(limits(container.resources.as_ref()).memory_request).unwrap_or(i64::MAX);
            let share = request.saturating_mul(1000) / facts.memory.max(1);
            i32::try_from((1000 - share).clamp(3, 999)).unwrap_or(999)
        }
        _ => 1000,
    }
}
