//! Tests of the whole: real clients against real parts.
mod http_streams;

fn main() {}
