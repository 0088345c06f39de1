//! Integration tests, one binary. Those of the node need root and the real kernel.
mod node_images;
