//! What a client wants to see: content negotiation, and the `Table` that the server prints objects into for kubectl.
mod accept;
mod duration;
#[cfg(test)]
mod tests;
mod writer;

pub use accept::{Clause, Encoding, Media, MetaVersion, NotAcceptable, Offer, Shape, clauses, negotiate, wants_table};
pub use duration::{age, human_duration};
pub use writer::{Column, IncludeObject, ListMeta, RowObject, TableWriter, partial_object};
