//! Reading a container's CRI log: joined lines, tails, limits, and following without polling.
use crate::runtime::api::{Result, RuntimeError};
use bytes::{BufMut, Bytes, BytesMut};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};

/// Which part of a log is wanted, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogOptions {
    pub follow: bool,
    pub timestamps: bool,
    /// Only so many last lines.
    pub tail_lines: Option<u64>,
    /// Not more than so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only lines at or after this time, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// `stdout`, `stderr`, or empty for both.
    pub stream: String,
}

const BLOCK: usize = 64 * 1024;
/// A line that grows beyond this without an end is passed on in parts.
const LINE_MAX: usize = 1024 * 1024;

/// Sends the wanted part of the log, then, when following, everything that is added until `ended` becomes true and the
/// file is read to its end. Ends early when nobody listens.
pub async fn read_log(path: &Path, options: LogOptions, out: mpsc::Sender<Bytes>, mut ended: watch::Receiver<bool>) -> Result<()> {
    let failed = |e: std::io::Error| RuntimeError::new("LogError", format!("cannot read the log {}: {e}", path.display()));
    let mut file = File::open(path).map_err(failed)?;
    // Watch before reading: nothing that is added in between is overlooked.
    let changes = if options.follow { Some(Changes::of(path).map_err(failed)?) } else { None };
    let start = match options.tail_lines {
        Some(lines) => tail_start(&mut file, lines).map_err(failed)?,
        None => 0,
    };
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut reader = LineReader { file, pending: Vec::new(), formatter: Formatter::new(options) };
    loop {
        // Asked first, read second: what was written before the end is read before we stop.
        let over = *ended.borrow();
        loop {
            let (chunk, more) = reader.next_chunk().map_err(failed)?;
            if !chunk.is_empty() && out.send(chunk).await.is_err() {
                return Ok(());
            }
            if reader.formatter.done() {
                return Ok(());
            }
            if !more {
                break;
            }
        }
        let Some(changes) = &changes else { return Ok(()) };
        if over {
            return Ok(());
        }
        tokio::select! {
            changed = changes.next() => changed.map_err(failed)?,
            // A sender that is gone means that the container is.
            _ = ended.changed() => {}
            () = out.closed() => return Ok(()),
        }
    }
}

struct LineReader {
    file: File,
    pending: Vec<u8>,
    formatter: Formatter,
}

impl LineReader {
    /// The next block's worth of text, and whether there may be more right away.
    fn next_chunk(&mut self) -> std::io::Result<(Bytes, bool)> {
        let mut block = vec![0u8; BLOCK];
        let n = self.file.read(&mut block)?;
        self.pending.extend_from_slice(block.get(..n).unwrap_or_default());
        let mut out = BytesMut::new();
        let mut done = 0;
        while let Some(end) = self.pending.get(done..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
            self.formatter.line(self.pending.get(done..done + end).unwrap_or_default(), &mut out);
            done += end + 1;
        }
        self.pending.drain(..done);
        if self.pending.len() > LINE_MAX {
            self.pending.clear();
        }
        Ok((out.freeze(), n == BLOCK))
    }
}

/// Turns CRI lines into what a client sees.
struct Formatter {
    options: LogOptions,
    left: u64,
    /// The last line written was a part; its continuation carries no time again.
    within_line: bool,
}

impl Formatter {
    fn new(options: LogOptions) -> Self {
        let left = options.limit_bytes.unwrap_or(u64::MAX);
        Formatter { options, left, within_line: false }
    }

    fn done(&self) -> bool {
        self.left == 0
    }

    fn line(&mut self, line: &[u8], out: &mut BytesMut) {
        let Some((time, stream, partial, text)) = parse(line) else { return };
        if !self.options.stream.is_empty() && self.options.stream.as_bytes() != stream {
            return;
        }
        if let Some(since) = self.options.since_ms {
            let at = std::str::from_utf8(time).ok().and_then(|t| t.parse::<jiff::Timestamp>().ok());
            if at.is_some_and(|t| t.as_millisecond() < since) {
                return;
            }
        }
        if self.options.timestamps && !self.within_line {
            self.put(time, out);
            self.put(b" ", out);
        }
        self.put(text, out);
        if !partial {
            self.put(b"\n", out);
        }
        self.within_line = partial;
    }

    fn put(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        out.put_slice(bytes.get(..take).unwrap_or_default());
        self.left -= take as u64;
    }
}

