//! `impresario up`: a cluster on this machine.
use super::background::Claim;
use super::server::Server;
use super::{CliError, Outcome};
use crate::config::Config;
use clap::Args;
use std::path::{Path, PathBuf};

/// Start a cluster on this machine.
#[derive(Args)]
pub struct Up {
    /// Where everything is kept; made when it is missing.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The cluster file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Port of the Kubernetes API; 0 takes a free one.
    #[arg(long)]
    api_port: Option<u16>,
    /// UDP port of the mesh; 0 takes a free one.
    #[arg(long)]
    mesh_port: Option<u16>,
    /// The node's name.
    #[arg(long)]
    node_name: Option<String>,
    /// Stay in the foreground, and log to standard error.
    #[arg(long)]
    foreground: bool,
    /// Run the control plane only.
    #[arg(long)]
    no_node: bool,
    /// Create the quickstart application.
    #[arg(long)]
    quickstart: bool,
}

impl Up {
    pub fn run(self) -> Outcome {
        let (mut config, data_dir) = self.settings()?;
        if !self.no_node && !nix::unistd::geteuid().is_root() {
            return Err(CliError::usage("running containers needs root: use sudo, or --no-node for the control plane alone"));
        }
        prepare_data_dir(&data_dir)?;
        super::pod_range::settle(&mut config, &data_dir)?;
        if !self.foreground {
            super::end_with_the_reader();
            return super::background::start(&data_dir, &std::env::args().skip(1).collect::<Vec<_>>());
        }
        super::start_logging(&config.log.level)?;
        let claim = super::background::claim(&data_dir)?;
        run_cluster(&config, &data_dir, &claim, !self.no_node, self.quickstart)
    }

    fn settings(&self) -> Result<(Config, PathBuf), CliError> {
        let mut config = match &self.config {
            Some(path) => Config::load(path).map_err(CliError::usage)?,
            None => Config::default(),
        };
        if let Some(port) = self.api_port {
            config.api.port = port;
        }
        if let Some(port) = self.mesh_port {
            config.mesh.port = port;
        }
        if let Some(name) = &self.node_name {
            config.node.name = name.clone();
        }
        let data_dir = self.data_dir.clone().unwrap_or_else(|| config.cluster.data_dir.clone());
        let data_dir = std::path::absolute(&data_dir).map_err(|e| CliError::usage(format!("{}: {e}", data_dir.display())))?;
        Ok((config, data_dir))
    }
}

/// The file that says that a directory is ours.
const MARK: &str = "impresario";

/// Makes the data directory, or checks that an existing one is ours.
pub fn prepare_data_dir(path: &Path) -> Outcome {
    let told = |e: std::io::Error| CliError::usage(format!("cannot use the data directory {}: {e}", path.display()));
    let mark = path.join(MARK);
    if mark.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(told)?;
    let empty = std::fs::read_dir(path).map_err(told)?.next().is_none();
    if !empty {
        return Err(CliError::usage(format!(
            "{} is not empty and is no data directory of Impresario; choose another with --data-dir, or empty it first",
            path.display()
        )));
    }
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o711)).map_err(told)?;
    std::fs::write(&mark, "1\n").map_err(told)
}

/// Runs until a signal says stop.
fn run_cluster(config: &Config, data_dir: &Path, claim: &Claim, with_node: bool, quickstart: bool) -> Outcome {
    in_system(|runtime| async move {
        let server = Server::start(config, data_dir, &runtime).await?;
        let node = if with_node { Some(super::node::start_local(config, data_dir, &server, &runtime).await?) } else { None };
        if quickstart {
            super::quickstart::apply(&server).await?;
        }
        claim.ready();
        tracing::info!(url = server.url, "ready");
        stop_signal().await?;
        drop(node);
        server.stop().await;
        Ok(())
    })
}

/// Runs something within an actor system over a runtime of two threads.
pub fn in_system<F: Future<Output = Outcome>>(work: impl FnOnce(tokio::runtime::Handle) -> F) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| CliError::failed(format!("cannot start: {e}")))?;
    let handle = runtime.handle().clone();
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    system.block_on(work(handle))
}

/// Waits for SIGTERM or SIGINT.
pub async fn stop_signal() -> Outcome {
    use tokio::signal::unix::{SignalKind, signal};
    let told = |e: std::io::Error| CliError::failed(format!("cannot listen for signals: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(told)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(told)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
