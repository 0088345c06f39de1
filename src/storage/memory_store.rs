//! A store that forgets everything with the process: for tests and throw-away clusters.
use super::store::{Backup, Record, Store, StoreError, StoreWrite};
use crate::protocol::meta::ObjectKey;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Records in a map. Nothing is durable.
#[derive(Default)]
pub struct MemoryStore {
    records: BTreeMap<(Arc<str>, ObjectKey), Record>,
    revision: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn load(&mut self, each: &mut dyn FnMut(&str, ObjectKey, Record)) -> Result<u64, StoreError> {
        for ((shelf, key), record) in &self.records {
            each(shelf, key.clone(), record.clone());
        }
        Ok(self.revision)
    }

    fn commit(&mut self, writes: &[StoreWrite]) -> Result<Vec<u64>, StoreError> {
        let mut revisions = Vec::with_capacity(writes.len());
        for write in writes {
            self.revision += 1;
            revisions.push(self.revision);
            let at = (write.shelf.clone(), write.key.clone());
            match &write.record {
                Some((splice, body)) => {
                    self.records.insert(at, Record { revision: self.revision, splice: *splice, body: body.clone() });
                }
                None => {
                    self.records.remove(&at);
                }
            }
        }
        Ok(revisions)
    }

    fn rewrite(&mut self, records: &[(Arc<str>, ObjectKey, Record)]) -> Result<(), StoreError> {
        for (shelf, key, record) in records {
            self.records.insert((shelf.clone(), key.clone()), record.clone());
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn read(&mut self, shelf: &str, key: &ObjectKey) -> Result<Option<Record>, StoreError> {
        Ok(self.records.get(&(Arc::from(shelf), key.clone())).cloned())
    }

    fn last_revision(&mut self) -> Result<u64, StoreError> {
        Ok(self.revision)
    }

    fn backup(&mut self, _to: &Path) -> Result<Backup, StoreError> {
        Err(StoreError::Unsupported("this cluster keeps its state in memory only; there is nothing to back up"))
    }
}
