//! An exec or attach session: frames of a unix socket on one side, two channels on the other.
use crate::runtime::api::{Session, SessionInput, SessionOutput};
use crate::runtime::shim::frame::{Decoder, Frame, MAX_PAYLOAD};
use bytes::Bytes;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// Pieces that may wait on either side.
const QUEUE: usize = 16;

/// Starts a session on a connected socket. Dropping its output ends it: the shim sees the socket close.
pub fn open(socket: UnixStream) -> Session {
    let (read, write) = socket.into_split();
    let (input, inputs) = mpsc::channel(QUEUE);
    let (outputs, output) = mpsc::channel(QUEUE);
    tokio::spawn(run(read, write, inputs, outputs));
    Session { input, output }
}

async fn run(read: OwnedReadHalf, write: OwnedWriteHalf, inputs: mpsc::Receiver<SessionInput>, outputs: mpsc::Sender<SessionOutput>) {
    let gone = outputs.clone();
    let receiving = receive(read, outputs);
    let sending = send(write, inputs);
    tokio::select! {
        () = receiving => {}
        // Keeps its half of the socket for as long as the session lives, also after the input has ended.
        () = async { let _kept = sending.await; std::future::pending::<()>().await } => {}
        () = gone.closed() => {}
    }
}

async fn receive(mut read: OwnedReadHalf, outputs: mpsc::Sender<SessionOutput>) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; MAX_PAYLOAD];
    loop {
        loop {
            let output = match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(Frame::Stdout(data))) => SessionOutput::Stdout(data.into()),
                Ok(Some(Frame::Stderr(data))) => SessionOutput::Stderr(data.into()),
                Ok(Some(Frame::Exit(code))) => SessionOutput::Exit(code),
                Ok(Some(Frame::Failed(text))) => SessionOutput::Failed(text),
                Ok(Some(_)) => continue,
                Err(e) => SessionOutput::Failed(e.to_string()),
            };
            let last = matches!(output, SessionOutput::Exit(_) | SessionOutput::Failed(_));
            if outputs.send(output).await.is_err() || last {
                return;
            }
        }
        match read.read(&mut buffer).await {
            Ok(n) if n > 0 => decoder.push(buffer.get(..n).unwrap_or_default()),
            ended => {
                let text = ended.err().map_or_else(|| "the session ended without an exit code".to_owned(), |e| e.to_string());
                let _ = outputs.send(SessionOutput::Failed(text)).await;
                return;
            }
        }
    }
}

async fn send(mut write: OwnedWriteHalf, mut inputs: mpsc::Receiver<SessionInput>) -> OwnedWriteHalf {
    while let Some(input) = inputs.recv().await {
        let result = match input {
            SessionInput::Stdin(data) => send_data(&mut write, &data).await,
            SessionInput::CloseStdin => send_frame(&mut write, &Frame::CloseStdin).await,
            SessionInput::Resize(size) => send_frame(&mut write, &Frame::Resize { width: size.width, height: size.height }).await,
        };
        if result.is_err() {
            return write;
        }
    }
    // Whoever fed the input is gone: that is its end.
    let _ = send_frame(&mut write, &Frame::CloseStdin).await;
    write
}

async fn send_data(write: &mut OwnedWriteHalf, data: &Bytes) -> io::Result<()> {
    for piece in data.chunks(MAX_PAYLOAD) {
        send_frame(write, &Frame::Stdin(piece.to_vec())).await?;
    }
    Ok(())
}

/// Writes one frame.
pub async fn send_frame(write: &mut (impl AsyncWriteExt + Unpin), frame: &Frame) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    write.write_all(&bytes).await
}
