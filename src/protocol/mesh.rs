//! What nodes and servers say to each other: bincode envelopes over QUIC streams, one stream per call.
//!
//! A stream starts with one [`Envelope`]; the other side answers with one [`Answer`]. Calls that go on
//! (`Watch`, `Logs`, `Exec`, …) then carry [`Frame`]s both ways until either side finishes its half.
//!
//! The first call on a connection is [`Call::Hello`]. A machine without a certificate may then only [`Call::Join`].
//! `to` and `from` tell actors apart; who the peer is, and what it may do, comes from its certificate alone.
use crate::status::ApiError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The protocol that this build speaks; both sides state a range in [`Call::Hello`] and use the highest common one.
pub const PROTOCOL_VERSIONS: std::ops::RangeInclusive<u16> = 1..=1;

/// No envelope or frame is longer than this many bytes: a stranger's length prefix allocates nothing above it.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;

/// The first message on a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The actor addressed: `server/api`, `node/worker-1/pods/<uid>`.
    pub to: String,
    /// The actor that asks.
    pub from: String,
    /// Ties log lines of both sides together.
    pub correlation: u64,
    pub body: Call,
}

/// What can be asked of a peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// First call on a connection: who I am, and which protocol versions I speak.
    Hello { node: String, oldest: u16, newest: u16 },
    /// A joining machine without a certificate: the token's secret part (`<id>.<secret>`), and a certificate request (DER).
    /// With an empty token: a node that wants a new certificate for the same name and key, proving itself with the present one.
    Join { token: String, node: String, request: Vec<u8> },
    /// "I am alive"; kept in memory by the server, served as the node's Lease.
    Heartbeat { node: String },
    /// A request to the Kubernetes API, made as the identity in the peer's certificate.
    Api(ApiCall),
    /// Objects of a resource: all that match, then every change, as [`WatchFrame`]s. Resumes after `revision` when it is not 0.
    Watch { group: String, resource: String, namespace: String, label_selector: String, field_selector: String, revision: u64 },
    /// A container's log; the frames carry the text on channel 1.
    Logs(LogCall),
    /// Run a command in a container; see [`Frame`] for the channels.
    Exec(ExecCall),
    /// Attach to the container's own process.
    Attach(ExecCall),
    /// One TCP connection to a port inside the pod; data both ways on channel 0.
    PortForward { namespace: String, pod: String, uid: String, port: u16 },
    /// Resource use of the node and its pods, answered as JSON (kubelet's `/stats/summary` shape).
    Stats,
}

/// A request to the API by path, as HTTP would make it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiCall {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Path and query, for instance `/api/v1/namespaces/default/pods/x/status`.
    pub path: String,
    pub content_type: String,
    pub body: Bytes,
}

/// `kubectl logs`, passed on to the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogCall {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
    pub follow: bool,
    pub previous: bool,
    pub timestamps: bool,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
    /// Only lines at or after this time, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// `stdout`, `stderr`, or empty for both.
    pub stream: String,
}

/// `kubectl exec` and `attach`, passed on to the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecCall {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
    /// Empty for attach.
    pub command: Vec<String>,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

/// The answer to an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Done, or: the frames follow.
    Ok,
    /// The versions agreed and the server's names.
    Welcome { version: u16, cluster: String, server: String },
    /// A signed certificate and the chain that proves it, PEM.
    Joined { certificate: String, ca: String },
    /// An HTTP-like answer.
    Api { code: u16, body: Bytes },
    /// Refused or failed, in the API's words.
    Error(ApiError),
}

/// What follows an answer on a stream that goes on. For exec and attach the channels are those of
/// `remotecommand`: 0 stdin, 1 stdout, 2 stderr, 3 the closing `Status`, 4 terminal size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    Data {
        channel: u8,
        bytes: Bytes,
    },
    /// That channel has ended (for stdin: end of input).
    Close {
        channel: u8,
    },
    Watch(WatchFrame),
}

/// One step of a [`Call::Watch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WatchFrame {
    /// The object as JSON with its `resourceVersion`; `kind` is `ADDED`, `MODIFIED` or `DELETED`.
    Event { kind: WatchKind, revision: u64, object: Bytes },
    /// All that existed has been sent; or nothing has happened up to this revision.
    Bookmark { revision: u64, initial: bool },
    /// The revision asked for is no longer kept, or this watcher was too slow: start anew from 0.
    Gone,
}

/// The type of a watch event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchKind {
    Added,
    Modified,
    Deleted,
}
