//! Finding where the last lines of a log begin, reading from the end.
use super::{Stream, records};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 64 * 1024;

/// The offset from which `lines` lines (of one stream, or of both) remain. A line in several pieces counts as one.
pub fn start(file: &File, lines: u64, stream: Option<Stream>) -> io::Result<u64> {
    let mut counter = Counter { left: lines, stream, open: [true; 2] };
    let end = file.metadata()?.len();
    if lines == 0 {
        return Ok(end);
    }
    // `block` holds the file's bytes from `at` up to the last line start that was found.
    let (mut at, mut block) = (end, Vec::new());
    while at > 0 {
        let from = at.saturating_sub(BLOCK);
        let mut bytes = vec![0; usize::try_from(at - from).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, from)?;
        bytes.append(&mut block);
        (at, block) = (from, bytes);
        while let Some((line_start, line_end)) = last_line(&block, at == 0) {
            if !counter.wants(block.get(line_start..line_end).unwrap_or_default()) {
                return Ok(at + block.len() as u64);
            }
            block.truncate(line_start);
        }
    }
    Ok(0)
}

/// Where the last line of the block begins, and where it ends without its newline. Its beginning must be known: it follows a
/// newline, or the block is the file's first.
fn last_line(block: &[u8], first: bool) -> Option<(usize, usize)> {
    let (last, rest) = block.split_last()?;
    let end = if *last == b'\n' { rest.len() } else { block.len() };
    match block.get(..end)?.iter().rposition(|b| *b == b'\n') {
        Some(newline) => Some((newline + 1, end)),
        None if first => Some((0, end)),
        None => None,
    }
}

struct Counter {
    left: u64,
    stream: Option<Stream>,
    /// Nothing of the stream seen yet: its last record ends a line even when it is marked as a piece.
    open: [bool; 2],
}

impl Counter {
    /// Takes the records from the last to the first; false for the first one too many.
    fn wants(&mut self, line: &[u8]) -> bool {
        let Some(record) = records::parse(line) else { return true };
        if self.stream.is_some_and(|wanted| wanted != record.stream) {
            return true;
        }
        let [stdout, stderr] = &mut self.open;
        let open = if record.stream == Stream::Stdout { stdout } else { stderr };
        if record.full || std::mem::take(open) {
            *open = false;
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
        }
        true
    }
}
