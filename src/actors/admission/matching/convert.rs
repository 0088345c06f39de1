//! The same object in another version or group, for those who asked for that one.
use crate::actors::kinds::{Attributes, Kind, all};
use crate::protocol::resource::Resource;
use serde_json::Value;

/// In which form somebody gets the object.
#[derive(Clone, Copy)]
pub enum Target {
    /// As the request has it.
    Same,
    Other(&'static Kind),
}

/// Other kinds that serve the same objects.
pub fn equivalents(kind: &Kind) -> Vec<&'static Kind> {
    let shelf = kind.shelf();
    let own = &kind.resource;
    let other = |k: &&'static Kind| k.shelf() == shelf && (k.resource.group, k.resource.version) != (own.group, own.version);
    // Kinds made at run time have no other versions here.
    all().into_iter().filter(other).collect()
}

impl Target {
    pub fn resource<'a>(self, a: &Attributes<'a>) -> &'a Resource {
        match self {
            Target::Same => &a.kind.resource,
            Target::Other(kind) => &kind.resource,
        }
    }

    pub fn kind<'a>(self, a: &Attributes<'a>) -> &'a Kind {
        match self {
            Target::Same => a.kind,
            Target::Other(kind) => kind,
        }
    }

    /// The object as `self` wants it.
    pub fn present(self, a: &Attributes<'_>, object: &Value) -> Value {
        match self {
            Target::Other(kind) if a.subresource.is_empty() || a.subresource == "status" => convert(a.kind, kind, object),
            _ => object.clone(),
        }
    }

    /// What `self` answered, as the request has it.
    pub fn take_back(self, a: &Attributes<'_>, object: Value) -> Value {
        match self {
            Target::Other(kind) if a.subresource.is_empty() || a.subresource == "status" => convert(kind, a.kind, &object),
            _ => object,
        }
    }
}

fn convert(from: &Kind, to: &Kind, object: &Value) -> Value {
    let mut converted = object.clone();
    if let Some(view) = from.view {
        (view.to_stored)(&mut converted);
    }
    if let Some(view) = to.view {
        (view.from_stored)(&mut converted);
    }
    converted["kind"] = to.resource.kind.into();
    converted["apiVersion"] = to.resource.api_version().into();
    converted
}
