//! The tasks of a pod's actor: what takes time, done outside of it.
use super::control_plane::ControlPlane;
use super::env::{CONFIG_ERROR, Facts};
use super::events::Events;
use super::object::PodObject;
use super::plan::retry_pause;
use super::references::{Names, References, registry_auth};
use super::spec::{Places, Start, SubPath, container_spec, sandbox_spec};
use crate::protocol::time::now;
use crate::runtime::api::{Image, Runtime, RuntimeError, Sandbox};
use crate::runtime::volumes::bind_subpath;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What every pod of this node stands in.
pub struct Surroundings {
    pub node_name: String,
    pub host_ip: String,
    pub places: Places,
    /// The node's allocatable milli-CPUs and bytes.
    pub cpu_milli: i64,
    pub memory: i64,
    pub runtime: Arc<dyn Runtime>,
    pub control: Arc<dyn ControlPlane>,
    pub events: Events,
    pub tokens: super::tokens::Tokens,
}

impl Surroundings {
    fn facts(&self, object: &PodObject, sandbox: Option<&Sandbox>) -> Facts {
        let on_host = object.spec.host_network == Some(true);
        let pod_ips = match sandbox {
            Some(_) if on_host => vec![self.host_ip.clone()],
            Some(sandbox) => sandbox.ips.iter().map(ToString::to_string).collect(),
            None => Vec::new(),
        };
        let (cpu_milli, memory) = (self.cpu_milli, self.memory);
        Facts { node_name: self.node_name.clone(), host_ip: self.host_ip.clone(), pod_ips, cpu_milli, memory }
    }
}

/// Sandbox and volumes, made side by side, when the pod's devices can be had.
pub async fn set_up(around: &Surroundings, object: &PodObject) -> Result<(Sandbox, BTreeMap<String, PathBuf>), RuntimeError> {
    let warn = |reason: &str, message: String| around.events.pod(object, None, "Warning", reason, message);
    super::devices::prepare(object, &*around.control).await.inspect_err(|e| warn(super::devices::FAILED, e.message.clone()))?;
    let sandbox = around.runtime.create_sandbox(sandbox_spec(object, &around.places));
    let (sandbox, volumes) = tokio::join!(sandbox, volumes(around, object, false));
    let sandbox = sandbox.inspect_err(|e| warn("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {}", e.message)))?;
    let volumes = volumes.inspect_err(|e| warn(super::volumes::FAILED_MOUNT, e.message.clone()))?;
    Ok((sandbox, volumes))
}

/// Brings the files that follow ConfigMaps, Secrets and fields up to date.
pub async fn refresh_volumes(around: &Surroundings, object: &PodObject) -> Result<(), RuntimeError> {
    volumes(around, object, true).await.map(|_| ())
}

async fn volumes(around: &Surroundings, object: &PodObject, only_files: bool) -> Result<BTreeMap<String, PathBuf>, RuntimeError> {
    super::volumes::prepare(object, &around.places, &around.facts(object, None), &*around.control, &around.tokens, only_files).await
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Launched {
    pub id: String,
    pub started_ms: i64,
    pub image: String,
    pub image_id: String,
}

/// Why a container does not run.
#[derive(Clone, Debug, PartialEq)]
pub struct Hitch {
    pub error: RuntimeError,
    pub kind: HitchKind,
}

/// What kind of back-off a failed start gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitchKind {
    /// The image cannot be had.
    Image,
    /// A reference or a setting is wrong.
    Config,
    /// The command could not be started: counts as an exit with code 128.
    Launch,
}

impl Hitch {
    fn config(error: RuntimeError) -> Hitch {
        Hitch { error, kind: HitchKind::Config }
    }

    /// How long until the next attempt, after this many failures.
    pub fn pause(&self, failures: u32) -> std::time::Duration {
        if self.kind == HitchKind::Image { super::plan::pull_pause(failures) } else { retry_pause(failures) }
    }
}

