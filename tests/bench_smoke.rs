//! The load generator runs against a real server and prints figures that make sense.
use crate::cluster::{IMPRESARIO, shared};
use crate::run::run;
use serde_json::Value;
use std::process::Command;

#[test]
fn bench_api_measures() {
    let json = shared().scratch().join("bench.json");
    let mut command = Command::new(IMPRESARIO);
    command.args(["bench", "api", "--objects", "200", "--connections", "8", "--kubeconfig"]).arg(shared().kubeconfig());
    command.args(["--pid", &shared().pid().expect("it runs").to_string(), "--json"]).arg(&json);
    let table = run(&mut command).ok();
    for word in ["create", "get", "list", "patch", "delete"] {
        assert!(table.to_lowercase().contains(word), "no {word} in\n{table}");
    }
    let text = std::fs::read_to_string(&json).expect("the figures");
    let figures: Value = serde_json::from_str(&text).expect("JSON");
    assert!(figures.is_object() || figures.is_array(), "{figures}");
    assert!(!text.contains("NaN"), "{text}");
}
