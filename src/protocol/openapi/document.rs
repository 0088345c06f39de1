//! A generated document, kept compressed.
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// A document as it is kept: its gzip form only.
#[derive(Clone, Debug)]
pub struct Document {
    /// For clients that accept `gzip`.
    pub gzip: Bytes,
    /// Quoted, as it goes into the `ETag` header. It is that of the plain form.
    pub etag: String,
    plain_len: usize,
}

impl Document {
    /// The plain form, for the rare client that doesn't accept gzip. Costs a decompression each time.
    pub fn plain(&self) -> io::Result<Bytes> {
        let mut out = Vec::with_capacity(self.plain_len);
        GzDecoder::new(&self.gzip[..]).read_to_end(&mut out)?;
        Ok(out.into())
    }

    /// Bytes of the plain form.
    pub fn plain_len(&self) -> usize {
        self.plain_len
    }

    pub(super) fn json(value: &Value) -> Self {
        Self::compress(value.to_string().as_bytes())
    }

    pub(super) fn compress(plain: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing into memory has no way to fail; were it to, the document would be cut short and clients would say so.
        let written = encoder.write_all(plain).and_then(|()| encoder.finish());
        let gzip = Bytes::from(written.unwrap_or_default().into_boxed_slice());
        Document { gzip, etag: format!("\"{}\"", fingerprint_bytes(plain)), plain_len: plain.len() }
    }
}

/// A digest in upper-case hex, as upstream writes its hashes.
pub(super) fn fingerprint(text: &str) -> String {
    fingerprint_bytes(text.as_bytes())
}

fn fingerprint_bytes(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02X}")).collect()
}
