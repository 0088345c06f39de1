//! The load generator runs against a real server and prints figures that make sense.
use crate::cluster::{Cluster, IMPRESARIO, Options, shared};
use crate::kubectl::newest;
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

/// A server without a node, for nodes that are simulated.
fn alone(name: &'static str) -> Cluster {
    let mesh_port = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a free port").port();
    Cluster::start(Options { name, no_node: true, mesh_port, ..Options::default() })
}

/// `--server … --cluster … --keys …` of a fleet of this cluster.
fn fleet(cluster: &Cluster, command: &mut Command) {
    command.args(["--server", &format!("127.0.0.1:{}", cluster.options.mesh_port)]);
    command.arg("--cluster").arg(cluster.data_dir()).arg("--keys").arg(cluster.scratch().join("keys"));
}

/// The figures of a phase, all of which succeeded.
fn phase(json: &std::path::Path, operation: &str) -> Value {
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(json).expect("the figures")).expect("JSON");
    let phases = figures["phases"].as_array().expect("phases");
    let found = phases.iter().find(|p| p["operation"] == operation).unwrap_or_else(|| panic!("no {operation} in {figures}"));
    assert_eq!(found["errors"], 0, "{found}");
    found.clone()
}

#[test]
fn bench_schedules_and_deploys_on_simulated_nodes() {
    let cluster = alone("bench-simulated");
    let json = cluster.scratch().join("bench.json");
    let measure = |words: &str| {
        let mut command = Command::new(IMPRESARIO);
        command.arg("bench").args(words.split_whitespace()).args(["--nodes", "6", "--simulate", "--kubeconfig"]).arg(cluster.kubeconfig());
        command.args(["--pid", &cluster.pid().expect("it runs").to_string(), "--json"]).arg(&json);
        fleet(&cluster, &mut command);
        run(&mut command).ok();
    };
    measure("schedule --pods 60 --anti-affinity --spread");
    for operation in ["created to bound", "created to running"] {
        assert_eq!(phase(&json, operation)["count"], 60);
    }
    assert!(phase(&json, "created to bound")["serverCpuSeconds"].as_f64().is_some_and(|s| s >= 0.0));
    measure("schedule --pods 30 --backlog --bound-only");
    assert_eq!(phase(&json, "created to bound")["count"], 30);
    // The same key takes up the same nodes again.
    measure("deploy --replicas 20 --rounds 1");
    assert_eq!(phase(&json, "created to 20 ready")["count"], 1);
    assert_eq!(phase(&json, "20 to none")["count"], 1);
}

#[test]
fn simulated_nodes_say_what_they_are() {
    let cluster = alone("simulate");
    let mut command = Command::new(IMPRESARIO);
    command.args(["simulate", "--nodes", "3", "--profile", "typical"]);
    fleet(&cluster, &mut command);
    let mut process = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let kubectl = cluster.kubectl(newest(), "default");
    kubectl.run("run one --image=anything").ok();
    kubectl.run("wait --for=condition=Ready pod/one --timeout=60s").ok();
    assert_eq!(kubectl.run("get nodes -l impresario.dev/simulated=true -o name").ok().lines().count(), 3);
    let refused = kubectl.run("logs one").refused();
    assert!(refused.contains("is simulated: it starts no containers and has no logs"), "{refused}");
    let refused = kubectl.run("exec one -- true").refused();
    assert!(refused.contains("is simulated: it starts no containers and cannot execute commands"), "{refused}");
    kubectl.run("delete pod one --timeout=60s").ok();
    process.kill().expect("it runs");
    process.wait().expect("it ends");
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
