//! A kubeconfig, as far as a load generator needs it: the current context's server, its CA, and a client certificate or
//! a token.
use crate::storage::pki::tls::provider;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a kubeconfig cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum KubeconfigError {
    #[error("cannot read the kubeconfig {0}: {1}")]
    Read(PathBuf, std::io::Error),
    #[error("{0} is not a kubeconfig: {1}")]
    Parse(PathBuf, serde_yaml::Error),
    #[error("the kubeconfig {0} cannot be used: {1}")]
    Unusable(PathBuf, String),
}

/// How to reach a cluster, and as whom.
pub(in crate::cli) struct Access {
    /// As written: `https://10.0.0.1:6443`.
    pub server: String,
    pub host: String,
    pub port: u16,
    /// `host:port`, for the `Host` header.
    pub authority: String,
    /// In front of every path; mostly empty.
    pub prefix: String,
    /// `None` for plain HTTP (`kubectl proxy`).
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// `Bearer …`
    pub authorization: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: Credentials,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Credentials {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    // Spelled in camel case there, unlike everything around it.
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    exec: Option<serde_yaml::Value>,
}

impl Access {
    /// Reads a kubeconfig's current context.
    pub fn load(path: &Path) -> Result<Access, KubeconfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| KubeconfigError::Read(path.into(), e))?;
        Access::parse(&text, path)
    }

    /// The text of a kubeconfig; `path` is for messages and for the files that it names.
    pub fn parse(text: &str, path: &Path) -> Result<Access, KubeconfigError> {
        let file: File = serde_yaml::from_str(text).map_err(|e| KubeconfigError::Parse(path.into(), e))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        access(&file, folder).map_err(|why| KubeconfigError::Unusable(path.into(), why))
    }
}

fn access(file: &File, folder: &Path) -> Result<Access, String> {
    let named = &file.current_context;
    if named.is_empty() {
        return Err("it has no current-context".into());
    }
    let context = file.contexts.iter().find(|c| c.name == *named).ok_or_else(|| format!("there is no context \"{named}\""))?;
    let context = &context.context;
    let cluster = file.clusters.iter().find(|c| c.name == context.cluster);
    let cluster = &cluster.ok_or_else(|| format!("there is no cluster \"{}\"", context.cluster))?.cluster;
    let nobody = Credentials::default();
    let user = match context.user.as_str() {
        "" => &nobody,
        name => &file.users.iter().find(|u| u.name == name).ok_or_else(|| format!("there is no user \"{name}\""))?.user,
    };
    if user.exec.is_some() {
        return Err("credentials from a program (exec) are not supported; use a client certificate or a token".into());
    }
    let (secure, host, port, prefix) = split(&cluster.server)?;
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let tls = match secure {
        true => Some((tls(cluster, user, folder)?, server_name(cluster.tls_server_name.as_deref().unwrap_or(&host))?)),
        false => None,
    };
    let authorization = token(user, folder)?.map(|token| format!("Bearer {token}"));
    Ok(Access { server: cluster.server.clone(), host, port, authority, prefix, tls, authorization })
}

/// Scheme, host, port and path of a server's URL.
fn split(server: &str) -> Result<(bool, String, u16, String), String> {
    let bad = || format!("\"{server}\" is not the URL of a server");
    let uri: http::Uri = server.parse().map_err(|_| bad())?;
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(bad()),
    };
    let host = uri.host().ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']').to_string();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    Ok((secure, host, port, uri.path().trim_end_matches('/').to_string()))
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_string()).map_err(|_| format!("\"{host}\" is not a name that a certificate can have"))
}

fn token(user: &Credentials, folder: &Path) -> Result<Option<String>, String> {
    match (&user.token, &user.token_file) {
        (Some(token), _) if !token.trim().is_empty() => Ok(Some(token.trim().to_string())),
        (_, Some(path)) => {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            Ok(Some(text.trim().to_string()))
        }
        _ => Ok(None),
    }
}

/// What is embedded, or what is in the file that is named beside it.
fn pem(what: &str, data: Option<&String>, path: Option<&PathBuf>, folder: &Path) -> Result<Option<Vec<u8>>, String> {
    if let Some(data) = data {
        let compact: String = data.split_whitespace().collect();
        return STANDARD.decode(compact).map(Some).map_err(|e| format!("{what}-data is not base64: {e}"));
    }
    let Some(path) = path else { return Ok(None) };
    let path = folder.join(path);
    std::fs::read(&path).map(Some).map_err(|e| format!("{what}: {}: {e}", path.display()))
}

fn tls(cluster: &Cluster, user: &Credentials, folder: &Path) -> Result<Arc<ClientConfig>, String> {
    if cluster.insecure_skip_tls_verify {
        return Err("insecure-skip-tls-verify is not supported; name the cluster's certificate authority".into());
    }
    let ca = pem("certificate-authority", cluster.certificate_authority_data.as_ref(), cluster.certificate_authority.as_ref(), folder)?;
    let ca = ca.ok_or("it names no certificate-authority for the cluster")?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&ca) {
        let certificate = certificate.map_err(|e| format!("certificate-authority: {e}"))?;
        roots.add(certificate).map_err(|e| format!("certificate-authority: {e}"))?;
    }
    if roots.is_empty() {
        return Err("certificate-authority holds no certificate".into());
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| format!("TLS cannot be set up: {e}"))?.with_root_certificates(roots);
    let certificate = pem("client-certificate", user.client_certificate_data.as_ref(), user.client_certificate.as_ref(), folder)?;
    let key = pem("client-key", user.client_key_data.as_ref(), user.client_key.as_ref(), folder)?;
    let mut config = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
            let chain = chain.map_err(|e| format!("client-certificate: {e}"))?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| format!("client-key: {e}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| format!("client-certificate: {e}"))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err("client-certificate and client-key belong together; one is missing".into()),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
