//! Reading a container's log as `kubectl logs` wants it.
mod inotify;
mod records;
mod tail;

use bytes::Bytes;
use records::Assembler;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{mpsc, watch};

pub use crate::runtime::shim::log::Stream;

/// What is read at once.
const CHUNK: usize = 64 * 1024;

/// `PodLogOptions`, as far as a log file is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with what is written later, until the container has ended.
    pub follow: bool,
    /// Only this many lines from the end; `None` for all.
    pub tail_lines: Option<u64>,
    /// Not more than this many bytes of output.
    pub limit_bytes: Option<u64>,
    /// Only what was written at or after this time, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Only this stream; `None` for both.
    pub stream: Option<Stream>,
}

/// Sends the log at `path` to `out`, pieces of lines joined. `ended` becomes true when the container's shim has written its
/// last; with `follow`, reading ends then. A log that is not there is empty. Returns early, without error, when `out` is closed.
///
/// As upstream has it, only the current file is read, not those that were renamed aside; a rename while following is followed.
pub async fn read_log(path: &Path, options: LogOptions, out: mpsc::Sender<Bytes>, mut ended: watch::Receiver<bool>) -> io::Result<()> {
    // Before the first look at the file, so that no change falls between looking and waiting.
    let mut changes = if options.follow { Some(inotify::Changes::of(path.parent().unwrap_or(Path::new("/")))?) } else { None };
    let mut assembler = Assembler::new(&options);
    let mut file = open_at_tail(path, &options).await?;
    loop {
        // Asked before draining: what was written before the end is then certainly drained.
        let last = *ended.borrow();
        if let Some(file) = &mut file
            && !drain(file, &mut assembler, &out).await?
        {
            return Ok(());
        }
        if let Some(newer) = replaced(path, file.as_ref()).await? {
            // The old file gets nothing more once its name is gone; one more read takes what came before that.
            if let Some(file) = &mut file
                && !drain(file, &mut assembler, &out).await?
            {
                return Ok(());
            }
            file = Some(newer);
            continue;
        }
        let Some(changes) = changes.as_mut().filter(|_| !last) else { return Ok(()) };
        tokio::select! {
            changed = changes.wait() => changed?,
            // A sender that is gone will not say anything any more: the container is taken to have ended.
            closed = async { ended.changed().await.is_err() && !*ended.borrow() } => if closed {
                ended = watch::channel(true).1;
            },
            () = out.closed() => return Ok(()),
        }
    }
}

async fn open_at_tail(path: &Path, options: &LogOptions) -> io::Result<Option<File>> {
    let Some(mut file) = open(path).await? else { return Ok(None) };
    if let Some(lines) = options.tail_lines {
        let (standard, stream) = (file.into_std().await, options.stream);
        let found = tokio::task::spawn_blocking(move || tail::start(&standard, lines, stream).map(|at| (standard, at)));
        let (standard, at) = found.await.map_err(io::Error::other)??;
        file = File::from_std(standard);
        file.seek(io::SeekFrom::Start(at)).await?;
    }
    Ok(Some(file))
}

async fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path).await {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The file that now has the name, if it is not the one we read.
async fn replaced(path: &Path, current: Option<&File>) -> io::Result<Option<File>> {
    let Some(newer) = open(path).await? else { return Ok(None) };
    let Some(current) = current else { return Ok(Some(newer)) };
    let (a, b) = (newer.metadata().await?, current.metadata().await?);
    Ok(if (a.dev(), a.ino()) == (b.dev(), b.ino()) { None } else { Some(newer) })
}

/// Sends all that is in the file now. False when nobody wants more.
async fn drain(file: &mut File, assembler: &mut Assembler, out: &mpsc::Sender<Bytes>) -> io::Result<bool> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = file.read(&mut buffer).await?;
        let Some(data) = buffer.get(..n).filter(|d| !d.is_empty()) else { return Ok(true) };
        let output = assembler.feed(data);
        if !output.is_empty() && out.send(output.into()).await.is_err() {
            return Ok(false);
        }
        if assembler.is_full() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests;
