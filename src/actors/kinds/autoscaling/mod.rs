//! `autoscaling`: HorizontalPodAutoscalers, stored as `v2` and served as `v1` besides.
mod behavior;
mod horizontal_pod_autoscaler;
mod metrics;
#[cfg(test)]
mod tests;
mod v1;
mod v1_metrics;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&horizontal_pod_autoscaler::KIND, &v1::KIND];
