//! A container's log on its way to the server: channel 1, with back-pressure.
use crate::actors::mesh::{MeshError, Stream};
use crate::protocol::mesh::{Answer, Frame, LogCall};
use crate::protocol::status::ApiError;
use crate::runtime::containers::logs::{LogOptions, read_log};
use crate::runtime::shim::log::Stream as Source;
use std::path::PathBuf;
use tokio::sync::{mpsc, watch};

/// Chunks of a log that may wait for the network.
const CHUNKS: usize = 8;
const TEXT: u8 = 1;
const LAST_WORDS: usize = 2048;

/// Sends the log at `path`. `ended` becomes true when nothing more will be written.
pub(super) async fn send(path: PathBuf, call: &LogCall, ended: watch::Receiver<bool>, mut stream: Stream) -> Result<(), MeshError> {
    if !path.exists() {
        // Nothing was written yet; a container that has just started may not have its file either.
        if !call.follow {
            stream.answer(&Answer::Ok).await?;
            return stream.finish();
        }
        return stream.refuse(ApiError::internal(format!("the log {} does not exist", path.display()))).await;
    }
    let options = LogOptions {
        follow: call.follow,
        timestamps: call.timestamps,
        tail_lines: call.tail_lines,
        limit_bytes: call.limit_bytes,
        since_ms: call.since_ms,
        stream: match call.stream.as_str() {
            "stdout" => Some(Source::Stdout),
            "stderr" => Some(Source::Stderr),
            _ => None,
        },
    };
    stream.answer(&Answer::Ok).await?;
    let (mut writer, _reader) = stream.split();
    let gone = writer.stopped();
    let (sender, mut chunks) = mpsc::channel(CHUNKS);
    let reading = read_log(&path, options, sender, ended);
    let sending = async {
        while let Some(bytes) = chunks.recv().await {
            writer.send_frame(&Frame::Data { channel: TEXT, bytes }).await?;
        }
        writer.finish()
    };
    tokio::select! {
        (read, sent) = async { tokio::join!(reading, sending) } => {
            if let Err(error) = read {
                tracing::warn!(%error, "a log could not be read to its end");
            }
            sent
        }
        () = gone => Ok(()),
    }
}

/// The end of a log as a termination message: at most 80 lines and 2,048 bytes, as upstream has it.
pub(super) async fn last_words(path: &std::path::Path) -> String {
    let options = LogOptions { tail_lines: Some(80), ..Default::default() };
    let (sender, mut chunks) = mpsc::channel::<bytes::Bytes>(CHUNKS);
    let (_never, ended) = watch::channel(true);
    let mut text = Vec::new();
    let collecting = async {
        while let Some(bytes) = chunks.recv().await {
            text.extend_from_slice(&bytes);
            text.drain(..text.len().saturating_sub(LAST_WORDS));
        }
    };
    // A log that cannot be read has nothing to say.
    let _ = tokio::join!(read_log(path, options, sender, ended), collecting);
    String::from_utf8_lossy(&text).into_owned()
}
