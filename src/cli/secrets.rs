//! `impresario secrets`: the keys that Secrets are encrypted with at rest.
use super::{CliError, Outcome};
use crate::config::Config;
use crate::storage::pki::SealingKeys;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Secrets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new key. The server encrypts every Secret with it when it starts again; older keys stay for reading.
    RotateKey {
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// Remove all keys but the newest. Only when the server has been started since the last `rotate-key`.
    ForgetOldKeys {
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
}

impl Secrets {
    pub fn run(self) -> Outcome {
        match self.command {
            Command::RotateKey { data_dir } => {
                SealingKeys::rotate(&pki(data_dir)?).map_err(CliError::failed)?;
                println!("There is a new key. Restart the server to encrypt every Secret with it.");
            }
            Command::ForgetOldKeys { data_dir } => SealingKeys::forget_old(&pki(data_dir)?).map_err(CliError::failed)?,
        }
        Ok(())
    }
}

fn pki(data_dir: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let data_dir = data_dir.unwrap_or_else(|| Config::default().cluster.data_dir);
    let pki = data_dir.join("pki");
    match Path::exists(&pki.join(SealingKeys::FILE)) {
        true => Ok(pki),
        false => Err(CliError::usage(format!("{} is not the data directory of a cluster that was started before", data_dir.display()))),
    }
}
