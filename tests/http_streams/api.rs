//! Just enough of the Kubernetes API for kubectl to find a pod, with sessions that run local commands.
use super::kubectl::{Kubectl, Transport};
use actix_web::{App, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use impresario::http::listener::{Listener, ListenerConfig, PeerInfo, serve};
use impresario::http::stream::{self, ExecOptions, PodTarget, UpgradeKind, check_options, upgrade_kind};
use impresario::protocol::status::ApiError;
use impresario::runtime::api::{Session, SessionInput, SessionOutput};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub struct Api {
    listener: Listener,
    folder: tempfile::TempDir,
    client: Arc<rustls::ClientConfig>,
    sessions: Arc<AtomicUsize>,
    asked: Arc<Mutex<Option<UpgradeKind>>>,
}

/// What a finished kubectl said.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub bytes: Vec<u8>,
    pub stderr: String,
}

#[derive(Clone)]
struct State {
    stop: CancellationToken,
    sessions: Arc<AtomicUsize>,
    /// The last upgrade asked for.
    asked: Arc<Mutex<Option<UpgradeKind>>>,
    echo: SocketAddr,
}

impl Api {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = identity(folder.path());
        let (stop, sessions) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let asked = Arc::new(Mutex::new(None));
        let state = State { stop: stop.clone(), sessions: sessions.clone(), asked: asked.clone(), echo: echo_server().await };
        let config = ListenerConfig { address: "127.0.0.1:0".parse().unwrap(), workers: 2, tls: identity.server, stop };
        let listener = serve(config, move || {
            let state = state.clone();
            let pod = web::scope("/api/v1/namespaces/default/pods/web")
                .route("", web::get().to(|| async { HttpResponse::Ok().json(pod()) }))
                .route("/exec", web::route().to(exec))
                .route("/attach", web::route().to(attach))
                .route("/portforward", web::route().to(port_forward))
                .route("/log", web::get().to(logs));
            App::new()
                .app_data(web::Data::new(state))
                .route("/panic", web::get().to(panics))
                .route("/whoami", web::get().to(whoami))
                .route(
                    "/version",
                    web::get().to(|| async { HttpResponse::Ok().json(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0"})) }),
                )
                .route("/api", web::get().to(|| async { HttpResponse::Ok().json(json!({"kind": "APIVersions", "versions": ["v1"]})) }))
                .route(
                    "/apis",
                    web::get().to(|| async { HttpResponse::Ok().json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})) }),
                )
                .route("/api/v1", web::get().to(|| async { HttpResponse::Ok().json(resources()) }))
                .service(pod)
        })
        .await
        .unwrap();
        let kubeconfig = identity.kubeconfig.replace("ADDRESS", &listener.address.to_string());
        std::fs::write(folder.path().join("config"), kubeconfig).unwrap();
        Api { listener, folder, client: identity.client, sessions, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }

    /// Whether the last upgrade asked for was of this kind.
    pub fn was_asked_for(&self, transport: Transport) -> bool {
        let kind = if transport == Transport::Spdy { UpgradeKind::Spdy } else { UpgradeKind::WebSocket };
        *self.asked.lock().unwrap() == Some(kind)
    }

    pub async fn stop(self) {
        self.listener.stop().await;
    }

