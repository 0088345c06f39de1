//! To be written.
use std::process::ExitCode;
/// Runs the shim (or the exec or unpack helper) when this process was started as one; `None` for the ordinary binary.
pub fn intercept() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    let word = args.next()?;
    let rest: Vec<String> = args.collect();
    match word.as_str() {
        "unpack" => Some(crate::runtime::images::unpack_main(&rest)),
        "kubia" => Some(crate::runtime::images::kubia_main()),
        "pause" => Some(crate::runtime::sandbox::pause_main()),
        _ => None,
    }
}
