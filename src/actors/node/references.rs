//! ConfigMaps and Secrets that a container or a volume refers to, fetched before anything is built from them.
use super::control_plane::{ControlError, ControlPlane, get};
use super::env::CONFIG_ERROR;
use super::object::PodObject;
use crate::runtime::api::{RegistryAuth, RuntimeError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Container, PersistentVolumeSpec};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The data of one ConfigMap or Secret; binary data decoded.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Fetched objects by name; `None` for those that do not exist.
#[derive(Clone, Debug, Default)]
pub struct References {
    namespace: String,
    config_maps: BTreeMap<String, Option<Data>>,
    secrets: BTreeMap<String, Option<Data>>,
    /// Tokens by volume and path.
    tokens: BTreeMap<(String, String), String>,
    /// What stands behind claims, by the pod's own name of the volume.
    persistent: BTreeMap<String, PersistentVolumeSpec>,
}

/// Names of ConfigMaps and Secrets.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub config_maps: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
}

impl Names {
    /// What a container's environment refers to.
    pub fn of_environment(container: &Container) -> Names {
        let mut names = Names::default();
        for source in container.env_from.iter().flatten() {
            names.config_maps.extend(source.config_map_ref.iter().map(|r| r.name.clone()));
            names.secrets.extend(source.secret_ref.iter().map(|r| r.name.clone()));
        }
        for source in container.env.iter().flatten().filter_map(|v| v.value_from.as_ref()) {
            names.config_maps.extend(source.config_map_key_ref.iter().map(|r| r.name.clone()));
            names.secrets.extend(source.secret_key_ref.iter().map(|r| r.name.clone()));
        }
        names
    }
}

impl References {
    /// Fetches everything named, one after the other: there are seldom more than two.
    ///
    /// # Errors
    /// When the server cannot be asked; that an object is missing is no error yet.
    pub async fn fetch(control: &dyn ControlPlane, namespace: &str, names: Names) -> Result<References, ControlError> {
        let mut references = References { namespace: namespace.into(), ..Default::default() };
        for name in names.config_maps {
            let data = read(control, namespace, "configmaps", &name).await?;
            references.config_maps.insert(name, data);
        }
        for name in names.secrets {
            let data = read(control, namespace, "secrets", &name).await?;
            references.secrets.insert(name, data);
        }
        Ok(references)
    }

    /// Keeps the token that a volume projects to a path.
    pub fn put_token(&mut self, volume: &str, path: &str, token: String) {
        self.tokens.insert((volume.into(), path.into()), token);
    }

    /// The token that a volume projects to a path.
    pub fn token(&self, volume: &str, path: &str) -> Option<&str> {
        self.tokens.get(&(volume.to_string(), path.to_string())).map(String::as_str)
    }

    /// Keeps what stands behind one of the pod's volumes.
    pub fn put_persistent(&mut self, volume: &str, spec: PersistentVolumeSpec) {
        self.persistent.insert(volume.into(), spec);
    }

    /// What stands behind a volume that is a claim.
    pub fn persistent(&self, volume: &str) -> Option<&PersistentVolumeSpec> {
        self.persistent.get(volume)
    }

    /// A ConfigMap's data; `None` when it is missing and may be.
    pub fn config_map(&self, name: &str, optional: bool) -> Result<Option<&Data>, RuntimeError> {
        found(self.config_maps.get(name), optional, || format!("configmap \"{name}\" not found"))
    }

    /// A Secret's data; `None` when it is missing and may be.
    pub fn secret(&self, name: &str, optional: bool) -> Result<Option<&Data>, RuntimeError> {
        found(self.secrets.get(name), optional, || format!("secret \"{name}\" not found"))
    }

    /// One key; `None` when the object or the key is missing and may be.
    pub fn key(&self, secret: bool, name: &str, key: &str, optional: bool) -> Result<Option<&Vec<u8>>, RuntimeError> {
        let data = if secret { self.secret(name, optional)? } else { self.config_map(name, optional)? };
        let Some(data) = data else { return Ok(None) };
        match data.get(key) {
            None if !optional => {
                let kind = if secret { "Secret" } else { "ConfigMap" };
                Err(RuntimeError::new(CONFIG_ERROR, format!("couldn't find key {key} in {kind} {}/{name}", self.namespace)))
            }
            value => Ok(value),
        }
    }
}

fn found(entry: Option<&Option<Data>>, optional: bool, missing: impl Fn() -> String) -> Result<Option<&Data>, RuntimeError> {
    match entry.and_then(Option::as_ref) {
        None if !optional => Err(RuntimeError::new(CONFIG_ERROR, missing())),
        data => Ok(data),
    }
}

async fn read(control: &dyn ControlPlane, namespace: &str, plural: &str, name: &str) -> Result<Option<Data>, ControlError> {
    match get(control, &format!("/api/v1/namespaces/{namespace}/{plural}/{name}")).await {
        Ok(object) => Ok(Some(data_of(&object, plural == "secrets"))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn data_of(object: &Value, secret: bool) -> Data {
    let members = |field: &str| object[field].as_object().into_iter().flatten();
    let decoded = |text: &Value| STANDARD.decode(text.as_str().unwrap_or_default()).unwrap_or_default();
    let plain = |text: &Value| text.as_str().unwrap_or_default().as_bytes().to_vec();
    let data = members("data").map(|(k, v)| (k.clone(), if secret { decoded(v) } else { plain(v) }));
    data.chain(members("binaryData").map(|(k, v)| (k.clone(), decoded(v)))).collect()
}

/// The credentials among a pod's `imagePullSecrets` for the registry of `image`.
pub async fn registry_auth(control: &dyn ControlPlane, object: &PodObject, image: &str) -> Option<RegistryAuth> {
    let registry = registry_of(image);
    for secret in object.spec.image_pull_secrets.iter().flatten() {
        let data = read(control, &object.namespace, "secrets", &secret.name).await.ok().flatten();
        let Some(config) = data.as_ref().and_then(|d| d.get(".dockerconfigjson")) else { continue };
        let config: Value = serde_json::from_slice(config).unwrap_or_default();
        for (address, entry) in config["auths"].as_object().into_iter().flatten() {
            let host = address.trim_start_matches("https://").trim_start_matches("http://").split('/').next().unwrap_or_default();
            let hub = registry == "docker.io" && matches!(host, "index.docker.io" | "docker.io");
            if host == registry || hub {
                return credentials(entry);
            }
        }
    }
    None
}

fn credentials(entry: &Value) -> Option<RegistryAuth> {
    if let (Some(username), Some(password)) = (entry["username"].as_str(), entry["password"].as_str()) {
        return Some(RegistryAuth { username: username.into(), password: password.into() });
    }
    let pair = String::from_utf8(STANDARD.decode(entry["auth"].as_str()?).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    Some(RegistryAuth { username: username.into(), password: password.into() })
}

fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}
