//! The node's images: fetched or imported, verified, unpacked once per layer, mounted for containers.
//!
//! | file | what it does |
//! |---|---|
//! | `reference` | names, and the rules that send them elsewhere |
//! | `config` | what is read from manifests and configurations |
//! | `index` | which images and layers there are |
//! | `fetch` | one pull from a registry |
//! | `archive` | one import of an OCI layout or a `docker save` archive |
//! | `layers`, `unpack` | a packed layer to a directory, in a helper process |
//! | `rootfs` | overlayfs |
//! | `builtin`, `kubia` | the image that needs no registry |
//!
//! An image's id is the digest of its configuration, which names the digests of the unpacked layers: content is verified against those
//! whatever way it came, and a layer that is on the node is never fetched again.
mod archive;
mod builtin;
mod config;
mod error;
mod fetch;
mod index;
pub mod kubia;
mod layers;
mod reference;
mod rootfs;
mod unpack;

pub use config::{ImageConfig, architecture};
pub use error::{ImageError, Result};
pub use kubia::kubia_main;
pub use reference::{ImageRef, MirrorRule, mirrored};
pub use unpack::unpack_main;

// What the fuzz targets reach besides.
#[cfg(test)]
pub(crate) use {config::parse_manifest, unpack::inside};

use crate::runtime::api::{Image, RegistryAuth};
pub(crate) use config::parse_config;
use config::{ConfigBlob, Descriptor};
use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use futures_util::{StreamExt, TryStreamExt};
use index::{ImageRecord, Index, LayerRecord, Paths};
use layers::Layers;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Layers of one image that are fetched at once, as containerd does.
const LAYERS_AT_ONCE: usize = 3;
/// Manifests and configurations are small; more is refused. Bytes.
const DOCUMENT_MAX: u64 = 8 << 20;

type Pull = Shared<BoxFuture<'static, Result<Image>>>;
type PullKey = (String, Option<(String, String)>);

/// The image store of one node. Cheap to clone.
#[derive(Clone)]
pub struct Images {
    store: Arc<Store>,
}

pub(crate) struct Store {
    paths: Paths,
    program: PathBuf,
    mirrors: Vec<MirrorRule>,
    insecure: Vec<String>,
    index: Mutex<Index>,
    layers: Layers,
    pulls: Mutex<HashMap<PullKey, WeakShared<BoxFuture<'static, Result<Image>>>>>,
    /// Held for reading while an image is added, for writing while one is removed: a layer found present stays until it is referenced.
    gate: tokio::sync::RwLock<()>,
}

impl Images {
    /// Opens or makes the store in `dir`. `program` is this executable: it unpacks layers and is the content of the built-in image.
    pub fn new(dir: impl Into<PathBuf>, mirrors: Vec<MirrorRule>, program: PathBuf) -> Result<Images> {
        Images::with_insecure(dir, mirrors, program, Vec::new())
    }

    /// As [`Images::new`], with registries (`host:port`) that speak plain HTTP. Loopback registries always do.
    pub fn with_insecure(dir: impl Into<PathBuf>, mirrors: Vec<MirrorRule>, program: PathBuf, insecure: Vec<String>) -> Result<Images> {
        let paths = Paths { root: dir.into() };
        layers::remove_tree(&paths.staging())?;
        for directory in [paths.blobs(), paths.links().join("empty"), paths.staging()] {
            std::fs::create_dir_all(&directory).map_err(|e| ImageError::io("create", &directory, e))?;
        }
        let index = Mutex::new(Index::load(&paths.index())?);
        let layers = Layers::new(paths.clone(), program.clone());
        let gate = tokio::sync::RwLock::new(());
        let store = Arc::new(Store { paths, program, mirrors, insecure, index, layers, pulls: Mutex::default(), gate });
        store.drop_unaccounted()?;
        if let Err(e) = builtin::ensure(&store) {
            tracing::warn!(error = %e, "the built-in image could not be made");
        }
        Ok(Images { store })
    }

    /// The image of this name, digest reference or id, if it is on the node; a mirror rule's target counts.
    pub fn find(&self, name: &str) -> Option<Image> {
        let index = self.store.index();
        if let Some(image) = index.find(name).and_then(|id| index.image(id)) {
            return Some(image);
        }
        let parsed = ImageRef::parse(name).ok()?;
        let by = |name: &ImageRef| index.find(&name.to_string()).and_then(|id| index.image(id));
        by(&parsed).or_else(|| mirrored(&parsed, &self.store.mirrors).and_then(|target| by(&target)))
    }

