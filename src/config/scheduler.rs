//! The scheduler's part of the cluster file: the fields of upstream's `KubeSchedulerConfiguration` that we have.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Scheduler {
    /// How many of the nodes are enough to choose from, in per cent. 0: fewer the larger the cluster is.
    pub percentage_of_nodes_to_score: u8,
    /// How long a pod rests after the first failure …
    pub pod_initial_backoff_seconds: u64,
    /// … and at most.
    pub pod_max_backoff_seconds: u64,
    /// One for each `schedulerName`. Empty: `default-scheduler` as upstream has it.
    pub profiles: Vec<Profile>,
}

impl Default for Scheduler {
    fn default() -> Self {
        Scheduler { percentage_of_nodes_to_score: 0, pod_initial_backoff_seconds: 1, pod_max_backoff_seconds: 10, profiles: Vec::new() }
    }
}

/// How the pods of one `schedulerName` are decided about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Profile {
    /// Empty: `default-scheduler`.
    pub scheduler_name: String,
    /// Overrides the one for all profiles.
    pub percentage_of_nodes_to_score: Option<u8>,
    /// By extension point, or `multiPoint` for all points of a plugin.
    pub plugins: BTreeMap<String, PluginSet>,
    pub plugin_config: Vec<PluginConfig>,
}

/// Changes to the plugins of one extension point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct PluginSet {
    pub enabled: Vec<PluginRef>,
    /// `*` for all.
    pub disabled: Vec<PluginRef>,
}

/// A plugin by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginRef {
    pub name: String,
    /// Of its score. 0: its usual one.
    #[serde(default)]
    pub weight: u16,
}

/// The arguments of a plugin, as upstream's `<Name>Args` has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginConfig {
    pub name: String,
    #[serde(default)]
    pub args: Value,
}
