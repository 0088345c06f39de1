//! Layers: each unpacked once per diff id, however many pulls want it, by the helper process.
use super::error::{ImageError, Result};
use super::index::Paths;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// The most that one layer may hold unpacked; a full disk refuses earlier.
const LAYER_MAX: u64 = 64 << 30;
/// Unpackers at once: they are bound by CPU.
const UNPACKERS: usize = 2;

/// Makes layer directories.
pub struct Layers {
    paths: Paths,
    program: PathBuf,
    slots: Semaphore,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    serial: AtomicU64,
}

impl Layers {
    pub fn new(paths: Paths, program: PathBuf) -> Self {
        Layers { paths, program, slots: Semaphore::new(UNPACKERS), turns: Mutex::default(), serial: AtomicU64::new(0) }
    }

    /// A name in the staging directory that nobody else has.
    pub fn staging(&self, what: &str) -> PathBuf {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.paths.staging().join(format!("{what}-{}-{serial}", std::process::id()))
    }

    /// Waits for the turn of this layer: the one who holds it may fetch and unpack it, the others find it done.
    pub async fn turn(&self, diff_id: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(diff_id.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// Unpacks a packed layer to its place; answers with its size. Whatever goes wrong leaves nothing behind.
    pub async fn unpack(&self, blob: &Path, diff_id: &str) -> Result<u64> {
        let _slot = self.slots.acquire().await.map_err(ImageError::content)?;
        let temporary = self.staging("layer");
        std::fs::create_dir(&temporary).map_err(|e| ImageError::io("create", &temporary, e))?;
        let scratch = Scratch(temporary.clone());
        std::fs::set_permissions(&temporary, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(|e| ImageError::io("create", &temporary, e))?;
        let size = self.run(blob, &temporary, diff_id).await?;
        let place = self.paths.layer(diff_id);
        // Left by a process that died before it wrote the index: complete, but unaccounted for.
        if place.exists() {
            remove_tree(&place)?;
        }
        std::fs::rename(&temporary, &place).map_err(|e| ImageError::io("create", &place, e))?;
        drop(scratch);
        Ok(size)
    }

    async fn run(&self, blob: &Path, directory: &Path, diff_id: &str) -> Result<u64> {
        let output = tokio::process::Command::new(&self.program)
            .arg("unpack")
            .arg(blob)
            .arg(directory)
            .arg(diff_id)
            .arg(budget(directory).to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|e| ImageError::io("run", &self.program, e))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().chars().take(1000).collect::<String>();
            let said = if said.is_empty() { format!("unpack helper: {}", output.status) } else { said };
            return Err(ImageError::content(format!("layer {diff_id}: {said}")));
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        printed.trim().parse().map_err(|e| ImageError::content(format!("unpack helper said {printed:?}: {e}")))
    }
}

/// What a layer may take: nine tenths of the free space.
pub(super) fn budget(directory: &Path) -> u64 {
    let free = nix::sys::statvfs::statvfs(directory).map(|fs| fs.blocks_available() * fs.fragment_size());
    free.map_or(LAYER_MAX, |free| (free / 10 * 9).min(LAYER_MAX))
}

/// Removes a directory tree that may not be there.
pub fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ImageError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// A file or directory that goes away with its owner.
pub struct Scratch(pub PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Gone already when it was moved to its place; whatever cannot be removed now is removed at the next start.
        let is_dir = self.0.is_dir();
        let _ = if is_dir { std::fs::remove_dir_all(&self.0) } else { std::fs::remove_file(&self.0) };
    }
}
