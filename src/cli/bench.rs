//! To come.
use super::{CliError, Outcome};
/// Measure a Kubernetes API.
#[derive(clap::Args)]
pub struct Bench {}
impl Bench { pub fn run(self) -> Outcome { Err(CliError::failed("bench is not implemented yet")) } }
