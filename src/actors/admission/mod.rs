//! What stands between a request and the store: the server's own plugins, quotas, webhooks and policies, in upstream's order
//! and words. The write path knows it as [`crate::actors::kinds::Admission`].
mod chain;
pub mod derived;
mod expressions;
mod matching;
pub mod notes;
mod plugins;
mod pod_security;
mod policies;
pub mod quota;
mod refusal;
mod request;
mod selection;
mod webhooks;

#[cfg(test)]
mod tests;

pub use chain::{AdmissionChain, AdmissionSettings};
pub use request::MastersOnly;
pub use selection::{Plugin, Plugins, SelectionError};
pub use webhooks::ClusterServices;
