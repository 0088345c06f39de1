//! Single-threaded processes that are this same binary: a container's shim, the process behind `exec`, the unpacker of
//! image layers, a pod's pause process. libcontainer and `setns` must never run inside the multi-threaded agent.
mod container;
mod exec;
mod log;
mod process;

pub use container::{ShimOrder, ShimReport};
pub use exec::ExecOrder;
pub use process::{proc_start_time, reset_signals};

use std::process::ExitCode;

/// The word that starts a container's shim; its argument is the container's state directory.
pub const SHIM: &str = "shim";
/// The word that starts the process behind `exec`; the order comes on fd 3.
pub const EXEC: &str = "exec-in";
/// The word that starts the unpacker of image layers.
pub const UNPACK: &str = "unpack";
/// The word that starts a pod's pause process.
pub const PAUSE: &str = "pause";

/// Runs one of these when this process was started as one; `None` for the ordinary binary. To be called before any thread
/// exists.
pub fn intercept() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let word = arguments.next()?;
    let rest: Vec<String> = arguments.collect();
    match word.as_str() {
        SHIM => Some(container::main(&rest)),
        EXEC => Some(exec::main()),
        UNPACK => Some(super::images::unpack_main(&rest)),
        PAUSE => Some(super::sandbox::pause_main()),
        _ => None,
    }
}
