//! What goes through to the node that runs a pod: logs, exec, attach, port-forward. Everything rides the connection that
//! the node dialled.
use super::api::{Gateway, Target};
use super::stream::{self, ExecOptions, PodTarget};
use crate::actors::mesh::session::{frame_of_input, output_of_frame};
use crate::actors::mesh::{MeshError, MeshServer, Peer, Stream};
use crate::http::api::Query;
use crate::protocol::light::Light;
use crate::protocol::mesh::{Answer, Call, ExecCall, Frame, LogCall};
use crate::protocol::status::ApiError;
use crate::protocol::time;
use crate::runtime::api::{Session, SessionOutput};
use crate::storage::Entry;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Frames or chunks that may wait between a client and a node.
const QUEUE: usize = 32;

/// Finds a pod's node and talks to it.
pub struct PodStreams {
    gateway: Arc<Gateway>,
    mesh: Arc<MeshServer>,
}

/// A pod as it is addressed on its node.
struct Place {
    peer: Peer,
    to: String,
    namespace: String,
    pod: String,
    uid: String,
    container: String,
}

impl PodStreams {
    pub fn new(gateway: Arc<Gateway>, mesh: Arc<MeshServer>) -> Self {
        PodStreams { gateway, mesh }
    }

    /// Whether a path is one of those that go through to a node.
    pub fn owns(target: &Target) -> bool {
        target.group.is_empty()
            && target.resource == "pods"
            && matches!(target.subresource.as_str(), "log" | "exec" | "attach" | "portforward")
    }

    /// Answers such a request; the user may make it.
    pub async fn serve(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        query: &Query,
        target: &Target,
        stop: &CancellationToken,
    ) -> Result<HttpResponse, ApiError> {
        let served = self.gateway.find(target)?;
        let entry = self.gateway.entry(&served, target)?;
        match target.subresource.as_str() {
            "log" => self.log(&entry, query, stop).await,
            "portforward" => self.port_forward(request, payload, &entry, stop).await,
            which => self.session(request, payload, query, &entry, which == "attach", stop).await,
        }
    }

    /// A connection to a port of a pod, through its node.
    pub async fn dial(&self, entry: &Entry, port: u16) -> Result<DuplexStream, ApiError> {
        let place = self.place(entry, "", false)?;
        let call = Call::PortForward { namespace: place.namespace.clone(), pod: place.pod.clone(), uid: place.uid.clone(), port };
        let (answer, frames) = open(&place, call).await?;
        expect_ok(answer)?;
        Ok(duplex(frames))
    }

    /// What a node says about the use of its resources, in the shape of the kubelet's summary.
    pub async fn node_stats(&self, node: &str) -> Result<Value, ApiError> {
        let dialing = |why: String| ApiError::new(500, "InternalError", format!("error dialing backend: {why}"));
        let peer = self.mesh.peer(node).ok_or_else(|| dialing(format!("node \"{node}\" is not connected")))?;
        match peer.call(&format!("node/{node}"), Call::Stats).await {
            Ok(Answer::Api { body, .. }) => serde_json::from_slice(&body).map_err(ApiError::internal),
            Ok(Answer::Error(error)) | Err(MeshError::Refused(error)) => Err(error),
            Ok(other) => Err(ApiError::internal(format!("the node answered with {other:?}"))),
            Err(other) => Err(dialing(other.to_string())),
        }
    }

    async fn log(&self, entry: &Entry, query: &Query, stop: &CancellationToken) -> Result<HttpResponse, ApiError> {
        let call = log_call(entry, query)?;
        let place = self.place(entry, &call.container, true)?;
        let call = LogCall { container: place.container.clone(), ..call };
        let (answer, mut frames) = open(&place, Call::Logs(call)).await?;
        expect_ok(answer)?;
        let (out, chunks) = mpsc::channel::<Bytes>(QUEUE);
        tokio::spawn(async move {
            while let Ok(Some(frame)) = frames.next_frame().await {
                let Frame::Data { bytes, .. } = frame else { continue };
                if out.send(bytes).await.is_err() {
                    return;
                }
            }
        });
        Ok(stream::logs_response(chunks, stop.clone()))
    }

