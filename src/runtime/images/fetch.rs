//! One pull: manifest, configuration and layers from a registry, each checked against its digest while it arrives.
use super::config::{Descriptor, Manifest, parse_manifest, pick_platform};
use super::error::{ImageError, Result};
use super::reference::{ImageRef, mirrored};
use super::{DOCUMENT_MAX, Incoming, LayerSource, Store, digest_of};
use crate::runtime::api::{Image, RegistryAuth};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::{Client, Reference, secrets};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

const CONNECT: Duration = Duration::from_secs(15);
/// A transfer that stands still for so long has failed.
const STALLED: Duration = Duration::from_secs(60);
/// An index may lead to an index, but not for ever.
const INDEX_DEPTH: usize = 3;
const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Pulls `name` into the store.
pub(crate) async fn pull(store: &Store, name: &ImageRef, auth: Option<RegistryAuth>) -> Result<Image> {
    let target = mirrored(name, &store.mirrors).unwrap_or_else(|| name.clone());
    if target.registry == super::builtin::REGISTRY {
        let index = store.index();
        let found = index.find(&target.to_string()).and_then(|id| index.image(id));
        return found.ok_or_else(|| not_found(name));
    }
    let named = |error: ImageError| match error {
        ImageError::Pull { why, .. } => ImageError::Pull { name: name.to_string(), why },
        other => ImageError::Pull { name: name.to_string(), why: other.to_string() },
    };
    pull_from(store, name, &target, auth).await.map_err(named)
}

fn not_found(name: &ImageRef) -> ImageError {
    ImageError::Pull { name: name.to_string(), why: format!("failed to resolve reference \"{name}\": {name}: not found") }
}

async fn pull_from(store: &Store, name: &ImageRef, target: &ImageRef, auth: Option<RegistryAuth>) -> Result<Image> {
    let registry = Arc::new(Registry::new(target, auth, &store.insecure)?);
    let mut bytes = registry.manifest(&registry.reference).await?;
    let digest = digest_of(&bytes);
    let mut manifests = Vec::new();
    for _ in 0..INDEX_DEPTH {
        let (config, layers) = match parse_manifest(&bytes)? {
            Manifest::Image { config, layers } => (config, layers),
            Manifest::Index(entries) => {
                let chosen = pick_platform(&entries)?.digest.clone();
                let next = registry.manifest(&registry.reference.clone_with_digest(chosen.clone())).await?;
                verify(&next, &chosen)?;
                manifests.push(std::mem::replace(&mut bytes, next));
                continue;
            }
        };
        let config = registry.document(&config).await?;
        manifests.push(bytes);
        let layers = layers.into_iter().map(|layer| LayerSource::Registry(registry.clone(), layer)).collect();
        let names = if name.digest.is_none() { vec![name.to_string()] } else { Vec::new() };
        let digests = vec![name.with_digest(&digest)];
        return store.take_in(Incoming { config, manifests, names, digests, layers }).await;
    }
    Err(ImageError::content("manifest: indexes nested too deeply"))
}

/// Refuses bytes that are not what their digest says.
pub(crate) fn verify(bytes: &[u8], digest: &str) -> Result<()> {
    match digest_of(bytes) {
        found if found == digest => Ok(()),
        found => Err(ImageError::content(format!("content has digest {found}, expected {digest}"))),
    }
}

/// One repository at one registry, for one pull.
pub(crate) struct Registry {
    client: Client,
    reference: Reference,
    auth: secrets::RegistryAuth,
}

