//! `impresario version`
use super::Outcome;
use crate::http::api::git_version;

pub fn run() -> Outcome {
    println!("impresario {} (Kubernetes API {})", env!("CARGO_PKG_VERSION"), git_version());
    Ok(())
}
