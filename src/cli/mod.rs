//! To be written.
use std::process::ExitCode;
/// The command line.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
