//! Secrets at rest: a store around another that encrypts the bodies of some shelves. Memory and the API know nothing of it.
//!
//! The first of the cluster's keys seals; all of them open. What lies there sealed with an older key, or not at all, is sealed anew
//! while it is loaded, without a new revision: so a key is rotated by putting a new one first and starting again.
use super::pki::SealingKeys;
use super::record::Record;
use super::store::{Backup, Store, StoreError, StoreWrite};
use crate::protocol::meta::ObjectKey;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// Encrypts what is on `shelves` with `keys`.
pub struct SealedStore<S> {
    inner: S,
    keys: SealingKeys,
    shelves: &'static [&'static str],
}

/// Records sealed anew in one transaction.
const AT_ONCE: usize = 1000;

impl<S: Store> SealedStore<S> {
    pub fn new(inner: S, keys: SealingKeys, shelves: &'static [&'static str]) -> Self {
        SealedStore { inner, keys, shelves }
    }

    fn is_sealed(&self, shelf: &str) -> bool {
        self.shelves.contains(&shelf)
    }

    fn open(&self, shelf: &str, key: &ObjectKey, record: Record) -> Result<(Record, bool), StoreError> {
        if !self.is_sealed(shelf) {
            return Ok((record, false));
        }
        let opened = self.keys.open(&place(shelf, key), &record.body);
        let (body, stale) = opened.map_err(|why| StoreError::Corrupt(format!("the record of {shelf} {key} can't be opened: {why}")))?;
        Ok((Record { body, ..record }, stale))
    }

    fn seal(&self, shelf: &str, key: &ObjectKey, body: &Bytes) -> Result<Bytes, StoreError> {
        self.keys.seal(&place(shelf, key), body).map_err(|why| StoreError::Engine(format!("encrypting {shelf} {key}: {why}")))
    }

    fn seal_anew(&mut self, stale: &[(Arc<str>, ObjectKey, Record)]) -> Result<(), StoreError> {
        for some in stale.chunks(AT_ONCE) {
            let sealed: Result<Vec<_>, StoreError> = some
                .iter()
                .map(|(shelf, key, record)| {
                    let body = self.seal(shelf, key, &record.body)?;
                    Ok((shelf.clone(), key.clone(), Record { body, ..record.clone() }))
                })
                .collect();
            self.inner.rewrite(&sealed?)?;
        }
        if !stale.is_empty() {
            tracing::info!(records = stale.len(), "sealed with the newest key");
        }
        Ok(())
    }
}

/// What a sealed body is bound to: nobody can put one object's secret into another's place.
fn place(shelf: &str, key: &ObjectKey) -> Vec<u8> {
    format!("{shelf}\0{}\0{}", key.namespace, key.name).into_bytes()
}

impl<S: Store> Store for SealedStore<S> {
    fn load(&mut self, each: &mut dyn FnMut(&str, ObjectKey, Record)) -> Result<u64, StoreError> {
        let (mut stale, mut sealed) = (Vec::new(), Vec::new());
        let shelves = self.shelves;
        let revision = self.inner.load(&mut |shelf, key, record| match shelves.contains(&shelf) {
            true => sealed.push((Arc::<str>::from(shelf), key, record)),
            false => each(shelf, key, record),
        })?;
        for (shelf, key, record) in sealed {
            let (record, old) = self.open(&shelf, &key, record)?;
            if old {
                stale.push((shelf.clone(), key.clone(), record.clone()));
            }
            each(&shelf, key, record);
        }
        self.seal_anew(&stale)?;
        Ok(revision)
    }

    fn commit(&mut self, writes: &[StoreWrite]) -> Result<Vec<u64>, StoreError> {
        if !writes.iter().any(|w| self.is_sealed(&w.shelf)) {
            return self.inner.commit(writes);
        }
        let sealed: Result<Vec<StoreWrite>, StoreError> = writes
            .iter()
            .map(|write| match &write.record {
                Some((splice, body)) if self.is_sealed(&write.shelf) => {
                    let body = self.seal(&write.shelf, &write.key, body)?;
                    Ok(StoreWrite { record: Some((*splice, body)), ..write.clone() })
                }
                _ => Ok(write.clone()),
            })
            .collect();
        self.inner.commit(&sealed?)
    }

