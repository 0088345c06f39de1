//! Probes and hooks: what is asked of a running container, and how often.
use crate::runtime::api::{ExecSpec, Runtime, SessionOutput};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How much of a command's output is kept for the event.
const OUTPUT: usize = 10 * 1024;

/// Which of the three probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    /// `Readiness probe failed: …`
    pub fn word(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
        }
    }

    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            ProbeKind::Startup => container.startup_probe.as_ref(),
            ProbeKind::Liveness => container.liveness_probe.as_ref(),
            ProbeKind::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// What one look at a container said.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Success,
    Failure(String),
    /// The probe itself could not be made: says nothing about the container.
    Unknown(String),
}

/// Where a probe or hook looks.
#[derive(Clone)]
pub struct Target {
    pub runtime: Arc<dyn Runtime>,
    pub container_id: String,
    pub container: Arc<Container>,
    /// The pod's address.
    pub ip: String,
}

/// A probe's verdict after its thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub verdict: Verdict,
    /// The threshold is reached: this now counts (`true` for success).
    pub settled: Option<bool>,
}

/// Probes for ever: `initialDelaySeconds`, then every `periodSeconds`. Every verdict goes to `report`.
pub async fn run(target: Target, probe: Probe, report: impl Fn(Sample)) {
    let seconds = |value: Option<i32>, default: u64| Duration::from_secs(value.and_then(|v| u64::try_from(v).ok()).unwrap_or(default));
    let threshold = |value: Option<i32>, default: u32| value.and_then(|v| u32::try_from(v).ok()).unwrap_or(default).max(1);
    let limit = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
    let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
    let (needed, allowed) = (threshold(probe.success_threshold, 1), threshold(probe.failure_threshold, 3));
    tokio::time::sleep(seconds(probe.initial_delay_seconds, 0)).await;
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut good, mut bad) = (0u32, 0u32);
    loop {
        ticks.tick().await;
        let verdict = look(&target, &probe, limit).await;
        match verdict {
            Verdict::Success => (good, bad) = (good.saturating_add(1), 0),
            Verdict::Failure(_) => (good, bad) = (0, bad.saturating_add(1)),
            Verdict::Unknown(_) => {}
        }
        let settled = match verdict {
            Verdict::Success if good >= needed => Some(true),
            Verdict::Failure(_) if bad >= allowed => Some(false),
            _ => None,
        };
        report(Sample { verdict, settled });
    }
}

async fn look(target: &Target, probe: &Probe, limit: Duration) -> Verdict {
    if let Some(exec) = &probe.exec {
        let command = exec.command.clone().unwrap_or_default();
        return match timeout(limit, execute(target, command)).await {
            Ok(Ok((0, _))) => Verdict::Success,
            Ok(Ok((_, output))) => Verdict::Failure(output),
            Ok(Err(why)) => Verdict::Unknown(why),
            Err(_) => Verdict::Failure(format!("command timed out after {}s", limit.as_secs())),
        };
    }
    if let Some(get) = &probe.http_get {
        return match timeout(limit, http_get(target, get)).await {
            Ok(Ok(code)) if (200..400).contains(&code) => Verdict::Success,
            Ok(Ok(code)) => Verdict::Failure(format!("HTTP probe failed with statuscode: {code}")),
            Ok(Err(why)) => Verdict::Failure(why),
            Err(_) => Verdict::Failure("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".into()),
        };
    }
    if let Some(socket) = &probe.tcp_socket {
        let host = socket.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(&target.ip);
        let Some(port) = port(&socket.port, &target.container) else { return Verdict::Unknown("the port has no such name".into()) };
        return match timeout(limit, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Verdict::Success,
            Ok(Err(error)) => Verdict::Failure(format!("dial tcp {host}:{port}: {error}")),
            Err(_) => Verdict::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
        };
    }
    Verdict::Unknown("grpc probes are not implemented".into())
}

/// Runs a hook to its end.
///
/// # Errors
/// The text for the event.
pub async fn hook(target: &Target, handler: &LifecycleHandler) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        return match execute(target, exec.command.clone().unwrap_or_default()).await? {
            (0, _) => Ok(()),
            (code, output) => Err(format!("command exited with {code}: {output}")),
        };
    }
    if let Some(get) = &handler.http_get {
        return match http_get(target, get).await? {
            code if code < 400 => Ok(()),
            code => Err(format!("HTTP hook failed with statuscode: {code}")),
        };
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    Err("this kind of hook is not implemented".into())
}

/// Runs a command in the container: its exit code, and what it wrote.
async fn execute(target: &Target, command: Vec<String>) -> Result<(i32, String), String> {
    let spec = ExecSpec { command, tty: false, stdin: false };
    let mut session = target.runtime.exec(&target.container_id, spec).await.map_err(|e| e.message)?;
    let mut output = Vec::new();
    while let Some(step) = session.output.recv().await {
        match step {
            SessionOutput::Stdout(bytes) | SessionOutput::Stderr(bytes) => {
                let room = OUTPUT.saturating_sub(output.len()).min(bytes.len());
                output.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            SessionOutput::Exit(code) => return Ok((code, String::from_utf8_lossy(&output).into_owned())),
            SessionOutput::Failed(why) => return Err(why),
        }
    }
    Err("the command ended without saying how".into())
}

/// One GET by hand over a fresh connection; answers the status code.
async fn http_get(target: &Target, get: &HTTPGetAction) -> Result<u16, String> {
    if get.scheme.as_deref() == Some("HTTPS") {
        return Err("HTTPS probes are not implemented".into());
    }
    let host = get.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(&target.ip);
    let port = port(&get.port, &target.container).ok_or("the port has no such name")?;
    let path = get.path.as_deref().filter(|p| !p.is_empty()).unwrap_or("/");
    let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
    let failed = |why: String| format!("Get \"http://{host}:{port}{path}\": {why}");
    let stream = TcpStream::connect((host, port)).await.map_err(|e| failed(format!("dial tcp {host}:{port}: {e}")))?;
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(|e| failed(e.to_string()))?;
    let headers = get.http_headers.iter().flatten();
    let named_host = headers.clone().any(|h| h.name.eq_ignore_ascii_case("host"));
    let mut request = hyper::Request::get(&path).header("User-Agent", "kube-probe/1.36").header("Accept", "*/*");
    if !named_host {
        request = request.header("Host", format!("{host}:{port}"));
    }
    for header in headers {
        request = request.header(&header.name, &header.value);
    }
    let request = request.header("Connection", "close").body(Empty::<Bytes>::new()).map_err(|e| failed(e.to_string()))?;
    tokio::select! {
        answer = sender.send_request(request) => answer.map(|a| a.status().as_u16()).map_err(|e| failed(e.to_string())),
        ended = connection => Err(failed(ended.err().map_or_else(|| "EOF".into(), |e| e.to_string()))),
    }
}

/// A port by number or by the container's own name for it.
fn port(port: &IntOrString, container: &Container) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|p| p.name.as_deref() == Some(name));
            named.and_then(|p| u16::try_from(p.container_port).ok()).or_else(|| name.parse().ok())
        }
    }
}
