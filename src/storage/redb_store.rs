//! The default store: one redb file in the data directory.
//!
//! Every commit is one transaction, synced, with the file ready to be opened at once after a crash (`quick repair`). The last revision
//! lies in the same transaction as the records, so the number line survives deletions and restarts.
use super::record::Record;
use super::redb_file::{self as file, NUMBERS, OBJECTS, REVISION};
use super::store::{Backup, Store, StoreError, StoreWrite};
use crate::protocol::meta::ObjectKey;
use nix::sys::statvfs::statvfs;
use redb::{Database, Durability, ReadableDatabase, ReadableTable};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store's file within the data directory.
const FILE: &str = "store.redb";
/// Held for as long as the store is open; its content means nothing.
const LOCK: &str = "store.lock";
/// Free disk below which writes are refused, so that the file is never caught half-grown. Deletions may use three quarters of it.
const RESERVE: u64 = 32 << 20;
/// Files below this size are never compacted at start.
const COMPACT_FROM: u64 = 64 << 20;
/// A file this many times the size of what is in it gets compacted at start.
const COMPACT_RATIO: u64 = 3;

/// A store in a redb file. The data directory is locked for its lifetime.
pub struct RedbStore {
    directory: PathBuf,
    path: PathBuf,
    /// `None` while reopening has failed.
    database: Option<Database>,
    cluster: String,
    revision: u64,
    reserve: u64,
    _lock: File,
}

impl RedbStore {
    /// Opens the store of a data directory; makes directory and store where there are none.
    pub fn open(directory: &Path) -> Result<RedbStore, StoreError> {
        file::make_directory(directory)?;
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        if !path.try_exists().map_err(|e| StoreError::io(format!("looking for {}", path.display()), e))? {
            file::create(&path, &file::new_cluster_id()?)?;
        }
        let opened = file::open(&path)?;
        Ok(RedbStore {
            directory: directory.into(),
            path,
            database: Some(opened.database),
            cluster: opened.cluster,
            revision: opened.revision,
            reserve: RESERVE,
            _lock: lock,
        })
    }

    /// The cluster's id, given when the store was made: 32 hexadecimal digits.
    pub fn cluster_id(&self) -> &str {
        &self.cluster
    }

    /// Another reserve of free disk, in bytes.
    #[cfg(test)]
    pub(super) fn with_reserve(self, reserve: u64) -> Self {
        RedbStore { reserve, ..self }
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Engine("it is closed after an earlier failure".into()))
    }

    /// Refuses while the disk is still good for what redb needs to stay whole.
    fn check_space(&self, deletions_only: bool) -> Result<(), StoreError> {
        let disk = statvfs(&self.directory)
            .map_err(|e| StoreError::io(format!("asking for the free space of {}", self.directory.display()), e.into()))?;
        // The types differ between platforms.
        #[allow(clippy::unnecessary_cast)]
        let free = disk.blocks_available() as u64 * disk.fragment_size() as u64;
        let needed = if deletions_only { self.reserve / 4 } else { self.reserve };
        if free < needed { Err(StoreError::Full { path: self.directory.clone(), free }) } else { Ok(()) }
    }

    fn transact(&self, writes: &[StoreWrite]) -> Result<Vec<u64>, StoreError> {
        let mut transaction = self.database()?.begin_write().map_err(file::engine)?;
        transaction.set_durability(Durability::Immediate).map_err(file::engine)?;
        transaction.set_quick_repair(true);
        let mut revisions = Vec::with_capacity(writes.len());
        {
            let mut objects = transaction.open_table(OBJECTS).map_err(file::engine)?;
            let mut revision = self.revision;
            for write in writes {
                revision += 1;
                revisions.push(revision);
                let at = (&*write.shelf, &*write.key.namespace, &*write.key.name);
                match &write.record {
                    Some((splice, body)) => {
                        let record = Record { revision, splice: *splice, body: body.clone() };
                        objects.insert(at, record.encode()?.as_slice()).map_err(file::engine)?;
                    }
                    None => {
                        objects.remove(at).map_err(file::engine)?;
                    }
                }
            }
            let mut numbers = transaction.open_table(NUMBERS).map_err(file::engine)?;
            numbers.insert(REVISION, revision).map_err(file::engine)?;
        }
        transaction.commit().map_err(file::engine)?;
        Ok(revisions)
    }

    /// The file never shrinks by itself. Worth it only when most of a large file is empty.
    fn compact(&mut self, live: u64) {
        let size = fs::metadata(&self.path).map_or(0, |m| m.len());
        if size < COMPACT_FROM || size < live.saturating_mul(COMPACT_RATIO) {
            return;
        }
        if let Some(database) = &mut self.database {
            match database.compact() {
                Ok(_) => {
                    let after = fs::metadata(&self.path).map_or(0, |m| m.len());
                    tracing::info!("compacted the store from {} to {} MiB", size >> 20, after >> 20);
                }
                // Not compacting loses nothing.
                Err(error) => tracing::warn!("the store could not be compacted: {error}"),
            }
        }
    }
}

