//! Impresario: a Kubernetes that is one binary, and an actor system inside.
//!
//! Modules in reading order: what goes over a wire, what is kept, who decides, what runs, how one gets in.
pub use impresario_protocol as protocol;

pub mod config;
pub mod storage;

pub mod actors;
pub mod runtime;

pub mod cli;
pub mod http;

#[cfg(test)]
mod fuzz;
