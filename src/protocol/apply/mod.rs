//! Who manages which field: `metadata.managedFields` and server-side apply, as pure functions of objects.
//!
//! - `schema`: what of a kind is owned one by one and what as a whole
//! - `fieldset`: sets of fields, and their `FieldsV1` form
//! - `typed`: comparing, merging and cutting objects by a schema
//! - `managed`: the managers of an object, and the operations `track` (create, update, patch) and `apply`
//!
//! The rules, orders and words are upstream's (`structured-merge-diff`, `apimachinery/pkg/util/managedfields`). There is no
//! clock, no store and no default here: callers pass the time, the live object and the defaulted result.
pub mod fieldset;
pub mod managed;
pub mod schema;
pub mod typed;

#[cfg(test)]
mod tests;

pub use managed::{Applied, ApplyError, Config, Conflict, Converted, Record, Reset, Rules, Writer, apply, track, undeclared};
pub use schema::{Schema, builtin, custom};