    async fn session(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        query: &Query,
        entry: &Entry,
        attach: bool,
        stop: &CancellationToken,
    ) -> Result<HttpResponse, ApiError> {
        let flags =
            ExecOptions { stdin: query.flag("stdin"), stdout: query.flag("stdout"), stderr: query.flag("stderr"), tty: query.flag("tty") };
        let (_, flags) = stream::check_options(request, flags)?;
        let place = self.place(entry, query.get("container"), false)?;
        let call = ExecCall {
            namespace: place.namespace.clone(),
            pod: place.pod.clone(),
            uid: place.uid.clone(),
            container: place.container.clone(),
            command: if attach { Vec::new() } else { query.all("command") },
            stdin: flags.stdin,
            stdout: flags.stdout,
            stderr: flags.stderr,
            tty: flags.tty,
        };
        if !attach && call.command.is_empty() {
            return Err(ApiError::bad_request("you must specify at least one command for the container"));
        }
        let call = if attach { Call::Attach(call) } else { Call::Exec(call) };
        let (answer, frames) = open(&place, call).await?;
        expect_ok(answer)?;
        let session = bridge(frames);
        match attach {
            true => stream::attach_response(request, payload, flags, session, stop.clone()).await,
            false => stream::exec_response(request, payload, flags, session, stop.clone()).await,
        }
    }

    async fn port_forward(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        entry: &Entry,
        stop: &CancellationToken,
    ) -> Result<HttpResponse, ApiError> {
        let place = Arc::new(self.place(entry, "", false)?);
        let target = PodTarget { name: format!("{}_{}", place.pod, place.namespace), uid: place.uid.clone() };
        let dial = move |port: u16| {
            let place = place.clone();
            async move {
                let call = Call::PortForward { namespace: place.namespace.clone(), pod: place.pod.clone(), uid: place.uid.clone(), port };
                let (answer, frames) = open(&place, call).await?;
                expect_ok(answer)?;
                Ok::<_, ApiError>(duplex(frames))
            }
        };
        stream::port_forward_response(request, payload, target, dial, stop.clone()).await
    }

    /// Where the pod runs, and which of its containers is meant.
    fn place(&self, entry: &Entry, container: &str, logs: bool) -> Result<Place, ApiError> {
        let pod = &entry.key.name;
        let Light::Pod(light) = &entry.light else { return Err(ApiError::internal("the pod has no index")) };
        if light.node.is_empty() {
            return Err(ApiError::bad_request(format!("pod {pod} does not have a host assigned")));
        }
        let container = container_of(&entry.parse(), pod, container, logs)?;
        let peer = self.mesh.peer(&light.node).ok_or_else(|| {
            ApiError::new(500, "InternalError", format!("error dialing backend: node \"{}\" is not connected", light.node))
        })?;
        Ok(Place {
            peer,
            to: format!("node/{}/pods/{}", light.node, entry.meta.uid),
            namespace: entry.key.namespace.to_string(),
            pod: pod.to_string(),
            uid: entry.meta.uid.to_string(),
            container,
        })
    }
}

/// The container that is meant: the one named, the annotated default, or the only one.
fn container_of(object: &Value, pod: &str, wanted: &str, logs: bool) -> Result<String, ApiError> {
    let names = |list: &str| -> Vec<String> {
        let containers = object["spec"][list].as_array();
        containers.into_iter().flatten().filter_map(|c| c["name"].as_str()).map(str::to_string).collect()
    };
    let (mut main, init, ephemeral) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    if !wanted.is_empty() {
        let known = [&main, &init, &ephemeral].into_iter().flatten().any(|n| n == wanted);
        return match known {
            true => Ok(wanted.to_string()),
            false => Err(ApiError::bad_request(format!("container {wanted} is not valid for pod {pod}"))),
        };
    }
    match main.len() {
        1 => Ok(main.remove(0)),
        _ if !logs => main.into_iter().next().ok_or_else(|| ApiError::bad_request(format!("pod {pod} has no containers"))),
        _ => {
            let mut text = format!("a container name must be specified for pod {pod}, choose one of: [{}]", main.join(" "));
            if !init.is_empty() {
                text.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
            }
            Err(ApiError::bad_request(text))
        }
    }
}

