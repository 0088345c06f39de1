//! From log records to what was printed.
use super::{LogOptions, Stream};

/// A record is at most a piece and its head; a longer "line" is no record and is skipped.
const MAX_RECORD: usize = 64 * 1024;

/// One record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub time: &'a str,
    pub stream: Stream,
    /// Whether the line ends here.
    pub full: bool,
    pub text: &'a [u8],
}

/// Parses a record without its newline. `None` for what is none; such lines are passed over.
pub fn parse(line: &[u8]) -> Option<Record<'_>> {
    let mut fields = line.splitn(4, |b| *b == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?;
    let stream = match fields.next()? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    // Tags are separated by colons, and the first one is the one that counts.
    let full = match fields.next()?.split(|b| *b == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Record { time, stream, full, text: fields.next().unwrap_or_default() })
}

/// Joins records to lines, filters and cuts. Bytes in, bytes out.
#[derive(Debug)]
pub struct Assembler {
    since_ms: Option<i64>,
    timestamps: bool,
    stream: Option<Stream>,
    remaining: Option<usize>,
    /// The start of a record whose end has not been read yet.
    pending: Vec<u8>,
    /// Inside a line, per stream: the time is printed once a line.
    inside: [bool; 2],
}

impl Assembler {
    pub fn new(options: &LogOptions) -> Self {
        Assembler {
            since_ms: options.since_ms,
            timestamps: options.timestamps,
            stream: options.stream,
            remaining: options.limit_bytes.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            pending: Vec::new(),
            inside: [false; 2],
        }
    }

    /// Whether the limit is reached.
    pub fn is_full(&self) -> bool {
        self.remaining == Some(0)
    }

    /// The output of the records that became whole with `data`.
    pub fn feed(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len());
        let mut pending = std::mem::take(&mut self.pending);
        for part in data.split_inclusive(|b| *b == b'\n') {
            let Some((b'\n', line)) = part.split_last() else {
                if pending.len() + part.len() <= MAX_RECORD {
                    pending.extend_from_slice(part);
                }
                break;
            };
            if pending.is_empty() {
                self.record(line, &mut out);
            } else {
                pending.extend_from_slice(line);
                self.record(&pending, &mut out);
                pending.clear();
            }
        }
        self.pending = pending;
        if let Some(remaining) = &mut self.remaining {
            out.truncate(*remaining);
            *remaining -= out.len();
        }
        out
    }

    fn record(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(record) = parse(line) else { return };
        if self.stream.is_some_and(|wanted| wanted != record.stream) || self.is_too_old(record.time) {
            return;
        }
        let [stdout, stderr] = &mut self.inside;
        let inside = if record.stream == Stream::Stdout { stdout } else { stderr };
        if self.timestamps && !*inside {
            out.extend_from_slice(record.time.as_bytes());
            out.push(b' ');
        }
        *inside = !record.full;
        out.extend_from_slice(record.text);
        if record.full {
            out.push(b'\n');
        }
    }

    fn is_too_old(&self, time: &str) -> bool {
        let Some(since) = self.since_ms else { return false };
        time.parse::<jiff::Timestamp>().is_ok_and(|t| t.as_millisecond() < since)
    }
}
