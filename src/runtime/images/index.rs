//! The store's directory of images and layers: one JSON file, replaced as a whole.
use super::error::{ImageError, Result};
use crate::runtime::api::Image;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    pub names: BTreeSet<String>,
    pub digests: BTreeSet<String>,
    /// Diff ids, lowest layer first.
    pub layers: Vec<String>,
    /// Digests of the manifests kept in `blobs`.
    pub manifests: BTreeSet<String>,
    pub user: String,
}

/// One unpacked layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Bytes of file content.
    pub size: u64,
    /// The name of its short link; overlayfs options must fit one page.
    pub number: u64,
}

/// Everything the store knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// By image id.
    pub images: BTreeMap<String, ImageRecord>,
    /// By diff id.
    pub layers: BTreeMap<String, LayerRecord>,
    /// The number the next layer gets.
    pub next: u64,
}

impl Index {
    /// Reads the index; a missing file is an empty index.
    pub fn load(path: &Path) -> Result<Index> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| ImageError::io("read", path, e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Index::default()),
            Err(e) => Err(ImageError::io("read", path, e)),
        }
    }

    /// Writes the index beside its place and moves it there.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|e| ImageError::io("write", path, e))?;
        let temporary = path.with_extension("tmp");
        let write = || -> std::io::Result<()> {
            use std::io::Write;
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|e| ImageError::io("write", path, e))
    }

    /// Adds an image, or names to one that is there. A name moves from the image that had it.
    pub fn add(&mut self, id: &str, record: ImageRecord) {
        for other in self.images.values_mut() {
            other.names.retain(|name| !record.names.contains(name));
        }
        let known = self.images.entry(id.to_owned()).or_default();
        known.names.extend(record.names);
        known.digests.extend(record.digests);
        known.manifests.extend(record.manifests);
        known.layers = record.layers;
        known.user = record.user;
    }

    /// Removes an image; answers with the layers nobody needs any more.
    pub fn remove(&mut self, id: &str) -> Vec<(String, LayerRecord)> {
        let Some(gone) = self.images.remove(id) else { return Vec::new() };
        let needed: BTreeSet<&String> = self.images.values().flat_map(|image| &image.layers).collect();
        let orphans: BTreeSet<String> = gone.layers.into_iter().filter(|layer| !needed.contains(layer)).collect();
        orphans.into_iter().filter_map(|layer| self.layers.remove_entry(&layer)).collect()
    }

    /// The id of the image that has this name, digest reference or id.
    pub fn find(&self, name: &str) -> Option<&str> {
        let known = |(id, image): &(&String, &ImageRecord)| *id == name || image.names.contains(name) || image.digests.contains(name);
        self.images.iter().find(known).map(|(id, _)| id.as_str())
    }

    /// The image as the node's actors see it.
    pub fn image(&self, id: &str) -> Option<Image> {
        let record = self.images.get(id)?;
        let layers: BTreeSet<&String> = record.layers.iter().collect();
        Some(Image {
            id: id.to_owned(),
            names: record.names.iter().cloned().collect(),
            digests: record.digests.iter().cloned().collect(),
            size: layers.iter().filter_map(|layer| self.layers.get(*layer)).map(|layer| layer.size).sum(),
            user: record.user.clone(),
        })
    }
}

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Paths {
    pub root: PathBuf,
}

impl Paths {
    pub fn index(&self) -> PathBuf {
        self.root.join("images.json")
    }
    /// `blobs/sha256`: configurations and manifests. Layers are not kept packed.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }
    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }
    /// Numbered links to the layers, and `empty` for images without any.
    pub fn links(&self) -> PathBuf {
        self.root.join("layers/l")
    }
    /// Downloads and half unpacked layers; emptied at start.
    pub fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }
    /// The blob of a digest that [`super::reference::is_digest`] accepted.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.blobs().join(hex_of(digest))
    }
    pub fn layer(&self, diff_id: &str) -> PathBuf {
        self.layers().join(hex_of(diff_id))
    }
}

fn hex_of(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(names: &[&str], layers: &[&str]) -> ImageRecord {
        let text = |all: &[&str]| all.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        ImageRecord { names: text(names).into_iter().collect(), layers: text(layers), ..Default::default() }
    }

    #[test]
    fn a_name_moves_and_shared_layers_stay() {
        let mut index = Index::default();
        for layer in ["a", "b", "c"] {
            index.layers.insert(layer.into(), LayerRecord { size: 1, number: 0 });
        }
        index.add("one", record(&["x:latest", "x:1"], &["a", "b"]));
        index.add("two", record(&["x:latest"], &["a", "c"]));
        assert_eq!(index.find("x:latest"), Some("two"));
        assert_eq!(index.find("x:1"), Some("one"));
        let gone: Vec<String> = index.remove("one").into_iter().map(|(layer, _)| layer).collect();
        assert_eq!(gone, ["b"]);
        assert_eq!(index.image("two").unwrap().size, 2);
    }
}
