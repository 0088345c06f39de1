//! Finding kubectls and talking to them.
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout};

/// A kubectl and its minor version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kubectl {
    pub minor: u32,
    pub path: PathBuf,
}

impl fmt::Display for Kubectl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kubectl 1.{}", self.minor)
    }
}

/// How kubectl is told to carry its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Spdy,
    WebSocket,
}

impl Transport {
    pub fn environment(self) -> [(&'static str, &'static str); 2] {
        let value = if self == Transport::WebSocket { "true" } else { "false" };
        [("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", value), ("KUBECTL_PORT_FORWARD_WEBSOCKETS", value)]
    }
}

/// Every kubectl on this machine, one per minor version, oldest first.
pub fn kubectls() -> Vec<Kubectl> {
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = Vec::new();
    for found in std::env::split_paths(&in_path).map(|dir| dir.join("kubectl")).filter(|path| path.is_file()) {
        let real = found.canonicalize().unwrap_or(found);
        let siblings = real.parent().and_then(|dir| dir.read_dir().ok()).into_iter().flatten().flatten().map(|entry| entry.path());
        candidates.extend(siblings.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubectl."))));
        candidates.push(real);
    }
    candidates.extend(std::env::split_paths(&std::env::var_os("KUBECTL_EXTRA").unwrap_or_default()));
    let mut all: Vec<Kubectl> = candidates.into_iter().filter_map(|path| minor(&path).map(|minor| Kubectl { minor, path })).collect();
    all.sort();
    all.dedup_by_key(|kubectl| kubectl.minor);
    all
}

fn minor(path: &Path) -> Option<u32> {
    let said = std::process::Command::new(path).args(["version", "--client", "-o", "json"]).output().ok()?;
    let version: serde_json::Value = serde_json::from_slice(&said.stdout).ok()?;
    version["clientVersion"]["minor"].as_str()?.trim_end_matches('+').parse().ok()
}

/// What to test: the oldest and the newest kubectl, over every transport each knows.
pub fn matrix() -> Vec<(Kubectl, Transport)> {
    let mut all = kubectls();
    if all.is_empty() {
        eprintln!("SKIPPED: no kubectl found");
    }
    if std::env::var_os("KUBECTL_ALL").is_none() && all.len() > 2 {
        all.drain(1..all.len() - 1);
    }
    let websockets = |kubectl: &Kubectl| kubectl.minor >= 30;
    all.into_iter()
        .flat_map(|kubectl| {
            let spdy = [(kubectl.clone(), Transport::Spdy)];
            spdy.into_iter().chain(websockets(&kubectl).then_some((kubectl, Transport::WebSocket)))
        })
        .collect()
}

/// The local ports that `kubectl port-forward` chose, in the order of its arguments.
pub async fn forwarded_ports(child: &mut Child, count: usize) -> Vec<u16> {
    let mut ports = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while ports.len() < count {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.expect("kubectl is silent").unwrap();
        let line = line.expect("kubectl ended");
        // `Forwarding from 127.0.0.1:40000 -> 80`
        if let Some(port) = line.strip_prefix("Forwarding from 127.0.0.1:").and_then(|rest| rest.split(' ').next()) {
            ports.push(port.parse().unwrap());
        }
    }
    keep_reading(lines.into_inner());
    ports
}

/// Waits for the first line of output.
pub async fn first_line(child: &mut Child, expected: &str) {
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    tokio::time::timeout(Duration::from_secs(20), reader.read_line(&mut line)).await.expect("kubectl is silent").unwrap();
    assert_eq!(line.trim_end(), expected);
    keep_reading(reader);
}

fn keep_reading(mut reader: BufReader<ChildStdout>) {
    tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
}
