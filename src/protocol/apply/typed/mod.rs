//! Objects seen through a schema: compared, merged, cut.
mod atomics;
mod diff;
mod items;
mod merge;
mod named;
mod reconcile;
mod remove;
mod to_set;
mod validate;

pub use atomics::atomics;
pub use diff::{Diff, diff};
pub use merge::merge;
pub use named::with_named_fields;
pub use reconcile::reconcile;
pub use remove::{extract, remove};
pub use to_set::to_set;
pub(super) use to_set::to_whole_set;
pub use validate::{Problem, validate};

/// Fields that have no manager: what an object is, and what the server says of it. `depth` 0 is the object, 1 its metadata.
pub(super) fn is_untracked(depth: usize, in_metadata: bool, field: &str) -> bool {
    match depth {
        0 => matches!(field, "apiVersion" | "kind"),
        1 if in_metadata => matches!(
            field,
            "name"
                | "namespace"
                | "creationTimestamp"
                | "selfLink"
                | "uid"
                | "clusterName"
                | "generation"
                | "managedFields"
                | "resourceVersion"
        ),
        _ => false,
    }
}
