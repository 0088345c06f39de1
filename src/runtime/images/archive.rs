//! One import: an OCI layout or what `docker save` wrote.
use super::config::{Descriptor, Manifest, parse_manifest, pick_platform};
use super::error::{ImageError, Result};
use super::fetch::verify;
use super::layers::Scratch;
use super::reference::ImageRef;
use super::{DOCUMENT_MAX, Incoming, LayerSource, Store, digest_of};
use crate::runtime::api::Image;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const FILES_MAX: usize = 100_000;
const INDEX_DEPTH: usize = 3;
/// Annotations that hold an image's name; the first is full, the second may be a mere tag.
const FULL_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The files of an archive by their names in it.
struct Bundle {
    files: BTreeMap<String, PathBuf>,
    _scratch: Option<Scratch>,
}

/// Imports every image of an archive or layout; for an index of platforms, this machine's.
pub(crate) async fn import(store: &Arc<Store>, path: &Path) -> Result<Vec<Image>> {
    let (reader, source) = (store.clone(), path.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let bundle = Bundle::open(&reader, &source)?;
        bundle.images().map(|images| (bundle, images))
    });
    let named = |error: ImageError| ImageError::Import { path: path.display().to_string(), why: error.to_string() };
    let (bundle, incoming) = opened.await.map_err(|e| named(ImageError::content(e)))?.map_err(named)?;
    let mut images = Vec::new();
    for image in incoming {
        images.push(store.take_in(image).await.map_err(named)?);
    }
    // The files are needed until the last layer is unpacked.
    drop(bundle);
    Ok(images)
}

impl Bundle {
    fn open(store: &Store, path: &Path) -> Result<Bundle> {
        if path.is_dir() {
            return Bundle::of_directory(path).map_err(|e| ImageError::io("read", path, e));
        }
        let scratch = Scratch(store.layers.staging("import"));
        let files = extract(path, &scratch.0).map_err(|e| ImageError::io("read", path, e))?;
        Ok(Bundle { files, _scratch: Some(scratch) })
    }

    fn of_directory(path: &Path) -> io::Result<Bundle> {
        let mut files = BTreeMap::new();
        for name in ["index.json", "manifest.json"] {
            if path.join(name).is_file() {
                files.insert(name.to_owned(), path.join(name));
            }
        }
        let blobs = path.join("blobs/sha256");
        if blobs.is_dir() {
            for entry in std::fs::read_dir(blobs)? {
                let entry = entry?;
                files.insert(format!("blobs/sha256/{}", entry.file_name().to_string_lossy()), entry.path());
            }
        }
        Ok(Bundle { files, _scratch: None })
    }

    fn images(&self) -> Result<Vec<Incoming>> {
        match (self.files.contains_key("index.json"), self.files.contains_key("manifest.json")) {
            (true, _) => self.oci_images(),
            (false, true) => self.docker_images(),
            (false, false) => Err(ImageError::content("neither an OCI layout nor an archive of docker save")),
        }
    }

    fn file(&self, name: &str) -> Result<&PathBuf> {
        self.files.get(name).ok_or_else(|| ImageError::content(format!("{name} is missing")))
    }