/// Image, references, start: everything from the decision to the running process.
pub async fn start_container(
    around: &Surroundings,
    object: &PodObject,
    index: usize,
    attempt: u32,
    sandbox: &Sandbox,
    volumes: &BTreeMap<String, PathBuf>,
) -> Result<Launched, Hitch> {
    let Some(container) = object.container(index) else {
        return Err(Hitch::config(RuntimeError::new(CONFIG_ERROR, "the pod has no such container")));
    };
    let tell = |kind, reason: &str, message: String| around.events.pod(object, Some(&container.name), kind, reason, message);
    let image = image(around, object, container.image.as_deref().unwrap_or_default(), index).await?;
    let fetched = References::fetch(&*around.control, &object.namespace, Names::of_environment(container)).await;
    let references = fetched.map_err(|e| Hitch::config(RuntimeError::new(CONFIG_ERROR, e)))?;
    let facts = around.facts(object, Some(sandbox));
    let places = &around.places;
    let start = Start { object, container, attempt, image: &image, facts: &facts, references: &references, volumes, places };
    let refused = |error: RuntimeError| {
        tell("Warning", "Failed", format!("Error: {}", error.message));
        Hitch::config(error)
    };
    let (spec, sub_paths) = container_spec(&start).map_err(refused)?;
    bind(sub_paths).await.map_err(refused)?;
    let prepared = prepare_files(&spec.log_path, &spec.termination_file).await;
    prepared.map_err(|e| Hitch::config(RuntimeError::new("CreateContainerError", e)))?;
    let id = spec.id.clone();
    tell("Normal", "Created", format!("Created container: {}", container.name));
    match around.runtime.start_container(spec).await {
        Ok(_pid) => {
            tell("Normal", "Started", format!("Started container {}", container.name));
            let image_id = image.digests.first().cloned().unwrap_or(image.id);
            let image = container.image.clone().unwrap_or_default();
            Ok(Launched { id, started_ms: now().as_millisecond(), image, image_id })
        }
        Err(error) => {
            tell("Warning", "Failed", format!("Error: {}", error.message));
            let kind = if matches!(error.reason, CONFIG_ERROR | "CreateContainerError") { HitchKind::Config } else { HitchKind::Launch };
            Err(Hitch { error, kind })
        }
    }
}

/// Binds parts of volumes to places of their own, from which the container gets them.
async fn bind(sub_paths: Vec<SubPath>) -> Result<(), RuntimeError> {
    if sub_paths.is_empty() {
        return Ok(());
    }
    let binding = tokio::task::spawn_blocking(move || {
        sub_paths.iter().try_for_each(|s| bind_subpath(&s.volume, &s.path, &s.target).map_err(RuntimeError::from))
    });
    binding.await.unwrap_or_else(|e| Err(RuntimeError::new(CONFIG_ERROR, e)))
}

/// The log's directory, and an empty termination message.
async fn prepare_files(log: &std::path::Path, termination: &std::path::Path) -> std::io::Result<()> {
    for file in [log, termination] {
        if let Some(parent) = file.parent() {
            tokio::fs::create_dir_all(parent).await?;
        }
    }
    tokio::fs::write(termination, b"").await
}

/// The image by `imagePullPolicy`, with upstream's events.
async fn image(around: &Surroundings, object: &PodObject, name: &str, index: usize) -> Result<Image, Hitch> {
    let container = object.container(index);
    let own = container.map(|c| c.name.as_str());
    let tell = |kind, reason: &str, message: String| around.events.pod(object, own, kind, reason, message);
    let hitch = |reason: &'static str, message: String| Hitch { error: RuntimeError::new(reason, message), kind: HitchKind::Image };
    let fail = |error: RuntimeError| {
        tell("Warning", "Failed", format!("Failed to pull image \"{name}\": {}", error.message));
        let known = matches!(error.reason, "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable");
        let reason = if known { error.reason } else { "ErrImagePull" };
        tell("Warning", "Failed", format!("Error: {reason}"));
        hitch(reason, error.message)
    };
    let policy = container.and_then(|c| c.image_pull_policy.as_deref()).unwrap_or("IfNotPresent");
    if policy != "Always"
        && let Some(image) = around.runtime.image(name).await.map_err(&fail)?
    {
        tell("Normal", "Pulled", format!("Container image \"{name}\" already present on machine"));
        return Ok(image);
    }
    if policy == "Never" {
        let message = format!("Container image \"{name}\" is not present with pull policy of Never");
        tell("Warning", "ErrImageNeverPull", message.clone());
        return Err(hitch("ErrImageNeverPull", message));
    }
    tell("Normal", "Pulling", format!("Pulling image \"{name}\""));
    let began = Instant::now();
    let auth = registry_auth(&*around.control, object, name).await;
    let image = around.runtime.pull_image(name, auth).await.map_err(&fail)?;
    let took = began.elapsed().as_millis();
    let text = format!("Successfully pulled image \"{name}\" in {took}ms ({took}ms including waiting). Image size: {} bytes.", image.size);
    tell("Normal", "Pulled", text);
    Ok(image)
}
