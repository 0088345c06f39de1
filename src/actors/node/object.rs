//! A pod as the agent holds it: the object as it came, and its typed parts.
use crate::protocol::codec::without_managers;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;

/// One state of a pod object.
#[derive(Clone, Debug)]
pub struct PodObject {
    pub raw: Value,
    pub meta: ObjectMeta,
    pub spec: PodSpec,
    pub uid: String,
    pub namespace: String,
    pub name: String,
}

/// Which list a container stands in, and what that means for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the next begins.
    Init,
    /// An init container with `restartPolicy: Always`: runs along with the pod.
    Sidecar,
    App,
}

impl PodObject {
    /// Reads a pod's JSON.
    ///
    /// # Errors
    /// When it is no pod that the API could have stored.
    pub fn parse(bytes: &[u8]) -> Result<PodObject, serde_json::Error> {
        Self::from_value(without_managers(bytes)?)
    }

    pub fn from_value(raw: Value) -> Result<PodObject, serde_json::Error> {
        let meta = ObjectMeta::deserialize(&raw["metadata"])?;
        let spec = PodSpec::deserialize(&raw["spec"])?;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Ok(PodObject { uid: text(&meta.uid), namespace: text(&meta.namespace), name: text(&meta.name), raw, meta, spec })
    }

    /// All containers in the order in which they may start.
    pub fn containers(&self) -> impl Iterator<Item = (Role, &Container)> {
        let init = self.spec.init_containers.iter().flatten().map(|c| {
            let sidecar = c.restart_policy.as_deref() == Some("Always");
            (if sidecar { Role::Sidecar } else { Role::Init }, c)
        });
        init.chain(self.spec.containers.iter().map(|c| (Role::App, c)))
    }

    /// The container at a position of [`PodObject::containers`].
    pub fn container(&self, index: usize) -> Option<&Container> {
        self.containers().nth(index).map(|(_, c)| c)
    }

    /// Deletion was asked for, with this many seconds of grace.
    pub fn deletion_grace(&self) -> Option<u64> {
        self.meta.deletion_timestamp.as_ref()?;
        Some(self.meta.deletion_grace_period_seconds.map_or_else(|| self.grace(), |s| u64::try_from(s).unwrap_or(0)))
    }

    /// `spec.terminationGracePeriodSeconds`, 30 when nothing is said.
    pub fn grace(&self) -> u64 {
        self.spec.termination_grace_period_seconds.map_or(30, |s| u64::try_from(s).unwrap_or(0))
    }

    /// `spec.restartPolicy`; `Always` when nothing is said.
    pub fn restart_policy(&self) -> &str {
        self.spec.restart_policy.as_deref().unwrap_or("Always")
    }

    /// The API already knows the pod as `Succeeded` or `Failed`: it never runs again.
    pub fn is_terminal(&self) -> bool {
        matches!(self.raw["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
    }

    /// `/api/v1/namespaces/<namespace>/pods/<name>`.
    pub fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }
}
