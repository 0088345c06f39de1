//! To be written.
use std::process::ExitCode;
/// Runs the shim (or the exec or unpack helper) when this process was started as one; `None` for the ordinary binary.
pub fn intercept() -> Option<ExitCode> {
    None
}
