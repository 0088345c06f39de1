//! `impresario image`: images on this machine.
use super::control::{self, Request};
use super::{CliError, Outcome};
use crate::config::Config;
use crate::runtime::images::Images;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub struct Image {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring in an OCI layout (tar or directory) or a `docker save` archive.
    Import {
        file: PathBuf,
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// List the images on this machine.
    List {
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
}

impl Image {
    pub fn run(self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::failed)?;
        match self.command {
            Command::Import { file, data_dir } => {
                let file = std::fs::canonicalize(&file).map_err(|e| CliError::usage(format!("{}: {e}", file.display())))?;
                for image in runtime.block_on(carry_out(data_dir, Request::Import(file)))? {
                    println!("{} {}", image.id, image.names.join(" "));
                }
            }
            Command::List { data_dir } => {
                println!("{:<72} {:>10} NAMES", "ID", "BYTES");
                for image in runtime.block_on(carry_out(data_dir, Request::List))? {
                    println!("{:<72} {:>10} {}", image.id, image.size, image.names.join(" "));
                }
            }
        }
        Ok(())
    }
}

/// Through the running agent, or on the files themselves when none runs.
async fn carry_out(data_dir: Option<PathBuf>, request: Request) -> Result<Vec<crate::runtime::api::Image>, CliError> {
    let data_dir = data_dir.unwrap_or_else(|| Config::default().cluster.data_dir);
    if let Some(answer) = control::ask(&data_dir, &request).await {
        return answer;
    }
    super::up::prepare_data_dir(&data_dir)?;
    let _claim = super::background::claim(&data_dir)?;
    let program = std::env::current_exe().map_err(CliError::failed)?;
    let images = Images::new(data_dir.join("images"), Vec::new(), program).map_err(CliError::failed)?;
    match request {
        Request::Import(file) => images.import(&file).await.map_err(CliError::failed),
        Request::List => Ok(images.list()),
    }
}