impl Store for RedbStore {
    fn load(&mut self, each: &mut dyn FnMut(&str, ObjectKey, Record)) -> Result<u64, StoreError> {
        let mut live = 0;
        {
            let transaction = self.database()?.begin_read().map_err(file::engine)?;
            let objects = transaction.open_table(OBJECTS).map_err(file::engine)?;
            for row in objects.iter().map_err(file::engine)? {
                let (at, value) = row.map_err(file::engine)?;
                let (shelf, namespace, name) = at.value();
                live += (shelf.len() + namespace.len() + name.len() + value.value().len()) as u64;
                let record = Record::decode(value.value(), || format!("{shelf} {namespace}/{name}"))?;
                each(shelf, ObjectKey::new(namespace, name), record);
            }
        }
        self.compact(live);
        Ok(self.revision)
    }

    fn commit(&mut self, writes: &[StoreWrite]) -> Result<Vec<u64>, StoreError> {
        self.check_space(writes.iter().all(|write| write.record.is_none()))?;
        let revisions = self.transact(writes)?;
        self.revision = revisions.last().copied().unwrap_or(self.revision);
        Ok(revisions)
    }

    fn rewrite(&mut self, records: &[(Arc<str>, ObjectKey, Record)]) -> Result<(), StoreError> {
        self.check_space(false)?;
        let mut transaction = self.database()?.begin_write().map_err(file::engine)?;
        transaction.set_durability(Durability::Immediate).map_err(file::engine)?;
        transaction.set_quick_repair(true);
        {
            let mut objects = transaction.open_table(OBJECTS).map_err(file::engine)?;
            for (shelf, key, record) in records {
                let at = (&**shelf, &*key.namespace, &*key.name);
                objects.insert(at, record.encode()?.as_slice()).map_err(file::engine)?;
            }
        }
        transaction.commit().map_err(file::engine)
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        // Closed first: the file is locked while it is open.
        self.database = None;
        let opened = file::open(&self.path)?;
        if opened.cluster != self.cluster {
            return Err(StoreError::NotOurs { path: self.path.clone(), why: "it was replaced by another cluster's".into() });
        }
        self.database = Some(opened.database);
        self.revision = opened.revision;
        Ok(())
    }

    fn read(&mut self, shelf: &str, key: &ObjectKey) -> Result<Option<Record>, StoreError> {
        let transaction = self.database()?.begin_read().map_err(file::engine)?;
        let objects = transaction.open_table(OBJECTS).map_err(file::engine)?;
        let value = objects.get((shelf, &*key.namespace, &*key.name)).map_err(file::engine)?;
        value.map(|value| Record::decode(value.value(), || format!("{shelf} {key}"))).transpose()
    }

    fn last_revision(&mut self) -> Result<u64, StoreError> {
        self.database()?;
        Ok(self.revision)
    }

    fn backup(&mut self, to: &Path) -> Result<Backup, StoreError> {
        let transaction = self.database()?.begin_read().map_err(file::engine)?;
        let (to, cluster, revision) = (to.to_path_buf(), self.cluster.clone(), self.revision);
        Ok(Box::new(move || file::copy(&transaction, &to, &cluster, revision)))
    }
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = opened.map_err(|e| StoreError::io(format!("opening {}", path.display()), e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(directory.into())),
        Err(TryLockError::Error(e)) => Err(StoreError::io(format!("locking {}", path.display()), e)),
    }
}
