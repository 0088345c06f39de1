//! Streams through the API: exec, attach, port-forward, logs.
pub mod spdy;
