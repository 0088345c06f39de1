//! A watch on the pods of a namespace: what is seen of each, and when.
use super::client::{Call, Client, ClientError};
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use std::time::Instant;
use tokio::sync::mpsc;

/// Observations that may wait to be looked at; the watch is read no further then.
const QUEUE: usize = 4096;
/// A line longer than this is no pod.
const LONGEST_LINE: usize = 8 << 20;
/// Reasons for which a container waits that it will not leave by itself.
const HOPELESS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CrashLoopBackOff",
];

/// What a pod became.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Became {
    Running,
    /// It will not run: why.
    Failed(String),
    Deleted,
}

/// Something that happened to a pod, at the moment that it was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub pod: String,
    pub became: Became,
    pub at: Instant,
}

/// Starts to watch the pods of a namespace; the receiver ends with the watch.
pub(super) async fn pods(mut client: Client, namespace: &str) -> Result<mpsc::Receiver<Seen>, ClientError> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let list = client.call(Call::get(format!("{path}?limit=1"))).await?;
    let list: List = serde_json::from_slice(&list).map_err(|e| ClientError::Broken(e.to_string()))?;
    let from = format!("{path}?watch=1&resourceVersion={}&timeoutSeconds=3600", list.metadata.resource_version);
    let told = |line: &[u8], at: Instant| read(line).map(|(pod, became)| Seen { pod, became, at });
    follow(client, from, told).await
}

/// Starts a watch, and sends on what `told` makes of its lines and of the moment at which they were read. A watch that the server
/// ends, as it does with one that cannot keep up, begins again with the state of then, so what is deleted meanwhile is not told.
pub(super) async fn follow<T: Send + 'static>(
    mut client: Client,
    path: String,
    told: fn(&[u8], Instant) -> Option<T>,
) -> Result<mpsc::Receiver<T>, ClientError> {
    let mut body = client.stream(Call::get(path.clone())).await?;
    let (seen, receiver) = mpsc::channel(QUEUE);
    let (collection, parameters) = path.split_once('?').unwrap_or((&path, ""));
    let kept: Vec<&str> = parameters.split('&').filter(|p| !p.starts_with("resourceVersion=")).collect();
    let again = format!("{collection}?{}", kept.join("&"));
    tokio::spawn(async move {
        // The connection must live as long as its answer.
        while read_to_end(body, told, &seen).await {
            if client.connect().await.is_err() {
                return;
            }
            match client.stream(Call::get(again.clone())).await {
                Ok(next) => body = next,
                Err(_) => return,
            }
        }
    });
    Ok(receiver)
}

/// Sends on what is told. False: nobody listens any more, or this is no watch.
async fn read_to_end<T>(mut body: Incoming, told: fn(&[u8], Instant) -> Option<T>, seen: &mpsc::Sender<T>) -> bool {
    let mut waiting = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        let at = Instant::now();
        let Ok(data) = frame.into_data() else { continue };
        waiting.extend_from_slice(&data);
        while let Some(end) = waiting.iter().position(|b| *b == b'\n') {
            let line = waiting.split_to(end + 1);
            let Some(told) = told(&line, at) else { continue };
            if seen.send(told).await.is_err() {
                return false;
            }
        }
        if waiting.len() > LONGEST_LINE {
            return false;
        }
    }
    !seen.is_closed()
}

/// A condition, as much of it as is looked at.
#[derive(Deserialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
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

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Pod,
}

#[derive(Deserialize)]
struct Pod {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    status: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    name: String,
}

/// What a line of the watch says about a pod, if it says anything that matters.
pub(super) fn read(line: &[u8]) -> Option<(String, Became)> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let became = match line.kind.as_str() {
        "DELETED" => Became::Deleted,
        "ADDED" | "MODIFIED" => state(&line.object.status)?,
        _ => return None,
    };
    Some((line.object.metadata.name, became))
}

fn state(status: &serde_json::Value) -> Option<Became> {
    let said = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    match status["phase"].as_str()? {
        "Running" => return Some(Became::Running),
        "Succeeded" => return Some(Became::Failed("it ended at once".into())),
        "Failed" => return Some(Became::Failed(format!("{} {}", said(&status["reason"]), said(&status["message"])).trim().to_string())),
        _ => {}
    }
    let waiting = status["containerStatuses"].as_array()?.iter().map(|c| &c["state"]["waiting"]);
    let stuck = waiting.into_iter().find(|w| w["reason"].as_str().is_some_and(|r| HOPELESS.contains(&r)))?;
    Some(Became::Failed(format!("{}: {}", said(&stuck["reason"]), said(&stuck["message"]))))
}
