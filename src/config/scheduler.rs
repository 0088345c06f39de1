//! The scheduler's part of the cluster file: the fields of upstream's `KubeSchedulerConfiguration`.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// See the module. What it says is checked where the scheduler is made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Scheduler {
    /// How many of the nodes are enough to choose from, in per cent. 0: fewer the larger the cluster is.
    pub percentage_of_nodes_to_score: i32,
    /// How long a pod rests after the first failure …
    pub pod_initial_backoff_seconds: i64,
    /// … and at most.
    pub pod_max_backoff_seconds: i64,
    /// One for each `schedulerName`. Empty: `default-scheduler` as upstream has it.
    pub profiles: Vec<Profile>,
    /// What a `KubeSchedulerConfiguration` that was pasted says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Upstream's number of threads; here one decides, so it is only checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// There are none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extenders: Option<Vec<Value>>,
    /// What only a process of its own needs: taken, and without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_election: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_connection: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_profiling: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_contention_profiling: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_cache_until_active: Option<bool>,
}

impl Default for Scheduler {
    fn default() -> Self {
        Scheduler {
            percentage_of_nodes_to_score: 0,
            pod_initial_backoff_seconds: 1,
            pod_max_backoff_seconds: 10,
            profiles: Vec::new(),
            api_version: None,
            kind: None,
            parallelism: None,
            extenders: None,
            leader_election: None,
            client_connection: None,
            enable_profiling: None,
            enable_contention_profiling: None,
            delay_cache_until_active: None,
        }
    }
}

/// How the pods of one `schedulerName` are decided about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Profile {
    /// Empty: `default-scheduler`.
    pub scheduler_name: String,
    /// Overrides the one for all profiles.
    pub percentage_of_nodes_to_score: Option<i32>,
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