fn log_call(entry: &Entry, query: &Query) -> Result<LogCall, ApiError> {
    let positive = |key: &str| -> Result<Option<u64>, ApiError> {
        match query.number(key)? {
            None => Ok(None),
            Some(n) => u64::try_from(n).map(Some).map_err(|_| ApiError::bad_request(format!("{key} must be greater than or equal to 0"))),
        }
    };
    let since = match (query.number("sinceSeconds")?, query.get("sinceTime")) {
        (Some(_), time) if !time.is_empty() => {
            return Err(ApiError::bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        (Some(seconds), _) => Some(time::now().as_millisecond() - seconds.saturating_mul(1000)),
        (None, "") => None,
        (None, text) => {
            let at: jiff::Timestamp =
                text.parse().map_err(|_| ApiError::bad_request(format!("sinceTime \"{text}\" is not an RFC 3339 time")))?;
            Some(at.as_millisecond())
        }
    };
    Ok(LogCall {
        namespace: entry.key.namespace.to_string(),
        pod: entry.key.name.to_string(),
        uid: entry.meta.uid.to_string(),
        container: query.get("container").to_string(),
        follow: query.flag("follow"),
        previous: query.flag("previous"),
        timestamps: query.flag("timestamps"),
        tail_lines: positive("tailLines")?,
        limit_bytes: positive("limitBytes")?,
        since_ms: since,
        stream: match query.get("stream") {
            "" | "All" => String::new(),
            "Stdout" => "stdout".into(),
            "Stderr" => "stderr".into(),
            other => return Err(ApiError::bad_request(format!("stream \"{other}\" must be one of All, Stdout, Stderr"))),
        },
    })
}

async fn open(place: &Place, call: Call) -> Result<(Answer, Stream), ApiError> {
    place.peer.open(&place.to, call).await.map_err(|error| match error {
        // The node's own words: no such container, previous terminated container not found …
        MeshError::Refused(error) => error,
        other => ApiError::new(500, "InternalError", format!("error dialing backend: {other}")),
    })
}

fn expect_ok(answer: Answer) -> Result<(), ApiError> {
    match answer {
        Answer::Ok => Ok(()),
        Answer::Error(error) => Err(error),
        other => Err(ApiError::internal(format!("the node answered with {other:?}"))),
    }
}

/// Turns a stream of frames into a byte stream.
fn duplex(frames: Stream) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (mut from_client, mut to_client) = tokio::io::split(far);
    let (mut writer, mut reader) = frames.split();
    tokio::spawn(async move {
        let mut buffer = vec![0u8; 32 * 1024];
        while let Ok(n) = from_client.read(&mut buffer).await {
            let bytes = Bytes::copy_from_slice(buffer.get(..n).unwrap_or_default());
            if n == 0 || writer.send_frame(&Frame::Data { channel: 0, bytes }).await.is_err() {
                break;
            }
        }
        let _ = writer.finish();
    });
    tokio::spawn(async move {
        while let Ok(Some(frame)) = reader.next_frame().await {
            let Frame::Data { bytes, .. } = frame else { continue };
            if to_client.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to_client.shutdown().await;
    });
    near
}

/// Turns a stream of frames into the two ends of a session.
fn bridge(frames: Stream) -> Session {
    let (input, mut typed) = mpsc::channel(QUEUE);
    let (out, output) = mpsc::channel(QUEUE);
    let (mut writer, mut reader) = frames.split();
    tokio::spawn(async move {
        while let Some(input) = typed.recv().await {
            if writer.send_frame(&frame_of_input(input)).await.is_err() {
                return;
            }
        }
        // Nobody types any more: the client is gone, and the node ends the session.
        let _ = writer.finish();
    });
    tokio::spawn(async move {
        loop {
            let output = match reader.next_frame().await {
                Ok(Some(frame)) => output_of_frame(frame),
                Ok(None) => return,
                Err(error) => Some(SessionOutput::Failed(format!("the connection to the node broke: {error}"))),
            };
            let Some(output) = output else { continue };
            let last = matches!(output, SessionOutput::Failed(_));
            if out.send(output).await.is_err() || last {
                return;
            }
        }
    });
    Session { input, output }
}
