//! What servers ask of the node: logs, exec, attach, port-forward, stats.
use super::agent::AgentMessage;
use super::pod::{ContainerView, PodMessage, PodView};
use crate::actors::base::Mailbox;
use crate::actors::mesh::session::{frame_of_output, input_of_frame};
use crate::actors::mesh::{Caller, FrameReader, MeshError, Service, Stream};
use crate::protocol::mesh::{Answer, Call, Envelope, ExecCall, Frame, LogCall};
use crate::protocol::status::ApiError;
use crate::runtime::api::{ExecSpec, Runtime, Session, SessionInput, SessionOutput};
use async_trait::async_trait;
use bytes::BytesMut;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

/// How long the node's own actors may take to say where a pod stands.
const ASK: Duration = Duration::from_secs(5);
/// Read from a forwarded port at once.
const CHUNK: usize = 32 * 1024;
const DATA: u8 = 0;

/// Answers a server's calls on a node.
pub struct NodeStreams {
    node: String,
    agent: Mailbox<AgentMessage>,
    runtime: Arc<dyn Runtime>,
    data_dir: PathBuf,
}

impl NodeStreams {
    /// `agent` from [`super::agent_mailbox`]: the mesh client that carries the calls starts before the agent does.
    pub fn new(node: &str, agent: Mailbox<AgentMessage>, runtime: Arc<dyn Runtime>, data_dir: PathBuf) -> NodeStreams {
        NodeStreams { node: node.into(), agent, runtime, data_dir }
    }

    async fn pod(&self, namespace: &str, name: &str, uid: &str) -> Result<PodView, ApiError> {
        let missing = || ApiError::not_found("", "pods", name);
        let find = |reply| AgentMessage::Find { namespace: namespace.into(), name: name.into(), uid: uid.into(), reply };
        let found = self.agent.ask(ASK, find).await.map_err(ApiError::internal)?;
        let pod = found.ok_or_else(missing)?;
        pod.ask(ASK, PodMessage::Describe).await.map_err(|_| missing())
    }

    async fn exec(&self, call: ExecCall, stream: Stream) -> Result<(), MeshError> {
        let session = async {
            let pod = self.pod(&call.namespace, &call.pod, &call.uid).await?;
            let container = container(&pod, &call.container)?;
            let id = running(container)?;
            let spec = ExecSpec { command: call.command.clone(), tty: call.tty, stdin: call.stdin };
            let opened = if call.command.is_empty() { self.runtime.attach(id).await } else { self.runtime.exec(id, spec).await };
            opened.map_err(|e| ApiError::internal(e.message))
        };
        match session.await {
            Ok(session) => run_session(session, &call, stream).await,
            Err(error) => stream.refuse(error).await,
        }
    }

    async fn port_forward(&self, namespace: &str, name: &str, uid: &str, port: u16, mut stream: Stream) -> Result<(), MeshError> {
        let connection = async {
            let pod = self.pod(namespace, name, uid).await?;
            let dialled = self.runtime.dial(&pod.object.uid, port).await;
            dialled.map_err(|e| ApiError::internal(format!("failed to connect to localhost:{port} inside the pod: {}", e.message)))
        };
        match connection.await {
            Ok(connection) => {
                stream.answer(&Answer::Ok).await?;
                forward(connection, stream).await
            }
            Err(error) => stream.refuse(error).await,
        }
    }

    async fn logs(&self, call: LogCall, stream: Stream) -> Result<(), MeshError> {
        match self.log_file(&call).await {
            Ok((path, ended)) => super::log_stream::send(path, &call, ended, stream).await,
            Err(error) => stream.refuse(error).await,
        }
    }

    /// The log that is asked for, in the kubelet's words when there is none.
    async fn log_file(&self, call: &LogCall) -> Result<(PathBuf, watch::Receiver<bool>), ApiError> {
        let pod = self.pod(&call.namespace, &call.pod, &call.uid).await?;
        let container = container(&pod, &call.container)?;
        let (name, pod_name) = (&container.name, &pod.object.name);
        let attempt = match (call.previous, container.attempt.checked_sub(1)) {
            (true, Some(attempt)) if container.id.is_some() => attempt,
            (true, _) => {
                return Err(ApiError::bad_request(format!("previous terminated container \"{name}\" in pod \"{pod_name}\" not found")));
            }
            (false, _) if container.id.is_some() => container.attempt,
            (false, _) => {
                let why = &container.waiting;
                return Err(ApiError::bad_request(format!("container \"{name}\" in pod \"{pod_name}\" is waiting to start: {why}")));
            }
        };
        let dir = format!("{}_{}_{}", call.namespace, pod_name, pod.object.uid);
        let ended = if call.previous { watch::channel(true).1 } else { container.ended.clone() };
        Ok((self.data_dir.join("logs/pods").join(dir).join(name).join(format!("{attempt}.log")), ended))
    }
}

