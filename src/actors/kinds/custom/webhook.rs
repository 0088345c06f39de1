//! Strategy `Webhook`: a ConversionReview is posted to somebody else's HTTPS server.
use super::conversion::{ConversionError, Converter, check_converted};
use async_trait::async_trait;
use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How long a conversion may take, upstream's limit.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
/// Objects sent at once: a list goes in one piece, as upstream sends it, unless it is enormous.
const BATCH: usize = 10_000;

/// A connection to a Service.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Connects to Services. The caller knows about them; this file doesn't.
#[async_trait]
pub trait ServiceConnector: Send + Sync {
    /// A connection to the Service's port, or why there is none.
    async fn connect(&self, namespace: &str, name: &str, port: u16) -> Result<Box<dyn Connection>, String>;
}

/// The client of one definition's webhook.
pub struct WebhookConverter {
    url: Option<String>,
    service: Option<Service>,
    ca: Vec<u8>,
    review: &'static str,
    services: Arc<dyn ServiceConnector>,
}

struct Service {
    namespace: String,
    name: String,
    port: u16,
    path: String,
}

impl WebhookConverter {
    /// From `spec.conversion.webhook`.
    pub fn new(webhook: &Value, services: Arc<dyn ServiceConnector>) -> Self {
        let config = &webhook["clientConfig"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let service = config["service"].as_object().map(|_| Service {
            namespace: text(&config["service"]["namespace"]),
            name: text(&config["service"]["name"]),
            port: config["service"]["port"].as_u64().and_then(|p| u16::try_from(p).ok()).unwrap_or(443),
            path: text(&config["service"]["path"]),
        });
        let versions = webhook["conversionReviewVersions"].as_array().into_iter().flatten();
        let review = versions.filter_map(Value::as_str).find_map(|v| match v {
            "v1" => Some("apiextensions.k8s.io/v1"),
            "v1beta1" => Some("apiextensions.k8s.io/v1beta1"),
            _ => None,
        });
        let ca = base64::engine::general_purpose::STANDARD.decode(text(&config["caBundle"])).unwrap_or_default();
        let url = config["url"].as_str().map(str::to_string);
        WebhookConverter { url, service, ca, review: review.unwrap_or("apiextensions.k8s.io/v1"), services }
    }

    /// The host to speak to, its address, and the path.
    async fn target(&self) -> Result<(String, Box<dyn Connection>, String), String> {
        let said = |e: std::io::Error| e.to_string();
        if let Some(service) = &self.service {
            let stream = self.services.connect(&service.namespace, &service.name, service.port).await?;
            let path = if service.path.is_empty() { "/".into() } else { service.path.clone() };
            return Ok((format!("{}.{}.svc", service.name, service.namespace), stream, path));
        }
        let url: http::Uri = self.url.as_deref().unwrap_or_default().parse().map_err(|e| format!("{e}"))?;
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_string();
        let stream = TcpStream::connect((host.as_str(), url.port_u16().unwrap_or(443))).await.map_err(said)?;
        let path = url.path_and_query().map_or("/", |p| p.as_str()).to_string();
        Ok((host, Box::new(stream), path))
    }

    async fn post(&self, review: &Value) -> Result<Value, String> {
        let (host, stream, path) = self.target().await?;
        let name = ServerName::try_from(host.clone()).map_err(|e| e.to_string())?;
        let tls =
            tokio_rustls::TlsConnector::from(Arc::new(tls_config(&self.ca)?)).connect(name, stream).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(|e| e.to_string())?;
        let request = http::Request::post(&path)
            .header("host", &host)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(Full::new(Bytes::from(review.to_string())))
            .map_err(|e| e.to_string())?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await.map_err(|e| e.to_string())?.to_bytes();
            if !status.is_success() {
                return Err(format!("the server answered {status}"));
            }
            serde_json::from_slice(&body).map_err(|e| format!("invalid answer: {e}"))
        };
        tokio::pin!(exchange);
        // The connection is driven by the exchange itself, so that nothing is left behind when the caller goes away.
        tokio::select! {
            answer = &mut exchange => answer,
            ended = connection => match ended {
                Ok(()) => exchange.await,
                Err(e) => Err(e.to_string()),
            },
        }
    }

    async fn batch(&self, objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ConversionError> {
        let kind = objects
            .first()
            .map(|o| format!("{}, Kind={}", o["apiVersion"].as_str().unwrap_or_default(), o["kind"].as_str().unwrap_or_default()));
        let failed = |why: String| ConversionError::Webhook { kind: kind.clone().unwrap_or_default(), why };
        let uid = fresh_uid().map_err(failed)?;
        let review = json!({
            "kind": "ConversionReview", "apiVersion": self.review,
            "request": { "uid": uid, "desiredAPIVersion": to, "objects": objects },
        });
        let call = tokio::time::timeout(PATIENCE, self.post(&review)).await;
        let mut answer = call.unwrap_or_else(|_| Err("context deadline exceeded".into())).map_err(failed)?;
        let response = &mut answer["response"];
        if response["uid"] != uid.as_str() {
            return Err(failed(format!("expected response.uid={uid:?}, got {}", response["uid"])));
        }
        if response["result"]["status"] != "Success" {
            let why = response["result"]["message"].as_str().unwrap_or("response.result.status was not 'Success'");
            return Err(failed(why.to_string()));
        }
        let mut converted = match response["convertedObjects"].take() {
            Value::Array(list) => list,
            _ => Vec::new(),
        };
        if converted.len() != objects.len() {
            return Err(ConversionError::Count { sent: objects.len(), got: converted.len() });
        }
        for (at, (before, after)) in objects.iter().zip(&mut converted).enumerate() {
            check_converted(before, after, to).map_err(|why| ConversionError::Object { at, why })?;
        }
        Ok(converted)
    }
}

#[async_trait]
impl Converter for WebhookConverter {
    async fn convert(&self, objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ConversionError> {
        let mut all = Vec::with_capacity(objects.len());
        let mut rest = objects;
        while !rest.is_empty() {
            let after = rest.split_off(rest.len().min(BATCH));
            all.extend(self.batch(rest, to).await?);
            rest = after;
        }
        Ok(all)
    }
}

fn tls_config(ca: &[u8]) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut &*ca) {
        roots.add(certificate.map_err(|e| format!("caBundle: {e}"))?).map_err(|e| format!("caBundle: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn fresh_uid() -> Result<String, String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
    let hex = hex::encode(bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