    fn document(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.file(name)?;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|e| ImageError::io("read", path, e))?;
        match bytes.len() as u64 > DOCUMENT_MAX {
            true => Err(ImageError::content(format!("{name} is too large"))),
            false => Ok(bytes),
        }
    }

    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let bytes = self.document(&blob_name(digest))?;
        verify(&bytes, digest).map(|()| bytes)
    }

    fn oci_images(&self) -> Result<Vec<Incoming>> {
        let Manifest::Index(entries) = parse_manifest(&self.document("index.json")?)? else {
            return Err(ImageError::content("index.json is not an index"));
        };
        let tags = self.docker_tags().unwrap_or_default();
        let mut found: Vec<Incoming> = Vec::new();
        for entry in &entries {
            // Attestations and other artifacts stand beside images: only what this machine can run counts.
            if entry.platform.as_ref().is_some_and(|p| p.os != "linux") {
                continue;
            }
            found.push(self.oci_image(entry, &tags)?);
        }
        Ok(found)
    }

    fn oci_image(&self, entry: &Descriptor, tags: &BTreeMap<String, Vec<String>>) -> Result<Incoming> {
        let mut manifests = Vec::new();
        let mut digest = entry.digest.clone();
        for _ in 0..INDEX_DEPTH {
            let bytes = self.blob(&digest)?;
            match parse_manifest(&bytes)? {
                Manifest::Index(entries) => digest = pick_platform(&entries)?.digest.clone(),
                Manifest::Image { config, layers } => {
                    manifests.push(bytes);
                    let mut names: Vec<ImageRef> = annotated(entry).into_iter().collect();
                    if names.is_empty() {
                        let tagged = tags.get(&config.digest).into_iter().flatten();
                        names.extend(tagged.filter_map(|tag| ImageRef::parse(tag).ok()));
                    }
                    let digests = names.iter().map(|name| name.with_digest(&entry.digest)).collect();
                    let names = names.iter().map(ImageRef::to_string).collect();
                    let layers = layers.iter().map(|layer| self.layer(layer)).collect::<Result<_>>()?;
                    return Ok(Incoming { config: self.blob(&config.digest)?, manifests, names, digests, layers });
                }
            }
            manifests.push(bytes);
        }
        Err(ImageError::content("manifest: indexes nested too deeply"))
    }

    fn layer(&self, layer: &Descriptor) -> Result<LayerSource> {
        let path = self.file(&blob_name(&layer.digest))?;
        let mut hash = Sha256::new();
        let read = std::fs::File::open(path).and_then(|mut file| io::copy(&mut file, &mut HashWriter(&mut hash)));
        read.map_err(|e| ImageError::io("read", path, e))?;
        match format!("sha256:{}", hex::encode(hash.finalize())) {
            found if found == layer.digest => Ok(LayerSource::File(path.clone())),
            found => Err(ImageError::content(format!("layer has digest {found}, expected {}", layer.digest))),
        }
    }

    fn docker_manifest(&self) -> Result<Vec<DockerImage>> {
        let bytes = self.document("manifest.json")?;
        serde_json::from_slice(&bytes).map_err(|e| ImageError::content(format!("manifest.json: {e}")))
    }

    /// Names by configuration digest, where an OCI layout has docker's file as well.
    fn docker_tags(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let images = self.docker_manifest()?;
        images.into_iter().map(|image| Ok((digest_of(&self.document(&image.config)?), image.repo_tags.unwrap_or_default()))).collect()
    }

    fn docker_images(&self) -> Result<Vec<Incoming>> {
        let image = |image: DockerImage| -> Result<Incoming> {
            let config = self.document(&image.config)?;
            let names = image.repo_tags.unwrap_or_default();
            let names = names.iter().map(|name| ImageRef::parse(name).map(|name| name.to_string())).collect::<Result<_>>()?;
            let layers = image.layers.iter().map(|layer| self.file(layer).cloned().map(LayerSource::File)).collect::<Result<_>>()?;
            Ok(Incoming { config, manifests: Vec::new(), names, digests: Vec::new(), layers })
        };
        self.docker_manifest()?.into_iter().map(image).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// The name that an index entry's annotations give. A bare tag names no image.
fn annotated(entry: &Descriptor) -> Option<ImageRef> {
    let annotations = entry.annotations.as_ref()?;
    let full = annotations.get(FULL_NAME);
    let name = full.or_else(|| annotations.get(REF_NAME).filter(|name| name.contains([':', '/'])))?;
    ImageRef::parse(name).ok()
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes an archive's files under numbers, never under their own names; links become further names.
fn extract(archive: &Path, into: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    std::fs::create_dir(into)?;
    let mut left = super::layers::budget(into);
    let mut files = BTreeMap::new();
    let mut links = BTreeMap::new();
    let mut archive = tar::Archive::new(super::unpack::decompressed(std::fs::File::open(archive)?)?);
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if number >= FILES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many files in the archive"));
        }
        let Some(name) = clean(Path::new(""), &entry.path()?) else { continue };
        let kind = entry.header().entry_type();
        if kind.is_file() {
            let place = into.join(number.to_string());
            let mut file = std::fs::File::create(&place)?;
            let size = io::copy(&mut entry.by_ref().take(left.saturating_add(1)), &mut file)?;
            left = left.checked_sub(size).ok_or_else(|| io::Error::new(io::ErrorKind::StorageFull, "not enough room for the archive"))?;
            files.insert(name, place);
        } else if kind.is_symlink() || kind.is_hard_link() {
            let base = if kind.is_symlink() { Path::new(&name).parent().unwrap_or(Path::new("")).to_owned() } else { PathBuf::new() };
            let target = entry.link_name()?.and_then(|target| clean(&base, &target));
            links.extend(target.map(|target| (name, target)));
        }
    }
    // Old versions of docker save link a layer that two images share; a link to a link does not occur.
    let aliases: Vec<(String, PathBuf)> = links.into_iter().filter_map(|(name, to)| files.get(&to).map(|f| (name, f.clone()))).collect();
    files.extend(aliases);
    Ok(files)
}

/// `path` from `base`, without `.` and `..`; `None` when it leads out of the archive.
fn clean(base: &Path, path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for component in base.components().chain(path.components()) {
        match component {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => parts.pop().map(|_| ())?,
            Component::CurDir | Component::RootDir => {}
            Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}
