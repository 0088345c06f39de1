//! Sets of fields of an object, as trees of path elements.
mod decode;
mod element;
mod encode;
mod set;

pub use decode::{FieldsError, from_value};
pub use element::{Element, same};
pub(super) use encode::write_element;
pub use encode::{to_json, to_value};
pub use set::{Node, Set, path_text};

/// The deepest nesting that sets and walks follow, as deep as JSON documents are read.
pub const MAX_DEPTH: usize = 128;
