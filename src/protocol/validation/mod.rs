//! What upstream's validation and defaulting do, on JSON values.
