//! What a newcomer types, typed by every stock kubectl on this machine.
mod admission;
mod custom;
mod documents;
mod jobs;
mod objects;
mod proxies;
mod rollouts;
mod streams;
mod workloads;

use crate::cluster::shared;
use crate::kubectl::{Kubectl, tools};

/// Plays a scene with each kubectl, each in a namespace of its own; tells all versions that failed, not only the first.
fn with_each_kubectl(scene: &str, play: impl Fn(&Kubectl) + std::panic::RefUnwindSafe) {
    let mut failed = Vec::new();
    for tool in tools() {
        let kubectl = shared().kubectl(tool, &format!("{scene}-1-{}", tool.minor));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kubectl.make_namespace();
            play(&kubectl);
        }));
        // What happened to its pods is lost with the namespace, so it is told before.
        if outcome.is_err() {
            eprintln!("{}\n{}", kubectl.run("describe pods"), kubectl.run("get events"));
        }
        kubectl.run(&format!("delete namespace {} --wait=false", kubectl.namespace));
        if outcome.is_err() {
            eprintln!("^ that was kubectl 1.{}", tool.minor);
            failed.push(format!("1.{}", tool.minor));
        }
    }
    assert!(failed.is_empty(), "{scene} failed with kubectl {}; the server's log: {}", failed.join(", "), shared().log_file().display());
}
