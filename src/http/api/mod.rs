//! The Kubernetes API, apart from any transport: a request goes in, an answer comes out. The HTTPS server and the mesh
//! both stand in front of this one gateway.
mod bodies;
mod connect;
mod deadline;
mod documents;
mod eviction;
mod gateway;
mod late;
mod list;
mod metrics;
mod options;
mod outflow;
mod path;
mod read;
mod render;
mod response;
mod reviews;
mod server;
mod unstored;
mod view;
mod watch;
mod write;

pub use documents::{Documents, Health, git_version};
pub use gateway::{ApiRequest, Gateway, Reply};
pub use metrics::metrics_text;
pub use options::Query;
pub use path::{RequestPath, Target, decode as unescape_path, parse_path};
pub use reviews::VIRTUAL;
pub use server::{ServerState, app};
pub use watch::WatchStream;

// What the fuzz targets reach besides.
#[cfg(test)]
pub(crate) use {list::Continue, options::delete_options};

/// Upstream's limit on request bodies, bytes.
pub const MAX_BODY: usize = 3 * 1024 * 1024;