/// Time, stream, whether the line is only a part, and its text.
fn parse(line: &[u8]) -> Option<(&[u8], &[u8], bool, &[u8])> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
    Some((time, stream, tag.first() == Some(&b'P'), parts.next().unwrap_or_default()))
}

/// Where the last `lines` lines begin. A line that was written in parts counts once.
fn tail_start(file: &mut File, lines: u64) -> std::io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let (mut position, mut carry, mut seen) = (end, Vec::new(), 0u64);
    while position > 0 {
        let size = position.min(BLOCK as u64);
        position -= size;
        let mut block = vec![0u8; usize::try_from(size).unwrap_or(BLOCK)];
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(&mut block)?;
        block.extend_from_slice(&carry);
        // Line starts in this block, last first; the first bytes may belong to a line that begins further up.
        let mut stop = block.len();
        for at in (0..block.len()).rev() {
            if block.get(at) != Some(&b'\n') {
                continue;
            }
            let line = block.get(at + 1..stop).unwrap_or_default();
            if complete(line) {
                seen += 1;
                if seen > lines {
                    return Ok(position + stop as u64);
                }
            }
            stop = at + 1;
        }
        carry = block.get(..stop).unwrap_or_default().to_vec();
    }
    Ok(0)
}

fn complete(line: &[u8]) -> bool {
    parse(line).is_some_and(|(_, _, partial, _)| !partial)
}

/// nix's inotify knows its descriptor by reference only; the reactor wants it by number as well.
struct Notifier(Inotify);

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Notifier {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Tells when a file grows.
struct Changes {
    fd: AsyncFd<Notifier>,
}

impl Changes {
    fn of(path: &Path) -> std::io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(path, AddWatchFlags::IN_MODIFY)?;
        // SAFETY: the descriptor is owned by what is registered, and stays the same for its life.
        let fd = unsafe { AsyncFd::register(Notifier(inotify)) }?;
        Ok(Changes { fd })
    }

    async fn next(&self) -> std::io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            if let Ok(outcome) = ready.try_io(|fd| Ok(fd.get_ref().0.read_events()?)) {
                outcome?;
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn log(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    async fn read(file: &tempfile::NamedTempFile, options: LogOptions) -> String {
        let (out, mut chunks) = mpsc::channel(1024);
        let (_end, ended) = watch::channel(true);
        read_log(file.path(), options, out, ended).await.unwrap();
        let mut text = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            text.extend_from_slice(&chunk);
        }
        String::from_utf8(text).unwrap()
    }

    const TEXT: &str = "2026-01-01T00:00:00.000000001Z stdout F one\n2026-01-01T00:00:01.000000000Z stderr P tw\n2026-01-01T00:00:01.000000001Z stderr F o\n2026-01-01T00:00:02.000000000Z stdout F three\n";

    #[tokio::test]
    async fn parts_are_joined_and_selected() {
        let file = log(TEXT);
        assert_eq!(read(&file, LogOptions::default()).await, "one\ntwo\nthree\n");
        assert_eq!(read(&file, LogOptions { tail_lines: Some(1), ..Default::default() }).await, "three\n");
        assert_eq!(read(&file, LogOptions { tail_lines: Some(0), ..Default::default() }).await, "");
        assert_eq!(read(&file, LogOptions { stream: "stderr".into(), ..Default::default() }).await, "two\n");
        assert_eq!(read(&file, LogOptions { limit_bytes: Some(5), ..Default::default() }).await, "one\nt");
        let since = "2026-01-01T00:00:02Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let options = LogOptions { since_ms: Some(since), timestamps: true, ..Default::default() };
        assert_eq!(read(&file, options).await, "2026-01-01T00:00:02.000000000Z three\n");
    }

    #[tokio::test]
    async fn following_sees_what_is_added_and_ends_with_the_container() {
        let mut file = log(TEXT);
        let (out, mut chunks) = mpsc::channel(16);
        let (end, ended) = watch::channel(false);
        let path = file.path().to_path_buf();
        let follow = tokio::spawn(async move { read_log(&path, LogOptions { follow: true, ..Default::default() }, out, ended).await });
        assert_eq!(chunks.recv().await.unwrap(), "one\ntwo\nthree\n");
        file.write_all(b"2026-01-01T00:00:03.0Z stdout F four\n").unwrap();
        assert_eq!(chunks.recv().await.unwrap(), "four\n");
        file.write_all(b"2026-01-01T00:00:04.0Z stdout F five\n").unwrap();
        end.send(true).unwrap();
        assert_eq!(chunks.recv().await.unwrap(), "five\n");
        follow.await.unwrap().unwrap();
    }
}
