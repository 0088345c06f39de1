//! The scenes that programs in other languages play; each says itself what it expects.
use super::{file, program, tools};
use crate::run::run_with;
use std::process::Command;
use std::time::Duration;

/// How long all scenes of one client may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Why a client is not there, when `scripts/clients.sh` could not get it. One that is there no other way is a mistake.
fn skipped(client: &str) -> bool {
    let missing = std::fs::read_to_string(tools().join("missing-clients")).expect("run scripts/clients.sh");
    let reason = missing.lines().find_map(|l| l.strip_prefix(client)?.strip_prefix(": "));
    if let Some(reason) = reason {
        eprintln!("SKIPPED: {reason}; the server was not tested with {client}");
    }
    reason.is_some()
}

#[track_caller]
fn plays(command: &mut Command, scenes: &[&str]) {
    let said = run_with(command, b"", LIMIT).ok();
    let expected: Vec<String> = scenes.iter().map(|s| format!("{s} done")).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_python_client() {
    if skipped("python") {
        return;
    }
    let mut command = program(&tools().join("python/bin/python"));
    plays(command.arg(file("scenes.py")).arg("python"), &["objects", "lists", "watches", "workloads", "custom"]);
}

#[test]
fn the_node_client() {
    if skipped("node") {
        return;
    }
    let mut command = program("node".as_ref());
    plays(command.arg(file("scenes.mjs")).arg(tools().join("node")).arg("node"), &["objects", "lists", "informers", "anything"]);
}

#[test]
fn the_kube_crate() {
    if skipped("kube") {
        return;
    }
    let mut command = program(&tools().join("kube-client-scenes"));
    plays(command.arg("kube"), &["apply", "reflect", "stream", "metadata", "control"]);
}
