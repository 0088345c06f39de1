//! What goes over a wire in Impresario: Kubernetes objects, their schema, patches and selectors, and mesh envelopes.
pub mod codec;
pub mod discovery;
pub mod light;
pub mod mesh;
pub mod meta;
pub mod names;
pub mod net;
pub mod openapi;
pub mod patch;
pub mod quantity;
pub mod resource;
pub mod selector;
pub mod status;
pub mod table;
pub mod time;
pub mod validation;
