//! A container's log on its way to the server: channel 1, with back-pressure.
use crate::actors::mesh::{MeshError, Stream};
use crate::protocol::mesh::{Answer, Frame, LogCall};
use crate::protocol::status::ApiError;
use crate::runtime::containers::logs::{LogOptions, read_log};
use std::path::PathBuf;
use tokio::sync::{mpsc, watch};

/// Chunks of a log that may wait for the network.
const CHUNKS: usize = 8;
const TEXT: u8 = 1;

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
        stream: call.stream.clone(),
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
