//! `admissionregistration.k8s.io`: webhooks and policies that judge and change requests.
mod bindings;
mod expressions;
mod matching;
mod policies;
#[cfg(test)]
mod tests;
mod webhooks;

use super::Kind;
use crate::protocol::codec::Codec;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};

pub(super) const KINDS: &[&Kind] =
    &[&policies::MUTATING, &bindings::MUTATING, &webhooks::MUTATING, &policies::VALIDATING, &bindings::VALIDATING, &webhooks::VALIDATING];

const GROUP: &str = "admissionregistration.k8s.io";

/// How the kinds of this group are served: for the whole cluster, in one category.
const fn resource(kind: &'static str, plural: &'static str, singular: &'static str, subresources: &'static [Subresource]) -> Resource {
    Resource {
        group: GROUP,
        version: "v1",
        kind,
        plural,
        singular,
        namespaced: false,
        short_names: &[],
        categories: &["api-extensions"],
        verbs: ALL_VERBS,
        subresources,
    }
}

/// The body of a kind with a generated type.
const fn typed(codec: &'static Codec) -> super::Body {
    super::Body::Typed(codec)
}
