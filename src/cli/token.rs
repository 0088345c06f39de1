//! `impresario token`: join tokens for further nodes.
use super::{CliError, Outcome};
use crate::config::Config;
use crate::storage::pki::Tokens;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
pub struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token and print it; it carries the hash of the cluster's CA.
    Create {
        #[arg(long)]
        data_dir: Option<PathBuf>,
        /// Hours until it ends; 0 never.
        #[arg(long, default_value_t = 24)]
        hours: u64,
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List tokens, without their secrets.
    List {
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// Take a token back.
    Delete {
        id: String,
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
}

impl Token {
    pub fn run(self) -> Outcome {
        match self.command {
            Command::Create { data_dir, hours, description } => {
                let ttl = (hours > 0).then(|| Duration::from_secs(hours * 3600));
                let token = tokens(data_dir)?.create(ttl, &description, jiff::Timestamp::now()).map_err(CliError::failed)?;
                println!("{token}");
            }
            Command::List { data_dir } => {
                println!("{:<8} {:<22} DESCRIPTION", "ID", "ENDS");
                for info in tokens(data_dir)?.list().map_err(CliError::failed)? {
                    let ends = info.expires.map_or_else(|| "never".to_string(), |t| t.to_string());
                    println!("{:<8} {ends:<22} {}", info.id, info.description);
                }
            }
            Command::Delete { id, data_dir } => {
                if !tokens(data_dir)?.remove(&id).map_err(CliError::failed)? {
                    return Err(CliError::usage(format!("there is no token \"{id}\"; `impresario token list` shows all")));
                }
            }
        }
        Ok(())
    }
}

fn tokens(data_dir: Option<PathBuf>) -> Result<Tokens, CliError> {
    let data_dir = data_dir.unwrap_or_else(|| Config::default().cluster.data_dir);
    Tokens::open(&data_dir.join("pki"))
        .map_err(|e| CliError::usage(format!("{e} (is {} the data directory of a cluster?)", data_dir.display())))
}
