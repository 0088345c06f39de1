//! Stub while the node is built.
use super::server::Server;
use super::{CliError, Outcome};
use crate::config::Config;
use std::path::Path;
#[derive(clap::Args)]
pub struct Node {}
impl Node {
    pub fn run(self) -> Outcome {
        Err(CliError::failed("not yet"))
    }
}
pub struct LocalNode;
pub async fn start_local(_: &Config, _: &Path, _: &Server, _: &tokio::runtime::Handle) -> Result<LocalNode, CliError> {
    Ok(LocalNode)
}
pub fn purge(_: &Config, _: &Path) -> Outcome {
    Ok(())
}
