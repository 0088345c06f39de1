//! `networking.k8s.io`: ways into the cluster, policies, and the ranges that services get their addresses from.
mod ingress;
mod ingress_class;
mod ip_address;
mod network_policy;
mod service_cidr;

#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&ingress_class::KIND, &ingress::KIND, &ip_address::KIND, &network_policy::KIND, &service_cidr::KIND];
