//! The volumes of a pod, as far as they bear on where it can go.
use super::terms::items;
use crate::protocol::meta::ObjectKey;
use serde_json::Value;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodVolumes {
    pub claims: Vec<ClaimUse>,
    /// Disks that only one pod, or only readers, can mount on a node.
    pub disks: Vec<Disk>,
    /// Drivers of volumes that live with the pod.
    pub inline_drivers: Vec<Arc<str>>,
}

/// A claim that the pod mounts.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimUse {
    pub key: ObjectKey,
    /// Made for this pod: its claim must belong to it.
    pub ephemeral: bool,
}

/// A disk named in the pod itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    kind: &'static str,
    id: String,
    read_only: bool,
    /// For `rbd`: two are the same disk only when they share one.
    monitors: Vec<String>,
}

impl Disk {
    /// Whether both cannot be mounted on one node.
    pub fn clashes(&self, other: &Disk) -> bool {
        let shared = self.monitors.is_empty() || self.monitors.iter().any(|m| other.monitors.contains(m));
        let readers = self.kind != "ebs" && self.read_only && other.read_only;
        self.kind == other.kind && self.id == other.id && shared && !readers
    }
}

impl PodVolumes {
    /// `None` when there is nothing to look at.
    pub fn parse(spec: &Value, pod: &ObjectKey) -> Option<Arc<PodVolumes>> {
        let mut volumes = PodVolumes::default();
        for volume in items(&spec["volumes"]) {
            let name = volume["name"].as_str().unwrap_or_default();
            let claim = |name: String, ephemeral| ClaimUse { key: ObjectKey::new(pod.namespace.clone(), name), ephemeral };
            if let Some(name) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                volumes.claims.push(claim(name.into(), false));
            } else if !volume["ephemeral"].is_null() {
                volumes.claims.push(claim(format!("{}-{name}", pod.name), true));
            } else if let Some(driver) = volume["csi"]["driver"].as_str() {
                volumes.inline_drivers.push(driver.into());
            }
            volumes.disks.extend(disk(volume));
        }
        (volumes != PodVolumes::default()).then(|| Arc::new(volumes))
    }
}

fn disk(volume: &Value) -> Option<Disk> {
    let make = |kind, source: &Value, id: String| {
        let monitors = items(&source["monitors"]).filter_map(Value::as_str).map(String::from).collect();
        Some(Disk { kind, id, read_only: source["readOnly"] == true, monitors })
    };
    let text = |source: &Value, field: &str| source[field].as_str().unwrap_or_default().to_string();
    let (gce, ebs, iscsi, rbd) = (&volume["gcePersistentDisk"], &volume["awsElasticBlockStore"], &volume["iscsi"], &volume["rbd"]);
    if gce.is_object() {
        make("gce", gce, text(gce, "pdName"))
    } else if ebs.is_object() {
        make("ebs", ebs, text(ebs, "volumeID"))
    } else if iscsi.is_object() {
        make("iscsi", iscsi, text(iscsi, "iqn"))
    } else if rbd.is_object() {
        make("rbd", rbd, format!("{}/{}", text(rbd, "pool"), text(rbd, "image")))
    } else {
        None
    }
}