impl Registry {
    fn new(name: &ImageRef, auth: Option<RegistryAuth>, insecure: &[String]) -> Result<Registry> {
        // Installing the process-wide provider a second time fails harmlessly.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (registry, repository) = (name.registry.clone(), name.repository.clone());
        let reference = match (&name.digest, &name.tag) {
            (Some(digest), _) => Reference::with_digest(registry, repository, digest.clone()),
            (None, tag) => Reference::with_tag(registry, repository, tag.clone().unwrap_or_else(|| "latest".into())),
        };
        let plain = insecure.contains(&name.registry) || is_loopback(&name.registry);
        let exceptions = if plain { vec![reference.resolve_registry().to_owned()] } else { Vec::new() };
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(exceptions),
            connect_timeout: Some(CONNECT),
            read_timeout: Some(STALLED),
            user_agent: concat!("impresario/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|e| refused(name, &e))?;
        let auth = match auth {
            Some(auth) => secrets::RegistryAuth::Basic(auth.username, auth.password),
            None => secrets::RegistryAuth::Anonymous,
        };
        Ok(Registry { client, reference, auth })
    }

    async fn manifest(&self, reference: &Reference) -> Result<Vec<u8>> {
        let answer = self.client.pull_manifest_raw(reference, &self.auth, &ACCEPTED).await;
        let (bytes, _) = answer.map_err(|e| refused(&reference.whole(), &e))?;
        match bytes.len() as u64 > DOCUMENT_MAX {
            true => Err(ImageError::content(format!("manifest of {} bytes", bytes.len()))),
            false => Ok(bytes.to_vec()),
        }
    }

    /// A small blob, in memory.
    async fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if descriptor.size > DOCUMENT_MAX {
            return Err(ImageError::content(format!("image configuration of {} bytes", descriptor.size)));
        }
        let mut bytes = Vec::new();
        self.transfer(descriptor, &mut bytes).await?;
        Ok(bytes)
    }

    /// A layer, into a file.
    pub(crate) async fn blob(&self, descriptor: &Descriptor, place: &Path) -> Result<()> {
        let room = place.parent().map_or(0, super::layers::budget);
        if descriptor.size > room {
            return Err(ImageError::content(format!("layer of {} bytes; this node has room for {room}", descriptor.size)));
        }
        let mut file = tokio::fs::File::create(place).await.map_err(|e| ImageError::io("write", place, e))?;
        self.transfer(descriptor, &mut file).await?;
        file.flush().await.map_err(|e| ImageError::io("write", place, e))
    }

    async fn transfer(&self, descriptor: &Descriptor, to: impl AsyncWrite + Unpin) -> Result<()> {
        let asked = OciDescriptor { digest: descriptor.digest.clone(), size: descriptor.size as i64, ..OciDescriptor::default() };
        let mut to = Bounded { to, left: descriptor.size };
        self.client.pull_blob(&self.reference, &asked, &mut to).await.map_err(|e| refused(&descriptor.digest, &e))?;
        match to.left {
            0 => Ok(()),
            left => Err(ImageError::content(format!("{}: {left} bytes less than the manifest says", descriptor.digest))),
        }
    }
}

/// Registries on this machine are spoken to in plain HTTP, as Docker does.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => registry,
    };
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The registry's refusal, in containerd's words where it has some.
fn refused(what: &impl std::fmt::Display, error: &OciDistributionError) -> ImageError {
    use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
    let why = match error {
        OciDistributionError::RegistryError { envelope, .. }
            if envelope.errors.iter().any(|e| matches!(e.code, ManifestUnknown | NameUnknown | NotFound)) =>
        {
            format!("failed to resolve reference \"{what}\": {what}: not found")
        }
        OciDistributionError::ServerError { code: 404, .. } | OciDistributionError::ImageManifestNotFoundError(_) => {
            format!("failed to resolve reference \"{what}\": {what}: not found")
        }
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
            format!("failed to resolve reference \"{what}\": pull access denied, repository does not exist or may require authorization")
        }
        other => format!("{what}: {}", chain(other)),
    };
    ImageError::Pull { name: what.to_string(), why }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text = format!("{text}: {source_text}");
        }
        next = source.source();
    }
    text
}

/// Takes no more than was announced.
struct Bounded<W> {
    to: W,
    left: u64,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Bounded<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.len() as u64 > self.left {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than the manifest says")));
        }
        let written = std::task::ready!(Pin::new(&mut self.to).poll_write(context, bytes))?;
        self.left -= written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(context)
    }
}
