//! The node's control socket: what the command line asks of a running agent instead of touching its files behind its back.
//! One JSON request a line, one JSON answer a line; only root may connect.
use super::CliError;
use crate::runtime::api::Image;
use crate::runtime::node_runtime::NodeRuntime;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Bring in an image archive or directory, by absolute path.
    Import(PathBuf),
    List,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    Images(Vec<Image>),
    Failed(String),
}

/// No request is longer, bytes.
const REQUEST_MAX: u64 = 64 * 1024;

fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("node.sock")
}

/// Listens until the task is dropped with its runtime.
pub fn listen(data_dir: &Path, runtime: NodeRuntime) -> Result<(), CliError> {
    let path = socket(data_dir);
    let told = |e: std::io::Error| CliError::failed(format!("cannot listen on {}: {e}", path.display()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(told)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(told)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, runtime.clone()));
        }
    });
    Ok(())
}

async fn serve(stream: UnixStream, runtime: NodeRuntime) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    if BufReader::new(read.take(REQUEST_MAX)).read_line(&mut line).await.is_err() {
        return;
    }
    let images = runtime.image_store();
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Import(path)) => match images.import(&path).await {
            Ok(found) => Reply::Images(found),
            Err(error) => Reply::Failed(error.to_string()),
        },
        Ok(Request::List) => Reply::Images(images.list()),
        Err(error) => Reply::Failed(format!("the request is not understood: {error}")),
    };
    let text = serde_json::to_string(&reply).unwrap_or_default();
    let _ = write.write_all(format!("{text}\n").as_bytes()).await;
}

/// Asks the agent of a data directory; `None` when none is running there.
pub async fn ask(data_dir: &Path, request: &Request) -> Option<Result<Vec<Image>, CliError>> {
    let stream = UnixStream::connect(socket(data_dir)).await.ok()?;
    Some(exchange(stream, request).await)
}

async fn exchange(stream: UnixStream, request: &Request) -> Result<Vec<Image>, CliError> {
    let told = |e: std::io::Error| CliError::failed(format!("the node broke off: {e}"));
    let (read, mut write) = stream.into_split();
    let text = serde_json::to_string(request).map_err(CliError::failed)?;
    write.write_all(format!("{text}\n").as_bytes()).await.map_err(told)?;
    let mut line = String::new();
    BufReader::new(read).read_line(&mut line).await.map_err(told)?;
    match serde_json::from_str(&line).map_err(|e| CliError::failed(format!("the node's answer is not understood: {e}")))? {
        Reply::Images(images) => Ok(images),
        Reply::Failed(why) => Err(CliError::failed(why)),
    }
}
