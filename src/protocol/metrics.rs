//! `metrics.k8s.io/v1beta1`: what nodes and pods use, as `kubectl top` and autoscalers read it. The group's types are not among the
//! generated ones.
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The group of what is measured.
pub const GROUP: &str = "metrics.k8s.io";

/// What a node uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics")]
pub struct NodeMetrics {
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The end of the window.
    pub timestamp: Time,
    /// The stretch of time over which the use of CPU is an average, as `15.2s`.
    pub window: String,
    /// `cpu` in cores, `memory` in bytes.
    pub usage: BTreeMap<String, Quantity>,
}

/// What a pod's containers use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics")]
pub struct PodMetrics {
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The end of the window.
    pub timestamp: Time,
    /// The stretch of time over which the use of CPU is an average, as `15.2s`.
    pub window: String,
    pub containers: Vec<ContainerMetrics>,
}

/// What a container uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "io.k8s.metrics.pkg.apis.metrics.v1beta1.ContainerMetrics")]
pub struct ContainerMetrics {
    pub name: String,
    /// `cpu` in cores, `memory` in bytes.
    pub usage: BTreeMap<String, Quantity>,
}
