//! Streams through the API: exec, attach, port-forward, logs; over SPDY or websockets, whichever the client asks for.

// An `ApiError` is large, and rare.
#![allow(clippy::result_large_err)]

mod channels;
mod delivery;
pub mod logs;
mod outcome;
pub mod port_forward;
pub mod remote_command;
pub mod spdy;
pub mod upgrade;

// What the fuzz targets reach besides.
#[cfg(test)]
pub(crate) use channels::decode as decode_message;
pub use logs::logs_response;
pub use port_forward::{PodTarget, port_forward_response};
pub use remote_command::{ExecOptions, attach_response, check_options, exec_response};
pub use upgrade::{UpgradeKind, require_upgrade, upgrade_kind};
