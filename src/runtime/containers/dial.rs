//! Connecting to a port on a pod's loopback from outside its network namespace.
use crate::runtime::api::{Result, RuntimeError};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Loopback answers at once or not at all; this bounds a full accept queue.
const LIMIT: Duration = Duration::from_secs(10);

/// Connects to the port on 127.0.0.1, or else ::1, in the network namespace at `netns` (`None`: the node's own).
pub async fn dial(netns: Option<PathBuf>, port: u16) -> Result<tokio::net::TcpStream> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // A thread of its own that ends afterwards: one that has changed its namespace must not return to a pool.
    let spawned = std::thread::Builder::new().name("dial".into()).spawn(move || drop(sender.send(connect(netns.as_deref(), port))));
    let stream = match spawned {
        Ok(_) => receiver.await.unwrap_or_else(|_| Err(io::Error::other("the dialling thread ended early"))),
        Err(e) => Err(e),
    };
    let stream = stream.and_then(|s| s.set_nonblocking(true).map(|()| s)).and_then(tokio::net::TcpStream::from_std);
    stream.map_err(|e| RuntimeError::new("PortForward", format!("failed to connect to localhost:{port} inside namespace: {e}")))
}

/// A socket belongs to the namespace it was made in, wherever it is used later.
fn connect(netns: Option<&Path>, port: u16) -> io::Result<TcpStream> {
    if let Some(path) = netns {
        nix::sched::setns(std::fs::File::open(path)?, nix::sched::CloneFlags::CLONE_NEWNET)?;
    }
    let first = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT);
    first.or_else(|e| TcpStream::connect_timeout(&SocketAddr::from((Ipv6Addr::LOCALHOST, port)), LIMIT).map_err(|_| e))
}
