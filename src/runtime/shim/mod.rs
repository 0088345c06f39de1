//! The single-threaded processes that stand between the agent and its containers.
//!
//! libcontainer must never run in the multi-threaded agent, and containers must outlive it. So the agent starts its own
//! executable anew with one of the words below; [`intercept`] branches off before any thread exists.
//!
//! - `shim <state dir>`: one per container. Creates and starts it, writes its log, serves attached clients, records its end.
//! - `exec-shim <state dir>`: one per exec session. Joins the container and runs one command in it.
mod client;
mod create;
pub mod exec;
mod executable;
mod finish;
pub mod frame;
pub mod log;
mod serve;
mod setup;

use std::path::Path;
use std::process::ExitCode;

/// Why a shim could not do its work; the text reaches the agent.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
    #[error("{0}")]
    Create(String),
    #[error("{0}")]
    Protocol(String),
}

/// Names the step that an I/O error came from.
pub(crate) trait During<T> {
    fn during(self, what: &'static str) -> Result<T, ShimError>;
}

impl<T, E: Into<std::io::Error>> During<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, ShimError> {
        self.map_err(|e| ShimError::Io { what, source: e.into() })
    }
}

fn texts(words: impl Iterator<Item = std::ffi::OsString>) -> Vec<String> {
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Runs a shim if that is what this process was started for. To be called first thing in `main`, while there is one thread.
pub fn intercept() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let word = words.next()?;
    match word.to_str()? {
        "unpack" => return Some(super::images::unpack_main(&texts(words))),
        "pause" => return Some(super::sandbox::pause_main()),
        _ => {}
    }
    let argument = words.next();
    let run: fn(&Path) -> Result<(), ShimError> = match word.to_str()? {
        "shim" => create::shim,
        "exec-shim" => exec::shim,
        _ => return None,
    };
    let Some(state) = argument else {
        eprintln!("{} needs a state directory", word.to_string_lossy());
        return Some(ExitCode::from(2));
    };
    Some(match run(Path::new(&state)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    })
}
