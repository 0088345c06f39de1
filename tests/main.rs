//! The tests that need the whole binary, a kernel, or a client.
mod http_streams;
mod node_images;
