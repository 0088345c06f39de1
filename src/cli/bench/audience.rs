//! The watchers of `impresario bench watch`.
use super::CliError;
use super::client::{Call, Client, ClientError};
use super::report::Measured;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A line longer than this is none of ours.
const LONGEST_LINE: usize = 8 << 20;

/// What is written and read: ConfigMaps whose `sent` says when, in microseconds since the script was made.
pub(super) struct Script {
    pub collection: String,
    payload: String,
    start: Instant,
}

impl Script {
    pub fn new(namespace: &str, size: usize) -> Script {
        Script { collection: format!("/api/v1/namespaces/{namespace}/configmaps"), payload: "x".repeat(size), start: Instant::now() }
    }

    pub fn path(&self, number: usize) -> String {
        format!("{}/bench-{number}", self.collection)
    }

    /// The object, sent now.
    pub fn body(&self, number: usize) -> Bytes {
        let data = json!({ "payload": self.payload, "sent": self.start.elapsed().as_micros().to_string() });
        let metadata = json!({ "name": format!("bench-{number}") });
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }).to_string().into()
    }

    /// How long ago the object in this line was sent; `None` when it is none.
    pub fn age(&self, line: &[u8]) -> Option<Duration> {
        const KEY: &[u8] = b"\"sent\":\"";
        let at = line.windows(KEY.len()).position(|part| part == KEY)? + KEY.len();
        let digits = line.get(at..)?.split(|b| *b == b'"').next()?;
        let sent: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(self.start.elapsed().saturating_sub(Duration::from_micros(sent)))
    }
}

/// Lines out of pieces.
#[derive(Default)]
pub(super) struct Lines {
    begun: BytesMut,
}

impl Lines {
    /// Calls `each` with every line that is whole now.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), ClientError> {
        for part in piece.split_inclusive(|b| *b == b'\n') {
            match (part.ends_with(b"\n"), self.begun.is_empty()) {
                (true, true) => each(part),
                (true, false) => {
                    self.begun.extend_from_slice(part);
                    each(&self.begun);
                    self.begun.clear();
                }
                (false, _) => self.begun.extend_from_slice(part),
            }
        }
        if self.begun.len() > LONGEST_LINE {
            return Err(ClientError::Broken("a line of the watch has no end".into()));
        }
        Ok(())
    }
}

/// What all watchers together heard.
#[derive(Default)]
pub(super) struct Heard {
    pub measured: Measured,
    pub bytes: u64,
    /// When the last event came.
    pub last: Option<Instant>,
}

/// Watchers at work.
pub(super) struct Audience {
    watchers: Vec<JoinHandle<Heard>>,
    /// How many events each must have seen before it may go.
    expected: watch::Sender<usize>,
    /// Events that all watchers together have seen.
    seen: Arc<AtomicU64>,
}

impl Audience {
    /// Starts a watch on each client, from the collection's present revision on.
    pub async fn gather(clients: Vec<Client>, asking: &mut Client, script: Arc<Script>) -> Result<Audience, CliError> {
        let list = asking.call(Call::get(format!("{}?limit=1", script.collection))).await.map_err(CliError::failed)?;
        let list: List = serde_json::from_slice(&list).map_err(CliError::failed)?;
        let path = format!("{}?watch=1&resourceVersion={}&timeoutSeconds=3600", script.collection, list.metadata.resource_version);
        let (expected, expecting) = watch::channel(usize::MAX);
        let seen = Arc::new(AtomicU64::new(0));
        let mut watchers = Vec::with_capacity(clients.len());
        for mut client in clients {
            let body = client.stream(Call::get(path.clone())).await.map_err(CliError::failed)?;
            watchers.push(tokio::spawn(listen(client, body, script.clone(), expecting.clone(), seen.clone())));
        }
        Ok(Audience { watchers, expected, seen })
    }

    /// Lets each watcher go once it has seen that many events, or when nothing comes to anybody any more.
    pub async fn dismiss(self, expected: usize, patience: Duration) -> Result<Heard, CliError> {
        self.expected.send_replace(expected);
        let mut all = Heard::default();
        for mut watcher in self.watchers {
            let heard = loop {
                let before = self.seen.load(Ordering::Relaxed);
                match timeout(patience, &mut watcher).await {
                    Ok(heard) => break heard.map_err(CliError::failed)?,
                    Err(_) if self.seen.load(Ordering::Relaxed) == before => {
                        // It ends with what it has.
                        self.expected.send_replace(0);
                    }
                    Err(_) => {}
                }
            };
            let missing = expected.saturating_sub(heard.measured.latencies.len() + heard.measured.errors);
            all.measured.merge(heard.measured);
            if missing > 0 {
                all.measured.errors += missing;
                all.measured.first_error.get_or_insert_with(|| format!("a watcher missed {missing} events"));
            }
            all.bytes += heard.bytes;
            all.last = all.last.max(heard.last);
        }
        Ok(all)
    }
}

async fn listen(
    client: Client,
    mut body: Incoming,
    script: Arc<Script>,
    mut expecting: watch::Receiver<usize>,
    seen: Arc<AtomicU64>,
) -> Heard {
    let (mut heard, mut lines) = (Heard::default(), Lines::default());
    while heard.measured.latencies.len() < *expecting.borrow_and_update() {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            _ = expecting.changed() => continue,
        };
        let piece = match frame {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => {
                heard.measured.error(&ClientError::Broken(error.to_string()));
                break;
            }
            None => {
                heard.measured.error(&ClientError::Broken("the server ended the watch".into()));
                break;
            }
        };
        let before = heard.measured.latencies.len();
        let mut refused = None;
        let fed = lines.feed(&piece, |line| match script.age(line) {
            Some(age) => heard.measured.latencies.add(age),
            None if line.starts_with(b"{\"type\":\"ERROR\"") => refused = Some(String::from_utf8_lossy(line).trim().to_string()),
            None => {}
        });
        heard.bytes += piece.len() as u64;
        heard.last = Some(Instant::now());
        seen.fetch_add((heard.measured.latencies.len() - before) as u64, Ordering::Relaxed);
        if let Some(error) = refused.map(ClientError::Broken).or(fed.err()) {
            heard.measured.error(&error);
            break;
        }
    }
    // The connection must live as long as its answer.
    drop(client);
    heard
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
}
