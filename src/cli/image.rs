//! `impresario image`: images on this machine.
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
        match self.command {
            Command::Import { file, data_dir } => {
                let images = open(data_dir)?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::failed)?;
                for image in runtime.block_on(images.import(&file)).map_err(CliError::failed)? {
                    println!("{} {}", image.id, image.names.join(" "));
                }
            }
            Command::List { data_dir } => {
                println!("{:<72} {:>10} NAMES", "ID", "BYTES");
                for image in open(data_dir)?.list() {
                    println!("{:<72} {:>10} {}", image.id, image.size, image.names.join(" "));
                }
            }
        }
        Ok(())
    }
}

fn open(data_dir: Option<PathBuf>) -> Result<Images, CliError> {
    let data_dir = data_dir.unwrap_or_else(|| Config::default().cluster.data_dir);
    super::up::prepare_data_dir(&data_dir)?;
    let program = std::env::current_exe().map_err(CliError::failed)?;
    Images::new(data_dir.join("images"), Vec::new(), program).map_err(CliError::failed)
}