fn container<'a>(pod: &'a PodView, name: &str) -> Result<&'a ContainerView, ApiError> {
    let found = match name {
        "" => pod.containers.iter().find(|c| pod.object.spec.containers.first().is_some_and(|first| first.name == c.name)),
        name => pod.containers.iter().find(|c| c.name == name),
    };
    found.ok_or_else(|| ApiError::bad_request(format!("container {name} is not valid for pod {}", pod.object.name)))
}

fn running(container: &ContainerView) -> Result<&str, ApiError> {
    let id = container.id.as_deref().filter(|_| container.running);
    id.ok_or_else(|| ApiError::internal(format!("container not found (\"{}\")", container.name)))
}

/// Carries a session both ways until the command ends or the client goes.
async fn run_session(session: Session, call: &ExecCall, mut stream: Stream) -> Result<(), MeshError> {
    stream.answer(&Answer::Ok).await?;
    let (mut writer, reader) = stream.split();
    let Session { input, mut output } = session;
    let feeding = feed(reader, input, call.stdin);
    tokio::pin!(feeding);
    let mut fed = false;
    loop {
        let step = tokio::select! {
            step = output.recv() => step,
            gone = &mut feeding, if !fed => {
                fed = true;
                if gone { return Ok(()) }
                continue;
            }
        };
        let step = step.unwrap_or_else(|| SessionOutput::Failed("the session broke off".into()));
        let last = matches!(step, SessionOutput::Exit(_) | SessionOutput::Failed(_));
        let wanted = match &step {
            SessionOutput::Stdout(_) => call.stdout,
            SessionOutput::Stderr(_) => call.stderr,
            _ => true,
        };
        if wanted {
            writer.send_frame(&frame_of_output(step)).await?;
        }
        if last {
            return writer.finish();
        }
    }
}

/// Passes the client's frames on; `true` when the client is gone, `false` when it only has no more to say.
async fn feed(mut reader: FrameReader, input: mpsc::Sender<SessionInput>, stdin: bool) -> bool {
    loop {
        match reader.next_frame().await {
            Ok(Some(frame)) => {
                let Some(step) = input_of_frame(frame) else { continue };
                let allowed = stdin || matches!(step, SessionInput::Resize(_));
                if allowed && input.send(step).await.is_err() {
                    return false;
                }
            }
            Ok(None) => {
                // The other half may go on; the command sees the end of its input.
                let _ = input.send(SessionInput::CloseStdin).await;
                std::future::pending::<()>().await;
            }
            Err(_) => return true,
        }
    }
}

async fn forward(connection: TcpStream, stream: Stream) -> Result<(), MeshError> {
    let (mut from_pod, mut to_pod) = connection.into_split();
    let (mut writer, mut reader) = stream.split();
    let up = async {
        while let Ok(Some(frame)) = reader.next_frame().await {
            match frame {
                Frame::Data { channel: DATA, bytes } => {
                    if to_pod.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                Frame::Close { channel: DATA } => break,
                _ => {}
            }
        }
        // The other side may have closed it already.
        let _ = to_pod.shutdown().await;
    };
    let down = async {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        while from_pod.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {
            writer.send_frame(&Frame::Data { channel: DATA, bytes: buffer.split().freeze() }).await?;
            buffer.reserve(CHUNK);
        }
        writer.finish()
    };
    let ((), sent) = tokio::join!(up, down);
    sent
}

#[async_trait]
impl Service for NodeStreams {
    async fn call(&self, _caller: Caller, envelope: Envelope, stream: Stream) {
        let outcome = match envelope.body {
            Call::Logs(call) => self.logs(call, stream).await,
            Call::Exec(call) => self.exec(call, stream).await,
            Call::Attach(call) => self.exec(ExecCall { command: Vec::new(), ..call }, stream).await,
            Call::PortForward { namespace, pod, uid, port } => self.port_forward(&namespace, &pod, &uid, port, stream).await,
            Call::Stats => match super::stats::summary(&self.agent, &*self.runtime, &self.node).await {
                Ok(body) => stream.reply(Answer::Api { code: 200, body }).await,
                Err(error) => stream.refuse(error).await,
            },
            _ => stream.refuse(ApiError::bad_request("a node does not answer this call")).await,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a call from the server broke off");
        }
    }
}
