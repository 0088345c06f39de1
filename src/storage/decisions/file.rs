//! The file of the causal log: decisions by number, and an index from objects to the numbers.
use super::Decision;
use super::log::Query;
use crate::storage::redb_file::engine;
use crate::storage::store::StoreError;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const DECISIONS: TableDefinition<u64, &[u8]> = TableDefinition::new("decisions");
/// (object, number): which decisions an object had part in.
const INVOLVED: TableDefinition<(&str, u64), ()> = TableDefinition::new("involved");
/// Bytes of redb's page cache.
const CACHE: usize = 2 << 20;

/// See the module.
pub(super) struct LogFile {
    database: Database,
    /// Decisions kept.
    most: u64,
}

impl LogFile {
    /// Opens or makes it. The second value is the number of the newest decision.
    pub fn open(path: &Path, most: u64) -> Result<(LogFile, u64), StoreError> {
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(|e| StoreError::io(format!("opening {}", path.display()), e))?;
        let database = Builder::new().set_cache_size(CACHE).create_file(file).map_err(engine)?;
        let write = database.begin_write().map_err(engine)?;
        let newest = {
            write.open_table(INVOLVED).map_err(engine)?;
            let decisions = write.open_table(DECISIONS).map_err(engine)?;
            decisions.last().map_err(engine)?.map_or(0, |(number, _)| number.value())
        };
        write.commit().map_err(engine)?;
        Ok((LogFile { database, most }, newest))
    }

    /// Adds decisions, numbered from `first` on, and drops the oldest beyond the bound.
    pub fn append(&self, first: u64, decisions: &[Decision]) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(engine)?;
        {
            let mut table = write.open_table(DECISIONS).map_err(engine)?;
            let mut involved = write.open_table(INVOLVED).map_err(engine)?;
            for (number, decision) in (first..).zip(decisions) {
                table.insert(number, encode(decision)?.as_slice()).map_err(engine)?;
                for object in decision.involved() {
                    involved.insert((object.as_str(), number), ()).map_err(engine)?;
                }
            }
            // A tenth at a time, so that not every commit has to.
            let count = table.len().map_err(engine)?;
            let surplus = if count > self.most + self.most / 10 { count - self.most } else { 0 };
            for _ in 0..surplus {
                let Some((number, decision)) = table.pop_first().map_err(engine)?.and_then(|(n, d)| Some((n.value(), decode(d.value())?)))
                else {
                    break;
                };
                for object in decision.involved() {
                    involved.remove((object.as_str(), number)).map_err(engine)?;
                }
            }
        }
        write.commit().map_err(engine)
    }

    /// The decisions that a query asks for, oldest first.
    pub fn read(&self, query: &Query) -> Result<Vec<(u64, Decision)>, StoreError> {
        let read = self.database.begin_read().map_err(engine)?;
        let table = read.open_table(DECISIONS).map_err(engine)?;
        let wanted = |d: &Decision| query.namespace.as_ref().is_none_or(|n| *n == d.about.namespace);
        let mut found = Vec::new();
        // From the newest backwards: a bounded answer holds the end of the story, not its beginning.
        match &query.involves {
            Some(object) => {
                let involved = read.open_table(INVOLVED).map_err(engine)?;
                let object = object.index();
                for row in involved.range((object.as_str(), 0)..=(object.as_str(), query.before)).map_err(engine)?.rev() {
                    let number = row.map_err(engine)?.0.value().1;
                    let decision = table.get(number).map_err(engine)?.and_then(|bytes| decode(bytes.value()));
                    found.extend(decision.filter(wanted).map(|d| (number, d)));
                    if found.len() >= query.limit {
                        break;
                    }
                }
            }
            None => {
                for row in table.range(..=query.before).map_err(engine)?.rev() {
                    let (number, bytes) = row.map_err(engine)?;
                    found.extend(decode(bytes.value()).filter(wanted).map(|d| (number.value(), d)));
                    if found.len() >= query.limit {
                        break;
                    }
                }
            }
        }
        found.reverse();
        Ok(found)
    }

    /// One decision.
    pub fn get(&self, number: u64) -> Result<Option<Decision>, StoreError> {
        let read = self.database.begin_read().map_err(engine)?;
        let table = read.open_table(DECISIONS).map_err(engine)?;
        Ok(table.get(number).map_err(engine)?.and_then(|bytes| decode(bytes.value())))
    }
}

fn encode(decision: &Decision) -> Result<Vec<u8>, StoreError> {
    bincode::serde::encode_to_vec(decision, bincode::config::standard())
        .map_err(|e| StoreError::Engine(format!("encoding a decision: {e}")))
}

/// `None` for what another version wrote: the log is a courtesy, and one unreadable line shall not hide the others.
fn decode(bytes: &[u8]) -> Option<Decision> {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).ok().map(|(decision, _)| decision)
}
