//! The CRI log format: `<time> <stream> <P|F> <text>`, one line each.
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Write};

/// A longer line is written in parts of this many bytes, all but the last marked `P`.
const LONGEST: usize = 16 * 1024;

/// One of a container's output streams.
pub struct CriStream {
    name: &'static str,
    pending: Vec<u8>,
}

impl CriStream {
    /// `stdout` or `stderr`.
    pub fn new(name: &'static str) -> Self {
        CriStream { name, pending: Vec::new() }
    }

    /// Writes the lines that `data` completes.
    pub fn feed(&mut self, data: &[u8], log: &mut File) -> io::Result<()> {
        let mut out = Vec::with_capacity(data.len() + 64);
        for byte in data {
            if *byte == b'\n' {
                self.line("F", &mut out)?;
            } else {
                self.pending.push(*byte);
                if self.pending.len() == LONGEST {
                    self.line("P", &mut out)?;
                }
            }
        }
        if out.is_empty() { Ok(()) } else { log.write_all(&out) }
    }

    /// Writes what the stream ended with, when that was no whole line.
    pub fn finish(&mut self, log: &mut File) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        self.line("P", &mut out)?;
        log.write_all(&out)
    }

    fn line(&mut self, tag: &str, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "{} {} {tag} ", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%9fZ"), self.name)?;
        out.append(&mut self.pending);
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_parts() {
        let path = std::env::temp_dir().join(format!("cri-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let mut stream = CriStream::new("stdout");
        stream.feed(b"one\ntw", &mut file).unwrap();
        stream.feed(b"o\n", &mut file).unwrap();
        stream.feed(&[b'x'; LONGEST + 1], &mut file).unwrap();
        stream.finish(&mut file).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let tails: Vec<(&str, usize)> = text.lines().map(|l| (&l[31..], l.len())).map(|(t, _)| (&t[..8], t.len())).collect();
        assert_eq!(tails, vec![("stdout F", 12), ("stdout F", 12), ("stdout P", 9 + LONGEST), ("stdout P", 10)]);
    }
}
