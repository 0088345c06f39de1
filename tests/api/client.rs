//! A small HTTPS client over HTTP/1.1 or HTTP/2 that shows everything of an answer, and reads watches event by event.
use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// How long an answer, or the next event of a watch, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of the server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{} is not JSON ({e}): {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The object, when the request was granted.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        self.json()
    }

    /// The message of a refusal with that code and reason, whose body must be a proper `Status`.
    #[track_caller]
    pub fn refused(self, code: u16, reason: &str) -> String {
        let status = self.json();
        let said = (self.status, status["kind"].as_str(), status["status"].as_str(), status["reason"].as_str(), status["code"].as_u64());
        assert_eq!(said, (code, Some("Status"), Some("Failure"), Some(reason), Some(code.into())), "{status}");
        status["message"].as_str().expect("a message").to_string()
    }
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Somebody with one connection to the server.
pub struct Client {
    address: String,
    tls: Arc<ClientConfig>,
    bearer: String,
    sender: Mutex<Option<Sender>>,
}

impl Client {
    /// The user of a kubeconfig, over HTTP/1.1 or HTTP/2.
    pub fn of(kubeconfig: &Path, protocol: &str) -> Client {
        let config = read(kubeconfig);
        let user = &config["users"][0]["user"];
        let chain =
            rustls_pemfile::certs(&mut pem(&user["client-certificate-data"]).as_slice()).map(|c| c.expect("a certificate")).collect();
        let key = rustls_pemfile::private_key(&mut pem(&user["client-key-data"]).as_slice()).expect("PEM").expect("a key");
        Client::new(&config, protocol, Some((chain, key)))
    }

    /// Somebody without a certificate, maybe with a token.
    pub fn bearer(kubeconfig: &Path, token: &str) -> Client {
        Client { bearer: token.into(), ..Client::new(&read(kubeconfig), "http/1.1", None) }
    }

    fn new(
        config: &Value,
        protocol: &str,
        identity: Option<(Vec<rustls::pki_types::CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Client {
        let cluster = &config["clusters"][0]["cluster"];
        let mut roots = RootCertStore::empty();
        for certificate in rustls_pemfile::certs(&mut pem(&cluster["certificate-authority-data"]).as_slice()) {
            roots.add(certificate.expect("a certificate")).expect("a CA");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("ring knows TLS");
        let builder = builder.with_root_certificates(roots);
        let mut tls = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("the key fits its certificate"),
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let address = cluster["server"].as_str().expect("a server").trim_start_matches("https://").to_string();
        Client { address, tls: Arc::new(tls), bearer: String::new(), sender: Mutex::new(None) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// A GET that asks for another representation.
    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send("GET", path, &[("accept", accept)], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Reads, changes and replaces an object, anew when somebody else, a controller mostly, has come in between.
    #[track_caller]
    pub fn change<'a>(&'a self, path: &'a str, change: impl Fn(&mut Value) + 'a) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            for _ in 0..20 {
                let mut object = self.get(path).await.ok();
                change(&mut object);
                let answer = self.put(path, &object).await;
                if answer.status != 409 {
                    assert_eq!(answer.status, 200, "{caller}: {}", answer.text());
                    return answer.json();
                }
            }
            panic!("{caller}: twenty conflicts in a row at {path}");
        }
    }

    /// `how`: `json`, `merge` or `strategic-merge`.
    pub async fn patch(&self, path: &str, how: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[("content-type", &format!("application/{how}-patch+json"))], body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let response = self.begin(method, path, headers, body.into()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = tokio::time::timeout(PATIENCE, response.into_body().collect()).await.expect("the body in time").expect("a whole body");
        Answer { status, headers, body: body.to_bytes() }
    }

    /// Opens a watch on a connection of its own.
    pub async fn watch(&self, path: &str) -> Watch {
        self.watch_as(path, "application/json").await
    }

    pub async fn watch_as(&self, path: &str, accept: &str) -> Watch {
        let own = Client { address: self.address.clone(), tls: self.tls.clone(), bearer: self.bearer.clone(), sender: Mutex::new(None) };
        let response = own.begin("GET", path, &[("accept", accept)], Bytes::new()).await;
        assert_eq!(response.status(), 200);
        Watch { body: response.into_body(), buffer: Vec::new(), _client: own }
    }

    async fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Response<Incoming> {
        let mut sender = self.sender.lock().await;
        if !sender.as_ref().is_some_and(Sender::is_open) {
            *sender = Some(self.connect().await);
        }
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.bearer.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.bearer));
        }
        let response = match sender.as_mut().expect("connected above") {
            Sender::One(sender) => {
                let request = request.uri(path).header("host", &self.address).body(Full::new(body)).expect("a request");
                sender.ready().await.expect("an open connection");
                tokio::time::timeout(PATIENCE, sender.send_request(request)).await
            }
            Sender::Two(sender) => {
                let uri = format!("https://{}{path}", self.address);
                let request = request.uri(uri).body(Full::new(body)).expect("a request");
                tokio::time::timeout(PATIENCE, sender.send_request(request)).await
            }
        };
        response.unwrap_or_else(|_| panic!("{method} {path}: no answer")).unwrap_or_else(|e| panic!("{method} {path}: {e:?}"))
    }

    async fn connect(&self) -> Sender {
        let tcp = TcpStream::connect(&self.address).await.expect("the server listens");
        tcp.set_nodelay(true).expect("no delay");
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host).to_string();
        let name = ServerName::try_from(host).expect("a host");
        let tls = TlsConnector::from(self.tls.clone()).connect(name, tcp).await.expect("TLS");
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.expect("HTTP/2");
            tokio::spawn(connection);
            return Sender::Two(sender);
        }
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        Sender::One(sender)
    }
}

impl Sender {
    fn is_open(&self) -> bool {
        match self {
            Sender::One(sender) => !sender.is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }
}

/// A watch that is under way.
pub struct Watch {
    body: Incoming,
    buffer: Vec<u8>,
    _client: Client,
}

impl Watch {
    /// The next event; `None` once the server has ended the watch.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event is a line of JSON"));
            }
            match tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("an event in time") {
                Some(frame) => self.buffer.extend_from_slice(&frame.expect("an open stream").into_data().unwrap_or_default()),
                None => return None,
            }
        }
    }

    /// The next event as `TYPE name`.
    pub async fn line(&mut self) -> String {
        match self.next().await {
            Some(event) => {
                let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
                format!("{} {name}", event["type"].as_str().unwrap_or_default()).trim().to_string()
            }
            None => "end".into(),
        }
    }

    /// The next events as lines.
    pub async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..count {
            lines.push(self.line().await);
        }
        lines
    }
}

fn read(kubeconfig: &Path) -> Value {
    let text = std::fs::read_to_string(kubeconfig).unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display()));
    serde_yaml::from_str(&text).expect("the kubeconfig is YAML")
}

fn pem(field: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(field.as_str().expect("a field of the kubeconfig")).expect("base64")
}
