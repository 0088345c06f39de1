//! The pure parts, and what is said when a cluster cannot be reached.
use super::api::escaped;
use super::client::{Call, Client, ClientError};
use super::kubeconfig::Access;
use super::pod_watch::{Became, read};
use super::timing::{Latencies, cpu_time, memory, resident, ticks_of};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn kubeconfig(cluster: &str, user: &str) -> Result<Access, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let text = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\nclusters: [{{name: k, cluster: {cluster}}}]\nusers: [{{name: u, user: {user}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    Access::load(&path).map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
}

#[test]
fn kubeconfigs() {
    let access = kubeconfig("{server: 'http://127.0.0.1:8001/prefix/'}", "{token: ' abc '}").unwrap();
    assert_eq!((access.host.as_str(), access.port, access.prefix.as_str()), ("127.0.0.1", 8001, "/prefix"));
    assert_eq!(access.authorization.as_deref(), Some("Bearer abc"));
    assert_eq!(kubeconfig("{server: 'http://[::1]:1'}", "{}").unwrap().authority, "[::1]:1");
    let refused = |cluster, user| kubeconfig(cluster, user).err().unwrap();
    let used = "the kubeconfig FILE cannot be used: ";
    assert_eq!(refused("{server: 'https://h'}", "{}"), format!("{used}it names no certificate-authority for the cluster"));
    assert!(refused("{server: nonsense}", "{}").ends_with("\"nonsense\" is not the URL of a server"));
    assert!(refused("{server: 'http://h'}", "{exec: {command: x}}").contains("exec"));
    assert!(Access::load("/nowhere/config".as_ref()).err().unwrap().to_string().starts_with("cannot read the kubeconfig /nowhere/config"));
}

#[tokio::test]
async fn an_unreachable_server_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let access = kubeconfig(&format!("{{server: 'http://{free}'}}"), "{}").unwrap();
    let error = Client::new(Arc::new(access)).call(Call::get("/version")).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(..)));
    assert!(error.to_string().starts_with(&format!("cannot reach http://{free}: Connection refused")), "{error}");
}

#[test]
fn percentiles_by_nearest_rank() {
    let mut latencies = Latencies::default();
    assert_eq!(latencies.spread().p50, 0.0);
    (1..=200).rev().for_each(|ms| latencies.add(Duration::from_millis(ms)));
    let spread = latencies.spread();
    assert_eq!((spread.p50, spread.p90, spread.p99, spread.max), (100.0, 180.0, 198.0, 200.0));
}

#[test]
fn cpu_time_of_a_process() {
    let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 8 0 100 1 1";
    assert_eq!(ticks_of(line), Some(300));
    assert_eq!(ticks_of("42 (x"), None);
    assert!(cpu_time(std::process::id()).is_ok());
    assert!(cpu_time(u32::MAX).is_err());
    assert_eq!(resident("Name:\tx\nVmRSS:\t  120 kB\nThreads:\t1\n"), Some(120 * 1024));
    assert!(memory(std::process::id()).is_ok_and(|bytes| bytes > 1 << 20));
}

#[test]
fn what_a_watch_says_of_a_pod() {
    let line = |kind: &str, status: serde_json::Value| {
        json!({ "type": kind, "object": { "metadata": { "name": "p" }, "status": status } }).to_string()
    };
    let became = |text: String| read(text.as_bytes()).map(|(_, became)| became);
    assert_eq!(became(line("ADDED", json!({ "phase": "Pending" }))), None);
    assert_eq!(became(line("MODIFIED", json!({ "phase": "Running" }))), Some(Became::Running));
    assert_eq!(became(line("DELETED", json!({ "phase": "Running" }))), Some(Became::Deleted));
    let waiting = json!({ "phase": "Pending", "containerStatuses": [{ "state": { "waiting": { "reason": "ErrImagePull", "message": "no such image" } } }] });
    assert_eq!(became(line("MODIFIED", waiting)), Some(Became::Failed("ErrImagePull: no such image".into())));
    assert_eq!(became("{\"type\":\"BOOKMARK\",\"object\":{}}".into()), None);
}

#[test]
fn continue_tokens_survive_the_query() {
    assert_eq!(escaped("ab+/=="), "ab%2B%2F%3D%3D");
}
