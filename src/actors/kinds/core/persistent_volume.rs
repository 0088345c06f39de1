//! `v1 PersistentVolume`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{IMMUTABLE, annotation, difference, fill, immutable, remove, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::PERSISTENT_VOLUME;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::time;
use crate::protocol::validation::persistent_volume::{OLD_CLASS, persistent_volume_spec, source};
use crate::protocol::validation::text;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        singular: "persistentvolume",
        namespaced: false,
        short_names: &["pv"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "",
            version: "v1",
            kind: "PersistentVolume",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&PERSISTENT_VOLUME),
    schema: "PersistentVolume",
    rules: Rules {
        default,
        create,
        validate: |o| persistent_volume_spec(&o["spec"], "spec", false),
        validate_update,
        update_status,
        warnings,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Capacity", "string", 0, "How much fits."),
    column("Access Modes", "string", 0, "How the volume can be mounted."),
    column("Reclaim Policy", "string", 0, "What happens when the claim is released."),
    column("Status", "string", 0, "Whether it is available, bound or released."),
    column("Claim", "string", 0, "The claim that it is bound to."),
    column("StorageClass", "string", 0, "StorageClass of the pv"),
    column("VolumeAttributesClass", "string", 0, "VolumeAttributesClass of the pv"),
    column("Reason", "string", 0, "Why it is in a failed state."),
    AGE,
    column("VolumeMode", "string", 1, "Whether it has a filesystem or is a raw block device."),
];

fn default(object: &mut Value) {
    let spec = &mut object["spec"];
    fill(spec, "persistentVolumeReclaimPolicy", "Retain");
    fill(spec, "volumeMode", "Filesystem");
    for (name, defaults) in [
        ("hostPath", &[("type", "")][..]),
        ("iscsi", &[("iscsiInterface", "default")]),
        ("rbd", &[("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")]),
        ("scaleIO", &[("storageMode", "ThinProvisioned"), ("fsType", "xfs")]),
        ("azureDisk", &[("cachingMode", "ReadWrite"), ("fsType", "ext4"), ("kind", "Shared")]),
    ] {
        if spec[name].is_object() {
            defaults.iter().for_each(|(field, value)| fill(&mut spec[name], field, *value));
        }
    }
    if spec["azureDisk"].is_object() {
        fill(&mut spec["azureDisk"], "readOnly", false);
    }
}

fn create(object: &mut Value) {
    object["status"] = json!({ "phase": "Pending", "lastPhaseTransitionTime": object["metadata"]["creationTimestamp"] });
}

/// Notes when the phase changed, unless the writer does.
fn update_status(new: &mut Value, old: &Value) {
    let (given, held) = (&new["status"], &old["status"]);
    let noted = &given["lastPhaseTransitionTime"];
    if given["phase"] != held["phase"] && (noted.is_null() || *noted == held["lastPhaseTransitionTime"]) {
        new["status"]["lastPhaseTransitionTime"] = time::rfc3339(time::now()).into();
    }
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let (mut given, held) = (source(&new["spec"]), source(&old["spec"]));
    // A secret for expansion may be added later.
    if held["csi"]["controllerExpandSecretRef"].is_null() && held["csi"].is_object() && given["csi"].is_object() {
        remove(&mut given["csi"], "controllerExpandSecretRef");
    }
    let mut errors = Vec::new();
    if given != held {
        let why = format!("spec.persistentvolumesource is immutable after creation\n{}", difference(&held, &given));
        errors.push(FieldError::forbidden("spec.persistentvolumesource", why));
    }
    let (given, held) = (&new["spec"], &old["spec"]);
    errors.extend(immutable(&given["volumeMode"], &held["volumeMode"], "volumeMode"));
    if !held["nodeAffinity"].is_null() && with_new_labels(&held["nodeAffinity"]) != with_new_labels(&given["nodeAffinity"]) {
        let why = format!("{IMMUTABLE}, except for updating from beta label to GA");
        errors.push(FieldError::invalid("nodeAffinity", given["nodeAffinity"].clone(), why));
    }
    if !held["volumeAttributesClassName"].is_null() && given["volumeAttributesClassName"].is_null() {
        errors.push(FieldError::forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"));
    }
    errors
}

/// Affinities may move from the beta names of node labels to today's.
fn with_new_labels(affinity: &Value) -> Value {
    let mut affinity = affinity.clone();
    for term in affinity["required"]["nodeSelectorTerms"].as_array_mut().into_iter().flatten() {
        for expression in term["matchExpressions"].as_array_mut().into_iter().flatten() {
            let today = match expression["key"].as_str().unwrap_or_default() {
                "failure-domain.beta.kubernetes.io/zone" => "topology.kubernetes.io/zone",
                "failure-domain.beta.kubernetes.io/region" => "topology.kubernetes.io/region",
                "beta.kubernetes.io/os" => "kubernetes.io/os",
                "beta.kubernetes.io/arch" => "kubernetes.io/arch",
                "beta.kubernetes.io/instance-type" => "node.kubernetes.io/instance-type",
                _ => continue,
            };
            expression["key"] = today.into();
        }
    }
    affinity
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let spec = &new["spec"];
    let mut warnings = Vec::new();
    if annotation(new, OLD_CLASS).is_some() {
        warnings.push(format!("metadata.annotations[{OLD_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"));
    }
    if spec["persistentVolumeReclaimPolicy"] == "Recycle" {
        warnings.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".into());
    }
    for (source, since) in [
        ("cephfs", "v1.28, non-functional in v1.31+"),
        ("photonPersistentDisk", "v1.11, non-functional in v1.16+"),
        ("scaleIO", "v1.16, non-functional in v1.22+"),
        ("storageos", "v1.22, non-functional in v1.25+"),
        ("glusterfs", "v1.25, non-functional in v1.26+"),
        ("rbd", "v1.28, non-functional in v1.31+"),
    ] {
        if !spec[source].is_null() {
            warnings.push(format!("spec.{source}: deprecated in {since}"));
        }
    }
    warnings
}

/// `RWO,ROX`: how upstream abbreviates access modes.
pub(super) fn short_modes(modes: &Value) -> String {
    let given = texts(modes);
    let short = [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let parts: Vec<&str> = short.iter().filter(|(mode, _)| given.contains(mode)).map(|(_, short)| *short).collect();
    parts.join(",")
}

/// The class in the old annotation, or else in the field.
pub(super) fn storage_class(object: &Value) -> Value {
    annotation(object, OLD_CLASS).unwrap_or_else(|| text(&object["spec"], "storageClassName")).into()
}

/// The text, or `<unset>`.
pub fn or_unset(value: &Value) -> Value {
    value.as_str().unwrap_or("<unset>").into()
}

/// The phase, or that the object is on its way out.
pub(super) fn phase(object: &Value) -> Value {
    if object["metadata"]["deletionTimestamp"].is_null() { text(&object["status"], "phase").into() } else { "Terminating".into() }
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let claim = &spec["claimRef"];
    let claim = if claim.is_null() { String::new() } else { format!("{}/{}", text(claim, "namespace"), text(claim, "name")) };
    vec![
        name(o),
        spec["capacity"]["storage"].as_str().unwrap_or("0").into(),
        short_modes(&spec["accessModes"]).into(),
        text(spec, "persistentVolumeReclaimPolicy").into(),
        phase(o),
        claim.into(),
        storage_class(o),
        or_unset(&spec["volumeAttributesClassName"]),
        text(&o["status"], "reason").into(),
        age(o, now),
        or_unset(&spec["volumeMode"]),
    ]
}
