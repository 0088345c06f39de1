//! The node: an agent that registers the machine, and one actor for each pod that is bound to it.
//!
//! ```text
//! node/<name>                 agent.rs      registers, beats, watches its pods, routes ends of containers
//! └─ node/<name>/pods/<uid>   pod.rs        one pod: messages in, plan, tasks out
//!      plan.rs                              what comes next (pure)
//!      status.rs, conditions.rs             what the API shows (pure)
//!      spec.rs, env.rs                      what the runtime starts (pure)
//!      start.rs, probe.rs, volumes.rs       the tasks
//! streams.rs                                logs, exec, attach, port-forward, stats: calls from the server
//! simulate/                                nodes without containers, for tests at scale
//! ```
//! A node keeps its pods running without any server: the control plane is only read from and reported to.
mod adopt;
mod agent;
mod agent_tasks;
mod attach;
mod claims;
mod conditions;
mod control_plane;
mod devices;
mod env;
mod events;
mod log_stream;
mod machine;
mod network;
mod object;
mod plan;
mod pod;
mod pod_containers;
mod pod_report;
mod probe;
mod references;
mod register;
pub mod simulate;
mod spec;
mod start;
mod state;
mod stats;
mod status;
mod streams;
mod tokens;
mod volumes;
mod watch;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod pod_tests;
#[cfg(test)]
mod status_tests;

pub use agent::{AgentConfig, AgentMessage, NodeAgent, agent_mailbox, start_agent};
pub use attach::{NodeConfig, NodeHandle, start};
pub use control_plane::{ControlError, ControlPlane, WatchOf};
pub use network::NodeNetwork;
pub use pod::{ContainerView, PodMessage, PodView};
pub use streams::NodeStreams;
