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
//! ```
//! A node keeps its pods running without any server: the control plane is only read from and reported to.
mod adopt;
mod agent;
mod conditions;
mod control_plane;
mod env;
mod events;
mod machine;
mod object;
mod payload;
mod plan;
mod pod;
mod pod_containers;
mod pod_report;
mod probe;
mod references;
mod register;
mod spec;
mod start;
mod state;
mod status;
mod streams;
mod volumes;
mod watch;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod pod_tests;
#[cfg(test)]
mod status_tests;

pub use agent::{AgentMessage, NodeAgent, NodeConfig, agent_mailbox, start};
pub use control_plane::{ControlError, ControlPlane, WatchOf};
pub use pod::{ContainerView, PodMessage, PodView};
pub use streams::NodeStreams;
