//! `impresario down`: stop a cluster.
use super::{CliError, Outcome, background};
use crate::config::Config;
use clap::Args;
use std::path::PathBuf;

/// Stop the cluster of a data directory.
#[derive(Args)]
pub struct Down {
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The cluster file that it was started with.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Remove its pods, network and data as well.
    #[arg(long)]
    purge: bool,
}

impl Down {
    pub fn run(self) -> Outcome {
        let config = match &self.config {
            Some(path) => Config::load(path).map_err(CliError::usage)?,
            None => Config::default(),
        };
        let data_dir = self.data_dir.unwrap_or_else(|| config.cluster.data_dir.clone());
        if !data_dir.join("impresario").exists() {
            return Err(CliError::usage(format!("{} is no data directory of Impresario", data_dir.display())));
        }
        let data_dir = std::path::absolute(&data_dir).map_err(CliError::usage)?;
        match background::stop(&data_dir)? {
            true => println!("Stopped."),
            false => println!("Nothing was running in {}.", data_dir.display()),
        }
        if !self.purge {
            return Ok(());
        }
        super::node::purge(&config, &data_dir)?;
        std::fs::remove_dir_all(&data_dir).map_err(|e| CliError::failed(format!("cannot remove {}: {e}", data_dir.display())))?;
        println!("Removed pods, network and {}.", data_dir.display());
        Ok(())
    }
}