    /// Pulls an image. Simultaneous pulls of one name with the same credentials share one transfer, which ends when nobody waits for it.
    pub async fn pull(&self, name: &str, auth: Option<RegistryAuth>) -> Result<Image> {
        let name = ImageRef::parse(name)?;
        let key = (name.to_string(), auth.as_ref().map(|auth| (auth.username.clone(), auth.password.clone())));
        let pull: Pull = {
            let mut pulls = self.store.pulls.lock().unwrap_or_else(PoisonError::into_inner);
            pulls.retain(|_, pull| pull.upgrade().is_some_and(|pull| pull.peek().is_none()));
            match pulls.get(&key).and_then(WeakShared::upgrade) {
                Some(pull) => pull,
                None => {
                    let store = self.store.clone();
                    let pull = async move { fetch::pull(&store, &name, auth).await }.boxed().shared();
                    pulls.extend(pull.downgrade().map(|weak| (key, weak)));
                    pull
                }
            }
        };
        pull.await
    }

    /// Imports an OCI layout (a directory or a tar) or a `docker save` tar; tars may be compressed.
    pub async fn import(&self, path: &Path) -> Result<Vec<Image>> {
        archive::import(&self.store, path).await
    }

    /// Every image on the node.
    pub fn list(&self) -> Vec<Image> {
        let index = self.store.index();
        index.images.keys().filter_map(|id| index.image(id)).collect()
    }

    /// Removes an image and the layers that no other image has. The caller makes sure that no container uses it.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let _gate = self.store.gate.write().await;
        let gone = {
            let mut index = self.store.index();
            let mut next = index.clone();
            let manifests = next.images.get(id).ok_or_else(|| ImageError::Unknown(id.to_owned()))?.manifests.clone();
            let layers = next.remove(id);
            next.save(&self.store.paths.index())?;
            *index = next;
            (manifests, layers)
        };
        for digest in gone.0.iter().map(String::as_str).chain([id]) {
            let blob = self.store.paths.blob(digest);
            if let Err(e) = std::fs::remove_file(&blob)
                && e.kind() != std::io::ErrorKind::NotFound
            {
                return Err(ImageError::io("remove", &blob, e));
            }
        }
        for (diff_id, layer) in gone.1 {
            let _ = std::fs::remove_file(self.store.paths.links().join(layer.number.to_string()));
            layers::remove_tree(&self.store.paths.layer(&diff_id))?;
        }
        Ok(())
    }

    /// What the image says about the process to run.
    pub fn config(&self, id: &str) -> Result<ImageConfig> {
        if !self.store.index().images.contains_key(id) {
            return Err(ImageError::Unknown(id.to_owned()));
        }
        let path = self.store.paths.blob(id);
        let bytes = std::fs::read(&path).map_err(|e| ImageError::io("read", &path, e))?;
        Ok(parse_config(&bytes)?.process)
    }

    /// Mounts the image for one container: `container_dir/rootfs`, with what the container writes beside it.
    pub fn rootfs(&self, id: &str, container_dir: &Path) -> Result<PathBuf> {
        // The index stays locked over the mount, so that a removal cannot come between.
        let index = self.store.index();
        let image = index.images.get(id).ok_or_else(|| ImageError::Unknown(id.to_owned()))?;
        let link = |layer: &String| index.layers.get(layer).map(|layer| layer.number.to_string());
        let links = image.layers.iter().map(link).collect::<Option<Vec<_>>>().ok_or_else(|| ImageError::Unknown(id.to_owned()))?;
        rootfs::mount_overlay(&self.store.paths.links(), &distinct(links), container_dir)
    }

    /// Undoes [`Images::rootfs`]; nothing mounted is no error.
    pub fn unmount_rootfs(&self, container_dir: &Path) -> Result<()> {
        rootfs::unmount_overlay(container_dir)
    }
}

/// overlayfs refuses a directory that stands twice among its layers, as the empty layer of some builders does. The upper one decides.
fn distinct(links: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut kept: Vec<String> = links.into_iter().rev().filter(|link| seen.insert(link.clone())).collect();
    kept.reverse();
    kept
}

/// `sha256:…` of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Where a layer comes from when it is not on the node.
#[derive(Clone)]
pub(crate) enum LayerSource {
    /// A file that is already there.
    File(PathBuf),
    Registry(Arc<fetch::Registry>, Descriptor),
}

/// An image about to enter the store.
pub(crate) struct Incoming {
    pub config: Vec<u8>,
    /// Documents that led to the configuration: index and manifest.
    pub manifests: Vec<Vec<u8>>,
    pub names: Vec<String>,
    pub digests: Vec<String>,
    /// Lowest first, one for each diff id.
    pub layers: Vec<LayerSource>,
}

