//! The container's log in the format the CRI fixes: `<RFC 3339 time> stdout|stderr F|P <text>`.
//!
//! `F` ends a line, `P` is a piece of one that goes on. Every write appends whole records, so a reader never sees half of one
//! unless the disk is full.
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A longer line is cut into pieces of this size.
pub const MAX_PIECE: usize = 16 * 1024;
/// upstream's `containerLogMaxSize` and `containerLogMaxFiles`.
const MAX_FILE: u64 = 10 * 1024 * 1024;
const MAX_FILES: usize = 5;

/// Which of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// The pending end of one stream, and how it becomes records. Pure: bytes in, bytes out.
#[derive(Debug)]
pub struct Lines {
    stream: Stream,
    pending: Vec<u8>,
}

impl Lines {
    pub fn new(stream: Stream) -> Self {
        Lines { stream, pending: Vec::new() }
    }

    /// Turns `data` into records, appended to `out`; keeps what is not a whole line or a whole piece.
    pub fn feed(&mut self, time: &str, data: &[u8], out: &mut Vec<u8>) {
        for part in data.split_inclusive(|b| *b == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            self.pending.extend_from_slice(text);
            let mut rest = std::mem::take(&mut self.pending);
            let mut start = 0;
            while rest.len() - start > MAX_PIECE {
                let piece = rest.get(start..start + MAX_PIECE).unwrap_or_default();
                self.record(time, "P", piece, out);
                start += MAX_PIECE;
            }
            rest.drain(..start);
            if ends {
                self.record(time, "F", &rest, out);
                rest.clear();
            }
            self.pending = rest;
        }
    }

    /// What is left when the stream ends without a newline: upstream leaves such a line partial.
    pub fn finish(&mut self, time: &str, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.record(time, "P", &rest, out);
        }
    }

    fn record(&self, time: &str, tag: &str, text: &[u8], out: &mut Vec<u8>) {
        for part in [time.as_bytes(), b" ", self.stream.name().as_bytes(), b" ", tag.as_bytes(), b" ", text, b"\n"] {
            out.extend_from_slice(part);
        }
    }
}

/// The log file with both streams going into it, renamed aside when it is full.
#[derive(Debug)]
pub struct CriLog {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
    stdout: Lines,
    stderr: Lines,
    records: Vec<u8>,
}

impl CriLog {
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        let (stdout, stderr) = (Lines::new(Stream::Stdout), Lines::new(Stream::Stderr));
        Ok(CriLog { path: path.to_owned(), file, size, limit: MAX_FILE, stdout, stderr, records: Vec::new() })
    }

    /// Logs a piece of output. An error loses this piece only.
    pub fn write(&mut self, stream: Stream, data: &[u8]) -> io::Result<()> {
        self.records.clear();
        let time = timestamp();
        match stream {
            Stream::Stdout => self.stdout.feed(&time, data, &mut self.records),
            Stream::Stderr => self.stderr.feed(&time, data, &mut self.records),
        }
        self.append()
    }

    /// Logs unfinished lines; to be called once both streams have ended.
    pub fn finish(&mut self) -> io::Result<()> {
        self.records.clear();
        let time = timestamp();
        self.stdout.finish(&time, &mut self.records);
        self.stderr.finish(&time, &mut self.records);
        self.append()
    }

    fn append(&mut self) -> io::Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        if self.size >= self.limit {
            self.rotate()?;
        }
        self.size += self.records.len() as u64;
        self.file.write_all(&self.records)
    }

    /// `log` becomes `log.1`, `log.1` becomes `log.2`, …; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        let name = |n: usize| if n == 0 { self.path.clone() } else { PathBuf::from(format!("{}.{n}", self.path.display())) };
        for n in (0..MAX_FILES - 1).rev() {
            match std::fs::rename(name(n), name(n + 1)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn timestamp() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::new(Stream::Stdout), Vec::new());
        pieces.iter().for_each(|p| lines.feed("T", p, &mut out));
        lines.finish("T", &mut out);
        String::from_utf8(out).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_are_whole_whatever_the_reads() {
        assert_eq!(records(&[b"a\nb", b"c\n", b"\n", b"end"]), ["T stdout F a", "T stdout F bc", "T stdout F ", "T stdout P end"]);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let long = vec![b'x'; 2 * MAX_PIECE + 5];
        let got = records(&[&long, b"\n"]);
        let lengths: Vec<(bool, usize)> = got.iter().map(|r| (r.starts_with("T stdout P "), r.len() - "T stdout P ".len())).collect();
        assert_eq!(lengths, [(true, MAX_PIECE), (true, MAX_PIECE), (false, 5)]);
        // A line of exactly one piece is full, not partial.
        let exact = vec![b'y'; MAX_PIECE];
        assert!(records(&[&exact, b"\n"]).iter().all(|r| r.starts_with("T stdout F ")));
    }

    #[test]
    fn a_full_file_is_renamed_aside() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("0.log");
        let mut log = CriLog::open(&path).expect("open");
        log.limit = 100;
        for n in 0..20 {
            log.write(Stream::Stderr, format!("line {n}\n").as_bytes()).expect("write");
        }
        assert!(std::fs::read_to_string(&path).expect("current").ends_with("stderr F line 19\n"));
        let kept = std::fs::read_dir(dir.path()).expect("list").count();
        assert_eq!(kept, MAX_FILES);
    }
}
