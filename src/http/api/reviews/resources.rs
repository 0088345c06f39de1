//! The reviews as discovery shows them.
use super::super::path::Target;
use crate::actors::kinds::{Body, Kind, PLAIN};
use crate::protocol::codec::Codec;
use crate::protocol::codec::kinds;
use crate::protocol::legacy::{Legacy, TABLE};
use crate::protocol::resource::Resource;
use crate::protocol::status::ApiError;
use std::sync::LazyLock;

/// Kinds that are answered and never stored.
pub static VIRTUAL: &[Resource] = &[
    review("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", false),
    review("authentication.k8s.io", "TokenReview", "tokenreviews", "tokenreview", false),
    review("authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", "localsubjectaccessreview", true),
    review("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview", false),
    review("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview", false),
    review("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview", false),
];

const fn review(group: &'static str, kind: &'static str, plural: &'static str, singular: &'static str, namespaced: bool) -> Resource {
    Resource {
        group,
        version: "v1",
        kind,
        plural,
        singular,
        namespaced,
        short_names: &[],
        categories: &[],
        verbs: &["create"],
        subresources: &[],
    }
}

/// The same with the versions that Kubernetes has removed.
pub fn reviews() -> Vec<Resource> {
    let old = |legacy: &Legacy| {
        let today = VIRTUAL.iter().find(|r| r.kind == legacy.kind && r.api_version() == legacy.today)?;
        Some(Resource { version: legacy.version(), ..today.clone() })
    };
    VIRTUAL.iter().cloned().chain(TABLE.iter().filter_map(old)).collect()
}

/// The codec of the review that a path names, and the removed version that the path is of.
pub(super) fn codec(target: &Target) -> Option<(&'static Codec, Option<&'static Legacy>)> {
    let today = named(target)?;
    if today.version == target.version {
        return Some((codec_of(today)?, None));
    }
    let of = |l: &&Legacy| l.kind == today.kind && l.group() == today.group && l.version() == target.version;
    Some((codec_of(today)?, Some(TABLE.iter().find(of)?)))
}

/// The review that a path names, as admission sees it.
pub(super) fn kind(target: &Target) -> Option<&'static Kind> {
    static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
        let kind = |resource: &Resource| {
            let body = Body::Typed(codec_of(resource)?);
            let (rules, resource) = (PLAIN, resource.clone());
            Some(Kind { schema: resource.kind, resource, body, rules, columns: &[], row: |_, _| Vec::new(), view: None })
        };
        VIRTUAL.iter().filter_map(kind).collect()
    });
    let named = named(target)?;
    KINDS.iter().find(|kind| kind.resource.kind == named.kind)
}

fn named(target: &Target) -> Option<&'static Resource> {
    VIRTUAL.iter().find(|r| r.group == target.group && r.plural == target.resource)
}

fn codec_of(resource: &Resource) -> Option<&'static Codec> {
    [
        &kinds::SELF_SUBJECT_REVIEW,
        &kinds::TOKEN_REVIEW,
        &kinds::LOCAL_SUBJECT_ACCESS_REVIEW,
        &kinds::SELF_SUBJECT_ACCESS_REVIEW,
        &kinds::SELF_SUBJECT_RULES_REVIEW,
        &kinds::SUBJECT_ACCESS_REVIEW,
    ]
    .into_iter()
    .find(|codec| codec.kind == resource.kind)
}

/// Reviews are created, in a namespace or not, and nothing else.
pub(super) fn check_shape(target: &Target, verb: &str) -> Result<(), ApiError> {
    let namespaced = VIRTUAL.iter().any(|r| r.plural == target.resource && r.namespaced);
    if namespaced == target.namespace.is_empty() || !target.subresource.is_empty() || !target.name.is_empty() {
        return Err(ApiError::new(404, "NotFound", "the server could not find the requested resource"));
    }
    if verb != "create" {
        return Err(ApiError::method_not_supported(&target.group, &target.resource, verb));
    }
    Ok(())
}
