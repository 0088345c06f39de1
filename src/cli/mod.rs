//! The command line: one file per command.
mod admin;
mod background;
mod bench;
mod control;
mod down;
mod image;
mod kubia;
mod node;
mod pod_range;
mod quickstart;
mod secrets;
mod server;
mod simulate;
mod token;
mod up;
mod version;
mod why;

#[cfg(test)]
pub(crate) use bench::parse_kubeconfig;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A Kubernetes that is one binary, and an actor system inside.
#[derive(Parser)]
#[command(name = "impresario", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster on this machine: the control plane, and this machine as its first node.
    Up(up::Up),
    /// Stop the cluster of a data directory; with --purge remove its pods, network and data too.
    Down(down::Down),
    /// Make this machine a node of an existing cluster.
    Node(node::Node),
    /// Add simulated nodes to a cluster, for tests at scale: they start no containers.
    Simulate(simulate::Simulate),
    /// Images on this machine.
    Image(image::Image),
    /// Join tokens for further nodes.
    Token(token::Token),
    /// The keys that Secrets are encrypted with on disk.
    Secrets(secrets::Secrets),
    /// Measure a Kubernetes API through a kubeconfig.
    Bench(bench::Bench),
    /// Tell why an object is as it is: what controllers and the scheduler decided about it, and what moved them.
    Why(why::Why),
    /// Serve "You've hit <hostname>" on port 8080: the application in the built-in image.
    Kubia,
    /// Print the version.
    Version,
}

/// Exit code for wrong use or a refused start.
pub const EXIT_USAGE: u8 = 2;
/// Exit code for a failure while running.
pub const EXIT_FAILURE: u8 = 1;

/// Runs the command that was asked for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The bench has many peers, and must survive the restart of a server.
    let serves = matches!(cli.command, Command::Up(_) | Command::Node(_) | Command::Simulate(_) | Command::Kubia | Command::Bench(_));
    if !serves {
        end_with_the_reader();
    }
    let outcome = match cli.command {
        Command::Up(command) => command.run(),
        Command::Down(command) => command.run(),
        Command::Node(command) => command.run(),
        Command::Simulate(command) => command.run(),
        Command::Image(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Secrets(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Why(command) => command.run(),
        Command::Kubia => return kubia::run(),
        Command::Version => version::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("impresario: {error}");
            ExitCode::from(error.code)
        }
    }
}

/// A command whose output nobody reads any more (`impresario token list | head -1`) ends quietly. Not for what serves: there a
/// peer that goes away is an error of one connection.
pub fn end_with_the_reader() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: the default action runs no code of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
}

/// What went wrong, in words that say what to do, and the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    pub code: u8,
    pub message: String,
}

impl CliError {
    /// The command could not start as asked.
    pub fn usage(message: impl std::fmt::Display) -> Self {
        CliError { code: EXIT_USAGE, message: message.to_string() }
    }

    /// The command failed on its way.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        CliError { code: EXIT_FAILURE, message: message.to_string() }
    }
}

/// What every command answers.
pub type Outcome = Result<(), CliError>;

/// Logs to standard error, at the level of the cluster file or of `IMPRESARIO_LOG`.
pub fn start_logging(level: &str) -> Outcome {
    let directives = std::env::var("IMPRESARIO_LOG").unwrap_or_else(|_| level.to_string());
    let filter =
        tracing_subscriber::EnvFilter::try_new(&directives).map_err(|e| CliError::usage(format!("log level \"{directives}\": {e}")))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}
