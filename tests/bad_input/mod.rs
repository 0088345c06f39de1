//! Whatever comes in wrong gets a clear message, and nothing is lost by it.
mod api;
mod cli;
mod images;