    fn rewrite(&mut self, records: &[(Arc<str>, ObjectKey, Record)]) -> Result<(), StoreError> {
        self.inner.rewrite(records)
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.inner.reopen()
    }

    fn read(&mut self, shelf: &str, key: &ObjectKey) -> Result<Option<Record>, StoreError> {
        let Some(record) = self.inner.read(shelf, key)? else { return Ok(None) };
        Ok(Some(self.open(shelf, key, record)?.0))
    }

    fn last_revision(&mut self) -> Result<u64, StoreError> {
        self.inner.last_revision()
    }

    fn backup(&mut self, to: &Path) -> Result<Backup, StoreError> {
        self.inner.backup(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RedbStore;

    const SHELVES: &[&str] = &["secrets"];
    const SPLICE: u32 = 13;

    fn write(shelf: &str, body: &'static str) -> StoreWrite {
        StoreWrite { shelf: shelf.into(), key: ObjectKey::new("a", "b"), record: Some((SPLICE, Bytes::from_static(body.as_bytes()))) }
    }

    fn loaded(store: &mut dyn Store) -> Vec<(String, u64, Bytes)> {
        let mut found = Vec::new();
        store.load(&mut |shelf, _, record| found.push((shelf.to_string(), record.revision, record.body))).expect("loads");
        found
    }

    #[test]
    fn secrets_are_not_on_the_disk_and_keys_rotate() {
        let dir = tempfile::tempdir().expect("a directory");
        let pki = tempfile::tempdir().expect("a directory");
        let open = || {
            SealedStore::new(RedbStore::open(dir.path()).expect("opens"), SealingKeys::open_or_create(pki.path()).expect("keys"), SHELVES)
        };
        let mut store = open();
        store
            .commit(&[write("secrets", r#"{"metadata":{"token":"hunter2-very-secret"}}"#), write("pods", r#"{"metadata":{}}"#)])
            .expect("written");
        let read = |store: &mut SealedStore<RedbStore>| store.read("secrets", &ObjectKey::new("a", "b")).expect("read").expect("there");
        assert!(read(&mut store).body.starts_with(b"{\"metadata\""));
        drop(store);
        let on_disk = || std::fs::read(dir.path().join("store.redb")).expect("the file");
        let contains = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
        assert!(!contains(&on_disk(), b"hunter2"));

        // A new key in front: everything is sealed with it at the next start, under the same revision.
        SealingKeys::rotate(pki.path()).expect("rotated");
        let mut store = open();
        let before = loaded(&mut store);
        assert_eq!((before[0].1, before[1].1), (2, 1), "pods first, both as they were");
        drop(store);
        SealingKeys::forget_old(pki.path()).expect("only the new key is left");
        let mut store = open();
        assert!(loaded(&mut store)[1].2.starts_with(b"{\"metadata\""));
        drop(store);

        // Without the key nothing opens, and nothing is lost.
        std::fs::remove_file(pki.path().join(SealingKeys::FILE)).expect("removed");
        let mut store = open();
        let error = store.load(&mut |_, _, _| {}).expect_err("another key");
        assert!(error.to_string().contains("secrets a/b"), "{error}");
    }

    #[test]
    fn a_store_from_before_is_sealed_at_the_first_start() {
        let pki = tempfile::tempdir().expect("a directory");
        let mut plain = crate::storage::MemoryStore::new();
        plain.commit(&[write("secrets", r#"{"metadata":{"a":"b"}}"#)]).expect("written");
        let mut store = SealedStore::new(plain, SealingKeys::open_or_create(pki.path()).expect("keys"), SHELVES);
        assert_eq!(loaded(&mut store)[0].1, 1);
        let record = store.inner.read("secrets", &ObjectKey::new("a", "b")).expect("read").expect("there");
        assert!(!record.body.starts_with(b"{"), "sealed now");
    }
}
