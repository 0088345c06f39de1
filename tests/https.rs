//! A small blocking HTTPS client: one connection, one request at a time, and every error told. Tests that send what no
//! well-behaved client would send, or that must know exactly what was acknowledged, use it in place of kubectl.
use base64::Engine;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long one read or write may hang before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of the server.
pub struct Answer {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{} is not JSON ({e}): {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

type Connection = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// A client with the identity that a kubeconfig carries.
pub struct Client {
    tls: Arc<ClientConfig>,
    address: String,
    connection: Option<Connection>,
    /// Sent with every request, when not empty.
    pub bearer: String,
}

impl Client {
    /// The user of a kubeconfig.
    pub fn from_kubeconfig(path: &Path) -> Client {
        let config = Kubeconfig::read(path);
        let certificate = certificates(&config.user["client-certificate-data"]);
        let key = private_key(&config.user["client-key-data"]);
        let tls = builder(&config).with_client_auth_cert(certificate, key).expect("the kubeconfig's key fits its certificate");
        Client { tls: Arc::new(tls), address: config.address, connection: None, bearer: String::new() }
    }

    /// Somebody without a certificate, at the server of a kubeconfig.
    pub fn stranger(path: &Path) -> Client {
        let config = Kubeconfig::read(path);
        let tls = builder(&config).with_no_client_auth();
        Client { tls: Arc::new(tls), address: config.address, connection: None, bearer: String::new() }
    }

    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.request("GET", path, "", b"")
    }

    pub fn post(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        self.request("POST", path, "application/json", body.to_string().as_bytes())
    }

    pub fn put(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        self.request("PUT", path, "application/json", body.to_string().as_bytes())
    }

    pub fn delete(&mut self, path: &str) -> io::Result<Answer> {
        self.request("DELETE", path, "", b"")
    }

    /// One request. After an error nothing is known about its outcome.
    pub fn request(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\ncontent-length: {}\r\n", self.address, body.len());
        if !content_type.is_empty() {
            head.push_str(&format!("content-type: {content_type}\r\n"));
        }
        if !self.bearer.is_empty() {
            head.push_str(&format!("authorization: Bearer {}\r\n", self.bearer));
        }
        head.push_str("\r\n");
        let mut message = head.into_bytes();
        message.extend_from_slice(body);
        // A server may answer and hang up before it has read everything (413): the answer counts, not the broken pipe.
        let sent = connection.get_mut().write_all(&message).and_then(|()| connection.get_mut().flush());
        let answer = read_answer(&mut connection);
        if answer.is_err() {
            sent?;
        }
        let answer = answer?;
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// A request whose answer is read line by line, on a connection of its own.
    pub fn lines(&self, path: &str) -> io::Result<(u16, Lines)> {
        let mut connection = self.connect()?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\n\r\n", self.address);
        connection.get_mut().write_all(head.as_bytes())?;
        connection.get_mut().flush()?;
        let (status, _) = read_head(&mut connection)?;
        Ok((status, Lines { connection, left: Left::Size, raw: Vec::new(), text: Vec::new() }))
    }

    fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host).to_string();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let session = ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
        Ok(BufReader::new(StreamOwned::new(session, stream)))
    }
}

/// A chunked answer that goes on, as lines.
pub struct Lines {
    connection: Connection,
    left: Left,
    /// The beginning of a chunk's size.
    raw: Vec<u8>,
    text: Vec<u8>,
}

/// What comes next of a chunked answer.
enum Left {
    Size,
    /// So many bytes of a chunk, the line end behind it included.
    Chunk(usize),
    End,
}

impl Lines {
    /// How long [`Lines::next`] waits for bytes before it fails with `WouldBlock`; it can then be called again.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.connection.get_ref().sock.set_read_timeout(Some(patience))
    }

    /// The next line; `None` at the end of the answer.
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.text.iter().position(|b| *b == b'\n') {
                let rest = self.text.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.text, rest)));
            }
            if matches!(self.left, Left::End) {
                return Ok(None);
            }
            let bytes = self.connection.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let used = match &mut self.left {
                Left::Size => {
                    let end = bytes.iter().position(|b| *b == b'\n');
                    self.raw.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
                    if end.is_some() {
                        let text = std::mem::take(&mut self.raw);
                        let size = usize::from_str_radix(String::from_utf8_lossy(&text).trim(), 16).map_err(io::Error::other)?;
                        self.left = if size == 0 { Left::End } else { Left::Chunk(size + 2) };
                    }
                    end.map_or(bytes.len(), |end| end + 1)
                }
                Left::Chunk(left) => {
                    let now = bytes.len().min(*left);
                    let of_text = now.min(left.saturating_sub(2));
                    self.text.extend_from_slice(&bytes[..of_text]);
                    *left -= now;
                    if *left == 0 {
                        self.left = Left::Size;
                    }
                    now
                }
                Left::End => 0,
            };
            self.connection.consume(used);
        }
    }
}

/// The code and the headers of an answer.
fn read_head(connection: &mut Connection) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = read_line(connection)?;
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| io::Error::other(format!("not HTTP: {first}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection)?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_string())),
            None => break,
        }
    }
    Ok((status, headers))
}

fn read_answer(connection: &mut Connection) -> io::Result<Answer> {
    let (status, headers) = read_head(connection)?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    if answer.header("transfer-encoding") == Some("chunked") {
        while read_chunk(connection, &mut answer.body)? {}
    } else if let Some(length) = answer.header("content-length").and_then(|l| l.parse().ok()) {
        answer.body.resize(length, 0);
        connection.read_exact(&mut answer.body)?;
    }
    Ok(answer)
}

/// Appends one chunk; false at the last one.
fn read_chunk(connection: &mut Connection, body: &mut Vec<u8>) -> io::Result<bool> {
    let line = read_line(connection)?;
    let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
    let start = body.len();
    body.resize(start + length, 0);
    connection.read_exact(&mut body[start..])?;
    read_line(connection)?;
    Ok(length > 0)
}

fn read_line(connection: &mut Connection) -> io::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_string())
}

struct Kubeconfig {
    address: String,
    authority: Vec<u8>,
    user: Value,
}

impl Kubeconfig {
    fn read(path: &Path) -> Kubeconfig {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let config: Value = serde_yaml::from_str(&text).expect("the kubeconfig is YAML");
        let cluster = &config["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().expect("a server");
        Kubeconfig {
            address: server.trim_start_matches("https://").trim_end_matches('/').to_string(),
            authority: pem(&cluster["certificate-authority-data"]),
            user: config["users"][0]["user"].clone(),
        }
    }
}

fn pem(field: &Value) -> Vec<u8> {
    let text = field.as_str().unwrap_or_else(|| panic!("the kubeconfig lacks a field"));
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

fn certificates(field: &Value) -> Vec<CertificateDer<'static>> {
    rustls_pemfile::certs(&mut pem(field).as_slice()).collect::<Result<_, _>>().expect("certificates")
}

fn private_key(field: &Value) -> PrivateKeyDer<'static> {
    rustls_pemfile::private_key(&mut pem(field).as_slice()).expect("PEM").expect("a key")
}

fn builder(config: &Kubeconfig) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut config.authority.as_slice()) {
        roots.add(certificate.expect("a certificate")).expect("a CA");
    }
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS")
        .with_root_certificates(roots)
}
