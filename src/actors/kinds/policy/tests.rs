//! By table.
