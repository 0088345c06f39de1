//! Header blocks: name/value pairs, zlib-compressed with one context per direction and connection.
use super::SpdyError;
use super::dictionary::DICTIONARY;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// Names are lower case; a value may hold several, parted by NUL.
pub type Headers = Vec<(String, String)>;

/// The largest header block, unpacked, bytes.
const MAX_BLOCK: usize = 64 * 1024;
const MAX_HEADERS: u32 = 128;
const STEP: usize = 4 * 1024;

/// Packs the header blocks that we send.
pub struct Packer(Compress);

/// Unpacks the header blocks that the peer sends.
pub struct Unpacker(Decompress);

impl Packer {
    pub fn new() -> Result<Self, SpdyError> {
        let mut zlib = Compress::new(Compression::fast(), true);
        zlib.set_dictionary(&DICTIONARY).map_err(|_| SpdyError::Compression)?;
        Ok(Packer(zlib))
    }

    /// The compressed block. Blocks must go over the wire in the order in which they were packed.
    pub fn pack(&mut self, headers: &[(&str, &str)]) -> Result<Vec<u8>, SpdyError> {
        let mut block = (headers.len() as u32).to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            block.extend_from_slice(&(text.len() as u32).to_be_bytes());
            block.extend_from_slice(text.as_bytes());
        }
        let mut packed = Vec::with_capacity(block.len() + 64);
        let start = self.0.total_in();
        loop {
            let done = (self.0.total_in() - start) as usize;
            let rest = block.get(done..).unwrap_or_default();
            packed.reserve(STEP);
            let room = packed.capacity() - packed.len();
            let before = packed.len();
            self.0.compress_vec(rest, &mut packed, FlushCompress::Sync).map_err(|_| SpdyError::Compression)?;
            // The flush is complete once output space is left over.
            if packed.len() - before < room {
                return Ok(packed);
            }
        }
    }
}

impl Default for Unpacker {
    fn default() -> Self {
        Unpacker(Decompress::new(true))
    }
}

impl Unpacker {
    /// A block's headers. After an error no later block can be unpacked.
    pub fn unpack(&mut self, packed: &[u8]) -> Result<Headers, SpdyError> {
        let block = self.inflate(packed)?;
        parse(&block).ok_or(SpdyError::Malformed)
    }

    fn inflate(&mut self, packed: &[u8]) -> Result<Vec<u8>, SpdyError> {
        let mut block = Vec::new();
        let start = self.0.total_in();
        loop {
            let done = (self.0.total_in() - start) as usize;
            let rest = packed.get(done..).unwrap_or_default();
            block.reserve(STEP);
            let (room, before) = (block.capacity() - block.len(), block.len());
            match self.0.decompress_vec(rest, &mut block, FlushDecompress::Sync) {
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY).map_err(|_| SpdyError::Compression)?;
                    continue;
                }
                Err(_) => return Err(SpdyError::Compression),
            }
            if block.len() > MAX_BLOCK {
                return Err(SpdyError::TooLarge);
            }
            let consumed = (self.0.total_in() - start) as usize;
            if block.len() - before < room {
                // Output space is left: either all input is used, or zlib refuses to go on.
                return if consumed >= packed.len() { Ok(block) } else { Err(SpdyError::Compression) };
            }
        }
    }
}

fn parse(block: &[u8]) -> Option<Headers> {
    let mut rest = block;
    let count = take_u32(&mut rest)?;
    if count > MAX_HEADERS {
        return None;
    }
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = take_text(&mut rest)?.to_ascii_lowercase();
        headers.push((name, take_text(&mut rest)?));
    }
    rest.is_empty().then_some(headers)
}

pub(super) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*head))
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = take_u32(bytes)? as usize;
    let text = bytes.get(..length)?;
    *bytes = bytes.get(length..)?;
    Some(String::from_utf8_lossy(text).into_owned())
}