impl Store {
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an image in: its missing layers first, then its documents, then its entry in the index.
    pub(crate) async fn take_in(&self, incoming: Incoming) -> Result<Image> {
        let _gate = self.gate.read().await;
        let ConfigBlob { process, diff_ids } = parse_config(&incoming.config)?;
        if diff_ids.len() != incoming.layers.len() {
            let (says, has) = (diff_ids.len(), incoming.layers.len());
            return Err(ImageError::content(format!("the image's configuration names {says} layers, its manifest {has}")));
        }
        let mut wanted: Vec<BoxFuture<'_, Result<()>>> = Vec::new();
        for (diff_id, source) in diff_ids.iter().zip(&incoming.layers) {
            wanted.push(self.ensure_layer(diff_id, source).boxed());
        }
        futures_util::stream::iter(wanted).buffer_unordered(LAYERS_AT_ONCE).try_collect::<Vec<()>>().await?;
        let id = digest_of(&incoming.config);
        self.keep_document(&incoming.config)?;
        let mut manifests = BTreeSet::new();
        for manifest in &incoming.manifests {
            manifests.insert(self.keep_document(manifest)?);
        }
        let record = ImageRecord {
            names: incoming.names.into_iter().collect(),
            digests: incoming.digests.into_iter().collect(),
            layers: diff_ids,
            manifests,
            user: process.user,
        };
        self.change(|index| index.add(&id, record))?;
        self.index().image(&id).ok_or(ImageError::Unknown(id))
    }

    /// Changes the index on disk, then in memory.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Index)) -> Result<()> {
        let mut index = self.index();
        let mut next = index.clone();
        change(&mut next);
        if next != *index {
            next.save(&self.paths.index())?;
            *index = next;
        }
        Ok(())
    }

    async fn ensure_layer(&self, diff_id: &str, source: &LayerSource) -> Result<()> {
        let _turn = self.layers.turn(diff_id).await;
        if self.index().layers.contains_key(diff_id) {
            return Ok(());
        }
        let size = match source {
            LayerSource::File(path) => self.layers.unpack(path, diff_id).await?,
            LayerSource::Registry(registry, descriptor) => {
                let scratch = layers::Scratch(self.layers.staging("blob"));
                registry.blob(descriptor, &scratch.0).await?;
                self.layers.unpack(&scratch.0, diff_id).await?
            }
        };
        self.link_layer(diff_id, size)
    }

    /// Gives an unpacked layer its short name and its entry.
    pub(crate) fn link_layer(&self, diff_id: &str, size: u64) -> Result<()> {
        let number = {
            let mut index = self.index();
            index.next += 1;
            index.next
        };
        let link = self.paths.links().join(number.to_string());
        let name = self.paths.layer(diff_id).file_name().map(PathBuf::from).unwrap_or_default();
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(Path::new("..").join(name), &link).map_err(|e| ImageError::io("create", &link, e))?;
        self.change(|index| {
            index.layers.insert(diff_id.to_owned(), LayerRecord { size, number });
        })
    }

    /// Writes a blob under its digest.
    pub(crate) fn keep_document(&self, bytes: &[u8]) -> Result<String> {
        let digest = digest_of(bytes);
        let place = self.paths.blob(&digest);
        if !place.exists() {
            let scratch = layers::Scratch(self.layers.staging("document"));
            std::fs::write(&scratch.0, bytes).map_err(|e| ImageError::io("write", &scratch.0, e))?;
            std::fs::rename(&scratch.0, &place).map_err(|e| ImageError::io("write", &place, e))?;
        }
        Ok(digest)
    }

    /// Removes layers that a killed process unpacked but did not enter, and entries whose directory is gone.
    fn drop_unaccounted(&self) -> Result<()> {
        let paths = &self.paths;
        self.change(|index| {
            index.layers.retain(|diff_id, _| paths.layer(diff_id).is_dir());
            let layers = &index.layers;
            index.images.retain(|id, image| paths.blob(id).is_file() && image.layers.iter().all(|layer| layers.contains_key(layer)));
        })?;
        let (known, links): (BTreeSet<PathBuf>, BTreeSet<String>) = {
            let index = self.index();
            let known = index.layers.keys().map(|diff_id| paths.layer(diff_id)).chain([paths.links()]).collect();
            (known, index.layers.values().map(|layer| layer.number.to_string()).chain(["empty".to_owned()]).collect())
        };
        for entry in entries(&paths.layers())?.into_iter().filter(|path| !known.contains(path)) {
            layers::remove_tree(&entry)?;
        }
        for entry in entries(&paths.links())? {
            if entry.file_name().and_then(|name| name.to_str()).is_some_and(|name| !links.contains(name)) {
                let _ = std::fs::remove_file(&entry);
            }
        }
        Ok(())
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>();
    read().map_err(|e| ImageError::io("read", directory, e))
}
