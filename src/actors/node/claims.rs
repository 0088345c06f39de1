//! Volumes that are claims: which PersistentVolume stands behind each, and which directory that is on this node.
use super::control_plane::{ControlPlane, get};
use super::object::PodObject;
use super::references::References;
use super::volumes::{Content, FAILED_MOUNT, host_path_type};
use crate::runtime::api::RuntimeError;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, Volume};

/// Fetches what stands behind every volume that is a claim.
///
/// # Errors
/// [`FAILED_MOUNT`]: a claim is missing, not bound, somebody else's, or its volume does not answer for it.
pub async fn fetch(
    object: &PodObject,
    volumes: &[Volume],
    control: &dyn ControlPlane,
    references: &mut References,
) -> Result<(), RuntimeError> {
    for volume in volumes {
        let Some(name) = claim_name(object, volume) else { continue };
        let spec = behind(object, volume, &name, control).await.map_err(|why| {
            let of = &volume.name;
            let words = "Unable to attach or mount volumes: unmounted volumes";
            let claim = format!("{}/{name}", object.namespace);
            RuntimeError::new(
                FAILED_MOUNT,
                format!("{words}=[{of}], unattached volumes=[], failed to process volumes=[{of}]: error processing PVC {claim}: {why}"),
            )
        })?;
        references.put_persistent(&volume.name, spec);
    }
    Ok(())
}

fn claim_name(object: &PodObject, volume: &Volume) -> Option<String> {
    let own = volume.ephemeral.as_ref().map(|_| format!("{}-{}", object.name, volume.name));
    volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone()).or(own)
}

async fn behind(object: &PodObject, volume: &Volume, name: &str, control: &dyn ControlPlane) -> Result<PersistentVolumeSpec, String> {
    let namespace = &object.namespace;
    let found = get(control, &format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")).await;
    let found = found.map_err(|e| format!("failed to fetch PVC from API server: {e}"))?;
    let claim: PersistentVolumeClaim = serde_json::from_value(found).map_err(|e| e.to_string())?;
    let named = usable(object, volume, &claim)?;
    let found = get(control, &format!("/api/v1/persistentvolumes/{named}")).await;
    let found = found.map_err(|e| format!("failed to fetch PV {named} from API server: {e}"))?;
    let persistent: PersistentVolume = serde_json::from_value(found).map_err(|e| e.to_string())?;
    let spec = persistent.spec.unwrap_or_default();
    let uid = claim.metadata.uid.unwrap_or_default();
    let to = spec.claim_ref.as_ref().and_then(|to| to.uid.clone());
    match to {
        None => Err(format!("found PV object {named:?} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim")),
        Some(to) if to != uid => {
            Err(format!("found PV object {named:?} but its pv.Spec.ClaimRef.UID {to:?} does not point to claim.UID {uid:?}"))
        }
        Some(_) => Ok(spec),
    }
}

/// The name of the volume that a claim is bound to; or why the pod cannot have it.
fn usable(object: &PodObject, volume: &Volume, claim: &PersistentVolumeClaim) -> Result<String, String> {
    let meta = &claim.metadata;
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if volume.ephemeral.is_some() && owner.is_none_or(|owner| owner.uid != object.uid) {
        let (namespace, pod, name) = (&object.namespace, &object.name, meta.name.as_deref().unwrap_or_default());
        return Err(format!("PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"));
    }
    if meta.deletion_timestamp.is_some() {
        return Err("can't start pod because PVC is being deleted".into());
    }
    let spec = claim.spec.clone().unwrap_or_default();
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    let named = spec.volume_name.filter(|name| phase == Some("Bound") && !name.is_empty()).ok_or("PVC is not bound")?;
    if spec.volume_mode.as_deref() != Some("Block") {
        return Ok(named);
    }
    let mounted = object.containers().any(|(_, c)| c.volume_mounts.iter().flatten().any(|mount| mount.name == volume.name));
    Err(if mounted {
        format!("volume {} has volumeMode Block, but is specified in volumeMounts", volume.name)
    } else {
        "volumeMode Block is not implemented".into()
    })
}

/// Where a PersistentVolume is on this node; or that its kind is not implemented.
pub fn content(spec: &PersistentVolumeSpec) -> Result<Content, String> {
    if let Some(host) = &spec.host_path {
        let kind = host_path_type(host.type_.as_deref().unwrap_or_default())?;
        return Ok(Content::Host { path: host.path.clone().into(), kind });
    }
    if let Some(local) = &spec.local {
        return Ok(Content::Local { path: local.path.clone().into() });
    }
    if let Some(csi) = &spec.csi {
        let driver = &csi.driver;
        let words = "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name";
        return Err(format!("{words} {driver} not found in the list of registered CSI drivers"));
    }
    const COMMON: [&str; 9] = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ];
    let value = serde_json::to_value(spec).unwrap_or_default();
    let source = value.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !COMMON.contains(&name.as_str()));
    Err(format!("PersistentVolumes of kind {} are not implemented", source.map_or("none", |name| name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::volumes::HostPathType;
    use serde_json::{Value, json};

    #[test]
    fn directories_and_refusals() {
        let of = |source: Value| content(&serde_json::from_value(source).expect("a spec"));
        assert_eq!(
            of(json!({"hostPath": {"path": "/x", "type": "Directory"}})),
            Ok(Content::Host { path: "/x".into(), kind: HostPathType::Directory })
        );
        assert_eq!(of(json!({"local": {"path": "/y"}})), Ok(Content::Local { path: "/y".into() }));
        let csi = of(json!({"csi": {"driver": "d.io", "volumeHandle": "h"}})).expect_err("no drivers");
        assert!(csi.ends_with("driver name d.io not found in the list of registered CSI drivers"), "{csi}");
        let nfs = of(json!({"nfs": {"server": "s", "path": "/"}, "mountOptions": ["ro"], "storageClassName": "x"}));
        assert_eq!(nfs, Err("PersistentVolumes of kind nfs are not implemented".into()));
    }

    #[test]
    fn only_bound_claims_of_the_pod() {
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}});
        let object = PodObject::from_value(pod).expect("a pod");
        let volume = |source: Value| -> Volume {
            let mut volume = source;
            volume["name"] = "v".into();
            serde_json::from_value(volume).expect("a volume")
        };
        let named = volume(json!({"persistentVolumeClaim": {"claimName": "c"}}));
        let own = volume(json!({"ephemeral": {}}));
        let claim = |meta: Value, spec: Value, phase: &str| -> PersistentVolumeClaim {
            let mut meta = meta;
            meta["name"] = "c".into();
            serde_json::from_value(json!({"metadata": meta, "spec": spec, "status": {"phase": phase}})).expect("a claim")
        };
        let to = || json!({"volumeName": "pv"});
        let cases = [
            (&named, claim(json!({}), to(), "Bound"), Ok("pv".to_string())),
            (&named, claim(json!({}), to(), "Pending"), Err("PVC is not bound".into())),
            (&named, claim(json!({}), json!({}), "Bound"), Err("PVC is not bound".into())),
            (
                &named,
                claim(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), to(), "Bound"),
                Err("can't start pod because PVC is being deleted".into()),
            ),
            (&own, claim(json!({}), to(), "Bound"), Err("PVC n/c was not created for pod n/p (pod is not owner)".into())),
            (
                &named,
                claim(json!({}), json!({"volumeName": "pv", "volumeMode": "Block"}), "Bound"),
                Err("volume v has volumeMode Block, but is specified in volumeMounts".into()),
            ),
        ];
        for (volume, claim, want) in cases {
            assert_eq!(usable(&object, volume, &claim), want, "{claim:?}");
        }
    }
}