    fn prepare(&self, program: &std::ffi::OsStr, transport: Transport) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.folder.path().join("config")).env("HOME", self.folder.path()).envs(transport.environment());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    pub fn start_kubectl(&self, kubectl: &Kubectl, transport: Transport, args: &[&str]) -> Child {
        self.prepare(kubectl.path.as_os_str(), transport).args(args).spawn().unwrap()
    }

    pub async fn run(&self, kubectl: &Kubectl, transport: Transport, args: &[&str], stdin: &[u8]) -> Said {
        let mut child = self.prepare(kubectl.path.as_os_str(), transport).args(args).stdin(Stdio::piped()).spawn().unwrap();
        let (mut input, stdin) = (child.stdin.take().unwrap(), stdin.to_vec());
        tokio::spawn(async move { input.write_all(&stdin).await });
        said(child).await
    }

    /// kubectl with megabytes of input.
    pub fn start_flooded(&self, kubectl: &Kubectl, transport: Transport, args: &[&str]) -> Child {
        let mut child = self.prepare(kubectl.path.as_os_str(), transport).args(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        tokio::spawn(async move { input.write_all(&vec![b'x'; 50_000_000]).await });
        child
    }

    /// Runs kubectl on a terminal of 133 × 37 cells.
    pub async fn in_terminal(&self, kubectl: &Kubectl, transport: Transport, args: &str) -> Said {
        let line = format!("stty cols 133 rows 37; {} {args}", kubectl.path.display());
        let child = self.prepare("script".as_ref(), transport).args(["-qec", &line, "/dev/null"]).spawn().unwrap();
        said(child).await
    }

    /// Sends text over TLS; gives what comes until `last` has come or the server closes.
    pub async fn raw(&self, text: &str, last: &str) -> String {
        let socket = tokio::net::TcpStream::connect(self.address()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(self.client.clone());
        let mut tls = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        tls.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read =
            async { while !String::from_utf8_lossy(&answer).contains(last) && matches!(tls.read_buf(&mut answer).await, Ok(1..)) {} };
        // The backtrace of a debug build's panic takes its time.
        tokio::time::timeout(Duration::from_secs(60), read).await.unwrap_or_else(|_| panic!("no {last:?} in a minute"));
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn said(child: Child) -> Said {
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.expect("kubectl does not end").unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        bytes: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

struct Identity {
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
    /// With `ADDRESS` in place of the server's.
    kubeconfig: String,
}

fn leaf(name: &str, ca: &CertifiedIssuer<'_, KeyPair>) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".to_string(), "127.0.0.1".to_string()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, ca).unwrap(), key)
}

fn identity(folder: &std::path::Path) -> Identity {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "throwaway");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let (server, client) = (leaf("server", &ca), leaf("client", &ca));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).allow_unauthenticated();
    let der = |key: &KeyPair| rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server_tls = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.0.der().clone()], der(&server.1))
        .unwrap();
    let client_tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![client.0.der().clone()], der(&client.1))
        .unwrap();
    for (name, text) in [("ca.pem", ca.pem()), ("client.pem", client.0.pem()), ("client.key", client.1.serialize_pem())] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": "https://ADDRESS", "certificate-authority": folder.join("ca.pem")}}],
        "users": [{"name": "test", "user": {"client-certificate": folder.join("client.pem"), "client-key": folder.join("client.key")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    Identity { server: Arc::new(server_tls), client: Arc::new(client_tls), kubeconfig: kubeconfig.to_string() }
}

fn resources() -> Value {
    let resource =
        |name: &str, verbs: &[&str]| json!({"name": name, "singularName": "", "namespaced": true, "kind": "Pod", "verbs": verbs});
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1",
        "resources": [resource("pods", &["get", "list"]), resource("pods/exec", &["create", "get"]), resource("pods/log", &["get"])]})
}

fn pod() -> Value {
    let container = json!({"name": "main", "image": "none", "stdin": true, "ports": [{"containerPort": 80}]});
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "default", "uid": "u1"},
        "spec": {"containers": [container]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "main", "ready": true, "state": {"running": {}}}]}})
}

fn refused(error: ApiError) -> HttpResponse {
    let code = actix_web::http::StatusCode::from_u16(error.code).unwrap();
    HttpResponse::build(code).json(error.to_status())
}

async fn panics() -> HttpResponse {
    panic!("on purpose")
}

async fn whoami(req: HttpRequest) -> String {
    let peer = req.conn_data::<PeerInfo>().cloned().unwrap_or_default();
    format!("certificate={} address={}\n", peer.certificate.is_some(), peer.address.is_some())
}

fn query(req: &HttpRequest) -> (ExecOptions, Vec<String>) {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(req.query_string()).unwrap().into_inner();
    let flag = |name: &str| pairs.iter().any(|(key, value)| key == name && (value == "true" || value == "1"));
    let options = ExecOptions { stdin: flag("stdin"), stdout: flag("stdout"), stderr: flag("stderr"), tty: flag("tty") };
    (options, pairs.iter().filter(|(key, _)| key == "command").map(|(_, value)| value.clone()).collect())
}

async fn exec(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let (options, command) = query(&req);
    *state.asked.lock().unwrap() = upgrade_kind(&req);
    if let Err(error) = check_options(&req, options) {
        return refused(error);
    }
    let session = if command == ["size"] { size_session() } else { run_session(command, options.stdin, &state) };
    stream::exec_response(&req, payload, options, session, state.stop.clone()).await.unwrap_or_else(refused)
}

