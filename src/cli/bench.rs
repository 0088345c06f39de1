use super::{CliError, Outcome};
#[derive(clap::Args)]
/// Measure a Kubernetes API.
pub struct Bench {}
impl Bench {
    pub fn run(self) -> Outcome {
        Err(CliError::failed("bench is not implemented yet"))
    }
}
