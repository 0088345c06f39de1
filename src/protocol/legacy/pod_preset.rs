//! `settings.k8s.io/v1alpha1 PodPreset`: what pods with certain labels are given when they are created.
//!
//! Kubernetes removed the kind without a successor, so this one is stored as it is, and works as it did.
use crate::codec::Codec;
use crate::selector::LabelSelector;
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, Volume, VolumeMount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub static POD_PRESET: Codec = Codec::named::<PodPreset>(KIND, API_VERSION);

/// What upstream's deprecation warnings would have said, had there been a successor.
pub const WARNING: &str = "settings.k8s.io/v1alpha1 PodPreset is deprecated in v1.19+, unavailable in v1.20+";

/// The stored kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodPreset {
    #[serde(default = "Expected::api_version", deserialize_with = "api_version")]
    pub api_version: Expected,
    #[serde(default = "Expected::kind", deserialize_with = "kind")]
    pub kind: Expected,
    pub metadata: ObjectMeta,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<PodPresetSpec>,
}

/// The text of `apiVersion` or `kind`, once it is known to be the one that was expected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Expected(String);

const API_VERSION: &str = "settings.k8s.io/v1alpha1";
const KIND: &str = "PodPreset";

impl Expected {
    /// What a body means that says nothing about it.
    fn api_version() -> Self {
        Expected(API_VERSION.into())
    }

    fn kind() -> Self {
        Expected(KIND.into())
    }
}

fn api_version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Expected, D::Error> {
    expected(deserializer, API_VERSION)
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Expected, D::Error> {
    expected(deserializer, KIND)
}

/// Words the mismatch as generated types do, so that it is explained alike.
fn expected<'de, D: serde::Deserializer<'de>>(deserializer: D, wanted: &str) -> Result<Expected, D::Error> {
    use serde::de::{Error, Unexpected};
    match String::deserialize(deserializer)? {
        found if found.is_empty() || found == wanted => Ok(Expected(wanted.into())),
        found => Err(D::Error::invalid_value(Unexpected::Str(&found), &wanted)),
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodPresetSpec {
    /// Which pods; an empty one selects all.
    pub selector: meta::LabelSelector,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<EnvVar>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_from: Option<Vec<EnvFromSource>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Volume>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_mounts: Option<Vec<VolumeMount>>,
}

/// Says that presets leave this pod alone.
const EXCLUDE: &str = "podpreset.admission.kubernetes.io/exclude";
/// Marks pods that a node runs by itself; nothing is added to them.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What presets come to for a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// None of them selects it.
    Unchanged,
    /// The pod with everything merged in, annotated with each preset's name and version.
    Changed(Value),
    /// They contradict the pod, or each other; the pod stays as it is. For an event.
    Conflict(String),
}

/// Merges all presets that select a new pod into it. `presets` are those of its namespace, with their `resourceVersion`; they are
/// taken in the order of their names. All of them apply, or none does.
pub fn apply_presets(pod: &Value, presets: &[Value]) -> Outcome {
    let annotations = &pod["metadata"]["annotations"];
    if annotations[EXCLUDE] == "true" || annotations.get(MIRROR).is_some() {
        return Outcome::Unchanged;
    }
    let labels = &pod["metadata"]["labels"];
    let mut chosen: Vec<&Value> = presets.iter().filter(|p| selects(&p["spec"]["selector"], labels)).collect();
    if chosen.is_empty() {
        return Outcome::Unchanged;
    }
    chosen.sort_by_key(|p| name(p));
    let mut changed = pod.clone();
    match merge(&mut changed, &chosen) {
        Err(why) => {
            let names: Vec<&str> = chosen.iter().map(|p| name(p)).collect();
            Outcome::Conflict(format!("conflict occurred while applying podpresets: {}: {why}", names.join(",")))
        }
        Ok(()) => Outcome::Changed(changed),
    }
}

fn selects(selector: &Value, labels: &Value) -> bool {
    if selector.is_null() {
        return true;
    }
    let empty = Value::Object(Map::new());
    LabelSelector::from_object(selector).is_ok_and(|s| s.matches_value(if labels.is_null() { &empty } else { labels }))
}

fn name(preset: &Value) -> &str {
    preset["metadata"]["name"].as_str().unwrap_or_default()
}

fn merge(pod: &mut Value, presets: &[&Value]) -> Result<(), String> {
    for preset in presets {
        let spec = &preset["spec"];
        let Some(pod_spec) = pod.get_mut("spec") else { continue };
        add(pod_spec, "volumes", spec, &["name"], "volumes", name(preset))?;
        for list in ["containers", "initContainers"] {
            let Some(containers) = pod_spec.get_mut(list).and_then(Value::as_array_mut) else { continue };
            for container in containers {
                add(container, "env", spec, &["name"], "env", name(preset))?;
                add(container, "envFrom", spec, &[], "envFrom", name(preset))?;
                add(container, "volumeMounts", spec, &["name", "mountPath"], "volume mounts", name(preset))?;
            }
        }
        annotate(pod, preset);
    }
    Ok(())
}

/// Appends the preset's items of a list. One whose key is taken already must be the same in all.
fn add(to: &mut Value, field: &str, from: &Value, keys: &[&str], what: &str, preset: &str) -> Result<(), String> {
    let Some(given) = from[field].as_array().filter(|g| !g.is_empty()) else { return Ok(()) };
    let Some(members) = to.as_object_mut() else { return Ok(()) };
    let slot = members.entry(field).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Array(Vec::new());
    }
    let Some(held) = slot.as_array_mut() else { return Ok(()) };
    for item in given {
        let taken = |h: &&Value| keys.iter().any(|key| !item[*key].is_null() && h[*key] == item[*key]);
        match held.iter().find(taken) {
            None => held.push(item.clone()),
            Some(same) if same == item => {}
            Some(other) => {
                let key = keys.iter().find(|key| other[**key] == item[**key]).copied().unwrap_or_default();
                let at = if key == "mountPath" { "mount path " } else { "" };
                let value = item[key].as_str().unwrap_or_default();
                return Err(format!("merging {what} for {preset} has a conflict on {at}{value}: {item} does not match {other}"));
            }
        }
    }
    Ok(())
}

fn annotate(pod: &mut Value, preset: &Value) {
    let key = format!("podpreset.admission.kubernetes.io/podpreset-{}", name(preset));
    super::fields::annotate(pod, &key, preset["metadata"]["resourceVersion"].as_str().unwrap_or_default().into());
}
