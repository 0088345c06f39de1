//! Versions that Kubernetes has removed, as views of the kinds that are stored today: whoever sends an old manifest finds its
//! version in discovery, is warned, and gets today's object.
pub(super) mod pod_preset;

use super::{Body, Kind, View};
use crate::protocol::legacy::TABLE;
use crate::protocol::resource::{Resource, Subresource};
use std::sync::OnceLock;

/// The old versions of those of `today` that are stored, newest first, then kinds that have no successor. Kinds that are only
/// ever posted (reviews) have nothing to be viewed.
pub(super) fn kinds(today: &[&'static Kind]) -> Vec<&'static Kind> {
    static MADE: OnceLock<Vec<Kind>> = OnceLock::new();
    MADE.get_or_init(|| made(today)).iter().chain([&pod_preset::KIND]).collect()
}

fn made(today: &[&'static Kind]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for legacy in TABLE {
        let stands_for = |k: &&&Kind| k.resource.kind == legacy.kind && k.resource.api_version() == legacy.today;
        let Some(kind) = today.iter().find(stands_for).filter(|k| k.resource.verbs.contains(&"list")) else { continue };
        let Body::Typed(codec) = kind.body else { continue };
        let resource = Resource {
            group: legacy.group(),
            version: legacy.version(),
            // Short names and categories would make `kubectl get all` show everything twice.
            short_names: &[],
            categories: &[],
            subresources: subresources(&kind.resource, legacy.group(), legacy.version()),
            ..kind.resource.clone()
        };
        kinds.push(Kind { resource, body: Body::Legacy(legacy, codec), view: Some(view(kind)), ..(*kind).clone() });
    }
    kinds
}

/// Today's subresources; those that have the object's own type have it here too. Made once, like the kinds.
fn subresources(today: &Resource, group: &'static str, version: &'static str) -> &'static [Subresource] {
    let own = |s: &Subresource| s.kind == today.kind && s.group == today.group;
    let renamed = |s: &Subresource| if own(s) { Subresource { group, version, ..s.clone() } } else { s.clone() };
    today.subresources.iter().map(renamed).collect::<Vec<_>>().leak()
}

/// Where the objects are: what today's kind is a view of, when it is one itself.
fn view(today: &Kind) -> &'static View {
    today.view.unwrap_or_else(|| Box::leak(Box::new(View { stored: today.shelf().leak(), to_stored: |_| {}, from_stored: |_| {} })))
}
