//! How one object lies in the store: a bincode record around the object's canonical JSON.
use super::store::StoreError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One stored object, as the disk knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The revision of the write that made this state.
    pub revision: u64,
    /// Where `resourceVersion` belongs in `body`.
    pub splice: u32,
    /// Canonical JSON without `metadata.resourceVersion`.
    pub body: Bytes,
}

/// The same fields, borrowed from the page they are read from.
#[derive(Deserialize)]
struct Borrowed<'a> {
    revision: u64,
    splice: u32,
    body: &'a [u8],
}

impl Record {
    /// The record as stored.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        bincode::serde::encode_to_vec(self, bincode::config::standard()).map_err(|e| StoreError::Engine(format!("encoding a record: {e}")))
    }

    /// Reads a stored record; `what` names it in the error.
    pub fn decode(bytes: &[u8], what: impl FnOnce() -> String) -> Result<Record, StoreError> {
        let corrupt = |why: String| StoreError::Corrupt(format!("the record of {} can't be read: {why}", what()));
        match bincode::serde::borrow_decode_from_slice::<Borrowed, _>(bytes, bincode::config::standard()) {
            Ok((b, used)) if used == bytes.len() && b.splice as usize <= b.body.len() => {
                Ok(Record { revision: b.revision, splice: b.splice, body: Bytes::copy_from_slice(b.body) })
            }
            Ok(_) => Err(corrupt("its length is wrong".into())),
            Err(e) => Err(corrupt(e.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_refuses_the_rest() {
        let record = Record { revision: 300, splice: 3, body: Bytes::from_static(b"{\"a\":1}") };
        let bytes = record.encode().unwrap();
        assert!(bytes.len() <= record.body.len() + 5, "a record costs a few bytes: {}", bytes.len());
        assert_eq!(Record::decode(&bytes, String::new).unwrap(), record);
        let error = Record::decode(&bytes[..4], || "pods a/b".into()).unwrap_err();
        assert!(error.to_string().contains("pods a/b"), "{error}");
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Record::decode(&longer, String::new).is_err());
    }
}