async fn attach(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let (options, _) = query(&req);
    if let Err(error) = check_options(&req, options) {
        return refused(error);
    }
    let command = ["sh", "-c", "echo attached; cat"].map(String::from).to_vec();
    stream::attach_response(&req, payload, options, run_session(command, true, &state), state.stop.clone()).await.unwrap_or_else(refused)
}

async fn port_forward(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    *state.asked.lock().unwrap() = upgrade_kind(&req);
    let target = PodTarget { name: "web_default".into(), uid: "u1".into() };
    let echo = state.echo;
    let dial = move |port: u16| async move {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        if port == 80 { tokio::net::TcpStream::connect(echo).await } else { Err(refused) }
    };
    stream::port_forward_response(&req, payload, target, dial, state.stop.clone()).await.unwrap_or_else(refused)
}

async fn logs(state: web::Data<State>) -> HttpResponse {
    let (lines, receiver) = mpsc::channel(8);
    tokio::spawn(async move {
        let mut number = 0;
        while lines.send(Bytes::from(format!("line {number}\n"))).await.is_ok() {
            number += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    stream::logs_response(receiver, state.stop.clone())
}

/// Answers the first terminal size with itself.
fn size_session() -> Session {
    let (input, mut inputs) = mpsc::channel(8);
    let (outputs, output) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(event) = inputs.recv().await {
            if let SessionInput::Resize(size) = event {
                let text = format!("size {}x{}\r\n", size.width, size.height);
                let _ = outputs.send(SessionOutput::Stdout(text.into())).await;
                let _ = outputs.send(SessionOutput::Exit(0)).await;
                return;
            }
        }
    });
    Session { input, output }
}

/// A local process in the place of a container's.
fn run_session(command: Vec<String>, stdin: bool, state: &State) -> Session {
    let (input, inputs) = mpsc::channel(8);
    let (outputs, output) = mpsc::channel(8);
    let sessions = state.sessions.clone();
    sessions.fetch_add(1, Ordering::SeqCst);
    tokio::spawn(async move {
        let gone = outputs.clone();
        tokio::select! {
            last = run_process(command, stdin, inputs, outputs) => { let _ = gone.send(last).await; }
            () = gone.closed() => {}
        }
        sessions.fetch_sub(1, Ordering::SeqCst);
    });
    Session { input, output }
}

async fn run_process(
    command: Vec<String>,
    stdin: bool,
    mut inputs: mpsc::Receiver<SessionInput>,
    outputs: mpsc::Sender<SessionOutput>,
) -> SessionOutput {
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    process.stdin(if stdin { Stdio::piped() } else { Stdio::null() });
    let mut child = match process.spawn() {
        Ok(child) => child,
        Err(error) => return SessionOutput::Failed(error.to_string()),
    };
    let mut pipe = child.stdin.take();
    let feeding = tokio::spawn(async move {
        while let Some(event) = inputs.recv().await {
            match (event, &mut pipe) {
                (SessionInput::Stdin(bytes), Some(pipe)) => {
                    let _ = pipe.write_all(&bytes).await;
                }
                (SessionInput::CloseStdin, _) => pipe = None,
                _ => {}
            }
        }
    });
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    tokio::join!(carry(stdout, &outputs, SessionOutput::Stdout), carry(stderr, &outputs, SessionOutput::Stderr));
    let status = child.wait().await.unwrap();
    feeding.abort();
    SessionOutput::Exit(status.code().unwrap_or(137))
}

async fn carry(mut pipe: impl tokio::io::AsyncRead + Unpin, outputs: &mpsc::Sender<SessionOutput>, wrap: fn(Bytes) -> SessionOutput) {
    loop {
        let mut bytes = bytes::BytesMut::with_capacity(16 * 1024);
        if pipe.read_buf(&mut bytes).await.unwrap_or(0) == 0 || outputs.send(wrap(bytes.freeze())).await.is_err() {
            return;
        }
    }
}

async fn echo_server() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reading, mut writing) = socket.split();
                tokio::io::copy(&mut reading, &mut writing).await
            });
        }
    });
    address
}
