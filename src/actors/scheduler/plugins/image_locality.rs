//! ImageLocality: prefer nodes that have the pod's images already, the more the larger those are and the more nodes have
//! them (so that one node with an image does not draw all pods).
use super::{Cluster, MAX_SCORE, NodeInfo, Plugin, PodInfo, Points, State};

const MEGABYTE: i64 = 1024 * 1024;
/// Less than this counts for nothing …
const SMALLEST: i64 = 23 * MEGABYTE;
/// … and more than this, for each container, for no more.
const LARGEST: i64 = 1000 * MEGABYTE;

/// See the module.
pub struct ImageLocality;

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn points(&self) -> Points {
        Points::PRE_SCORE.and(Points::SCORE)
    }

    fn pre_score(&self, pod: &PodInfo, _slots: &[usize], cluster: &Cluster, _state: &mut State) -> bool {
        pod.images.iter().any(|image| cluster.nodes_with(image) > 0)
    }

    fn score(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, cluster: &Cluster, _state: &State) -> i64 {
        let nodes = cluster.count().max(1) as f64;
        let scaled = |image: &std::sync::Arc<str>| {
            node.images.get(image).map_or(0, |size| (*size as f64 * (cluster.nodes_with(image) as f64 / nodes)) as i64)
        };
        let sum: i64 = pod.images.iter().map(scaled).sum();
        let largest = LARGEST * pod.images.len().max(1) as i64;
        MAX_SCORE * (sum.clamp(SMALLEST, largest) - SMALLEST) / (largest - SMALLEST)
    }
}
