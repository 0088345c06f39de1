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
    for word in ["create", "get ", "get (h2)", "list", "patch", "apply", "delete"] {
        assert!(table.to_lowercase().contains(word), "no {word} in\n{table}");
    }
    let text = std::fs::read_to_string(&json).expect("the figures");
    let figures: Value = serde_json::from_str(&text).expect("JSON");
    assert!(figures.is_object() || figures.is_array(), "{figures}");
    assert!(!text.contains("NaN"), "{text}");
}

/// Runs a measurement against the shared cluster and gives its figures.
fn measured(words: &str, name: &str) -> Value {
    let json = shared().scratch().join(format!("{name}.json"));
    let mut command = Command::new(IMPRESARIO);
    command.arg("bench").args(words.split_whitespace()).arg("--kubeconfig").arg(shared().kubeconfig());
    command.args(["--pid", &shared().pid().expect("it runs").to_string(), "--json"]).arg(&json);
    run(&mut command).ok();
    let text = std::fs::read_to_string(&json).expect("the figures");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn bench_watch_counts_every_event_at_every_watcher() {
    for protocol in ["http1", "http2"] {
        let words = format!("watch --watchers 12 --streams 5 --protocol {protocol} --rate 50 --seconds 1 --objects 10");
        let figures = measured(&words, "bench-watch");
        let [writes, events] = [&figures["phases"][0], &figures["phases"][1]];
        let (written, heard) = (writes["count"].as_u64().expect("writes"), events["count"].as_u64().expect("events"));
        assert!(written > 10 && heard == written * 12, "{figures}");
        assert_eq!((&events["operation"], &events["errors"]), (&Value::from("event"), &Value::from(0)));
        assert!(events["latency"]["p50"].as_f64().is_some_and(|p50| p50 > 0.0) && events["bytes"].as_f64() > Some(400.0), "{figures}");
        assert!(events["serverCpuMs"].is_number(), "{figures}");
    }
}

#[test]
fn bench_objects_tells_memory_and_lists() {
    let figures = measured("objects --count 600", "bench-objects");
    let phase = |name: &str| {
        let phases = figures["phases"].as_array().expect("phases");
        phases.iter().find(|p| p["operation"] == name).unwrap_or_else(|| panic!("no {name} in {figures}")).clone()
    };
    assert_eq!((phase("create")["count"].as_u64(), phase("list (page of 500)")["count"].as_u64()), (Some(600), Some(2)));
    assert!(phase("list (whole)")["bytes"].as_f64() > Some(600.0 * 400.0), "{figures}");
    assert!(figures["memory"]["created"].as_u64() > Some(1 << 20), "{figures}");
}
