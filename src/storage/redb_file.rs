//! The store's file: its tables, how it is made, recognised and copied.
use super::store::StoreError;
use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, TableDefinition, TableError};
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// (shelf, namespace, name) → record.
pub(super) const OBJECTS: TableDefinition<(&str, &str, &str), &[u8]> = TableDefinition::new("objects");
/// `format` and `revision`.
pub(super) const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("impresario");
/// `cluster`.
const TEXTS: TableDefinition<&str, &str> = TableDefinition::new("impresario-texts");

pub(super) const REVISION: &str = "revision";
const FORMAT: &str = "format";
const CLUSTER: &str = "cluster";
/// The format that this version writes. It grows when an older version could not read the file.
const FORMAT_VERSION: u32 = 1;
/// Bytes of redb's page cache; its own default is 1 GiB.
const CACHE: usize = 32 << 20;

/// An open file and what it says about itself.
pub(super) struct Opened {
    pub database: Database,
    pub cluster: String,
    pub revision: u64,
}

/// redb's errors, all kinds of them.
pub(super) fn engine(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => StoreError::Corrupt(what),
        redb::Error::Io(source) => StoreError::io("the store's file", source),
        other => StoreError::Engine(other.to_string()),
    }
}

/// A fresh cluster id.
pub(super) fn new_cluster_id() -> Result<String, StoreError> {
    let mut id = [0u8; 16];
    getrandom::fill(&mut id).map_err(|e| StoreError::Engine(format!("no randomness for a cluster id: {e}")))?;
    Ok(hex::encode(id))
}

/// Makes the data directory, readable by its owner only.
pub(super) fn make_directory(directory: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Ok(()) => Ok(()),
        Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotADirectory) => {
            Err(StoreError::NotOurs { path: directory.into(), why: "it is not a directory".into() })
        }
        Err(e) => Err(StoreError::io(format!("making the data directory {}", directory.display()), e)),
    }
}

/// Makes an empty store at `path`: complete, or not at all.
pub(super) fn create(path: &Path, cluster: &str) -> Result<(), StoreError> {
    write_whole(path, |database| fill(database, None, cluster, 0))
}

/// Copies everything that a transaction sees into the new store `to`.
pub(super) fn copy(from: &ReadTransaction, to: &Path, cluster: &str, revision: u64) -> Result<(), StoreError> {
    if to.try_exists().unwrap_or(true) {
        return Err(StoreError::Exists(to.into()));
    }
    write_whole(to, |database| fill(database, Some(from), cluster, revision))
}

fn fill(database: &Database, from: Option<&ReadTransaction>, cluster: &str, revision: u64) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(engine)?;
    transaction.set_quick_repair(true);
    {
        let mut objects = transaction.open_table(OBJECTS).map_err(engine)?;
        if let Some(from) = from {
            for row in from.open_table(OBJECTS).map_err(engine)?.iter().map_err(engine)? {
                let (at, value) = row.map_err(engine)?;
                objects.insert(at.value(), value.value()).map_err(engine)?;
            }
        }
        let mut numbers = transaction.open_table(NUMBERS).map_err(engine)?;
        numbers.insert(FORMAT, u64::from(FORMAT_VERSION)).map_err(engine)?;
        numbers.insert(REVISION, revision).map_err(engine)?;
        transaction.open_table(TEXTS).map_err(engine)?.insert(CLUSTER, cluster).map_err(engine)?;
    }
    transaction.commit().map_err(engine)
}

/// Writes a store beside `path` and moves it there once it is whole.
fn write_whole(path: &Path, write: impl FnOnce(&Database) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let failed = |doing: &str, e| StoreError::io(format!("{doing} {}", partial.display()), e);
    let opened = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let database = Builder::new().set_cache_size(CACHE).create_file(opened.map_err(|e| failed("making", e))?);
    let written = database.map_err(|e| wrong_file(&partial, e)).and_then(|database| write(&database));
    if let Err(error) = written {
        let _ = fs::remove_file(&partial);
        return Err(error);
    }
    fs::rename(&partial, path).map_err(|e| failed("renaming", e))?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| StoreError::io(format!("syncing {}", directory.display()), e))
}

/// Opens a store that exists, after making sure that it is one.
pub(super) fn open(path: &Path) -> Result<Opened, StoreError> {
    let database = Builder::new().set_cache_size(CACHE).open(path).map_err(|e| wrong_file(path, e))?;
    let not_ours = |why: &str| StoreError::NotOurs { path: path.into(), why: why.into() };
    let transaction = database.begin_read().map_err(engine)?;
    let numbers = match transaction.open_table(NUMBERS) {
        Ok(table) => table,
        Err(TableError::Storage(error)) => return Err(engine(error)),
        Err(_) => return Err(not_ours("it is another program's redb file")),
    };
    let number = |name: &str| numbers.get(name).map(|value| value.map(|v| v.value())).map_err(engine);
    let format = number(FORMAT)?.ok_or_else(|| not_ours("it names no format"))?;
    if format > u64::from(FORMAT_VERSION) {
        return Err(StoreError::Newer { path: path.into(), found: u32::try_from(format).unwrap_or(u32::MAX), known: FORMAT_VERSION });
    }
    let revision = number(REVISION)?.ok_or_else(|| StoreError::Corrupt("it has no revision".into()))?;
    let texts = transaction.open_table(TEXTS).map_err(engine)?;
    let cluster = texts.get(CLUSTER).map_err(engine)?.map(|c| c.value().to_string());
    let cluster = cluster.ok_or_else(|| StoreError::Corrupt("it has no cluster id".into()))?;
    drop((numbers, texts, transaction));
    Ok(Opened { database, cluster, revision })
}

fn wrong_file(path: &Path, error: DatabaseError) -> StoreError {
    let not_ours = |why: String| StoreError::NotOurs { path: path.into(), why };
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.into()),
        DatabaseError::UpgradeRequired(version) => not_ours(format!("it has redb's old file format {version}")),
        DatabaseError::Storage(StorageError::Io(e)) if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            not_ours("it is not a redb file".into())
        }
        DatabaseError::Storage(StorageError::Io(e)) => StoreError::io(format!("opening {}", path.display()), e),
        DatabaseError::Storage(StorageError::Corrupted(what)) => StoreError::Corrupt(format!("{}: {what}", path.display())),
        other => StoreError::Engine(format!("opening {}: {other}", path.display())),
    }
}
