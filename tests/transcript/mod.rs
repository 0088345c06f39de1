//! What a newcomer types, typed by every stock kubectl on this machine.
mod admission;
mod by_hand;
mod custom;
mod documents;
mod jobs;
mod objects;
mod proxies;
mod rollouts;
mod streams;
mod workloads;

use crate::cluster::shared;
use crate::kubectl::{Kubectl, selected};

/// Plays a scene with several kubectls at once, each in a namespace of its own; tells all versions that failed, not only the first.
fn with_each_kubectl(scene: &str, play: impl Fn(&Kubectl) + Sync) {
    let cluster = shared();
    let alone = |kubectl: Kubectl| {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kubectl.make_namespace();
            play(&kubectl);
        }));
        // What happened to its pods is lost with the namespace, so it is told before.
        if outcome.is_err() {
            eprintln!("{}\n{}", kubectl.run("describe pods"), kubectl.run("get events"));
            eprintln!("^ that was kubectl 1.{}", kubectl.tool.minor);
        }
        kubectl.run(&format!("delete namespace {} --wait=false", kubectl.namespace));
        outcome.is_err().then(|| format!("1.{}", kubectl.tool.minor))
    };
    let alone = &alone;
    let failed: Vec<String> = std::thread::scope(|scope| {
        let kubectls = selected(scene).into_iter().map(|tool| cluster.kubectl(tool, &format!("{scene}-1-{}", tool.minor)));
        let players: Vec<_> = kubectls.map(|kubectl| scope.spawn(move || alone(kubectl))).collect();
        players.into_iter().filter_map(|player| player.join().expect("panics are caught")).collect()
    });
    assert!(failed.is_empty(), "{scene} failed with kubectl {}; the server's log: {}", failed.join(", "), cluster.log_file().display());
}
