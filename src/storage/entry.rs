//! An object as memory holds it: its bytes, the metadata that everybody asks for, and the kind's light index.
use crate::protocol::codec::without_managers;
use crate::protocol::light::Light;
use crate::protocol::meta::{Meta, ObjectKey};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

/// One stored object. Shared between snapshots, events and pending writes; never changed.
#[derive(Debug)]
pub struct Entry {
    pub key: ObjectKey,
    /// Canonical JSON without `metadata.resourceVersion`.
    pub body: Bytes,
    /// Where in `body` the `"resourceVersion":"N",` member belongs.
    pub splice: u32,
    /// The revision of the commit that wrote this state.
    pub revision: u64,
    /// Identifies the write that made this state within this process, also before it has a revision. Never 0, never reused.
    pub token: u64,
    pub meta: Meta,
    pub light: Light,
}

impl Entry {
    /// Bytes of JSON as served.
    pub fn served_len(&self) -> usize {
        self.body.len() + SPLICE_MAX
    }

    /// Appends the object as served, `resourceVersion` included.
    pub fn write_served(&self, out: &mut BytesMut) {
        write_spliced(&self.body, self.splice, self.revision, out);
    }

    /// The object as served.
    pub fn served(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.served_len());
        self.write_served(&mut out);
        out.freeze()
    }

    /// The same state, said to be of another revision.
    pub fn at(&self, revision: u64) -> Entry {
        Entry {
            key: self.key.clone(),
            body: self.body.clone(),
            splice: self.splice,
            revision,
            token: self.token,
            meta: self.meta.clone(),
            light: self.light.clone(),
        }
    }

    /// The object parsed, with its `resourceVersion` and without its `managedFields`, which only who writes or shows it asks for.
    /// Parse, look, drop: nobody keeps this.
    pub fn parse(&self) -> Value {
        self.with_revision(without_managers(&self.body).unwrap_or_default())
    }

    /// The object parsed, with its `resourceVersion`, and with everything that was stored.
    pub fn parse_whole(&self) -> Value {
        self.with_revision(serde_json::from_slice(&self.body).unwrap_or_default())
    }

    fn with_revision(&self, mut value: Value) -> Value {
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.insert("resourceVersion".into(), self.revision.to_string().into());
        }
        value
    }
}

/// Longest spliced member: `"resourceVersion":"18446744073709551615",`
const SPLICE_MAX: usize = 42;

/// Appends `body` with the `resourceVersion` member inserted at `splice`.
pub fn write_spliced(body: &[u8], splice: u32, revision: u64, out: &mut BytesMut) {
    let at = (splice as usize).min(body.len());
    out.put_slice(&body[..at]);
    out.put_slice(b"\"resourceVersion\":\"");
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    let mut rest = revision;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
    out.put_slice(b"\",");
    out.put_slice(&body[at..]);
}
