use super::frame::{self, Decoder, Frame};
use super::*;
use bytes::Bytes;
use futures_util::Stream;
use proptest::prelude::*;
use std::convert::Infallible;
use tokio::sync::mpsc;

/// An mpsc receiver as the connection's input.
fn receiver(rx: mpsc::Receiver<Bytes>) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
    Box::pin(futures_util::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|bytes| (Ok(bytes), rx)) }))
}

fn frames(bytes: &[u8], size: usize) -> Result<Vec<Frame>, SpdyError> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        decoder.feed(piece);
        while let Some(frame) = decoder.next_frame()? {
            found.push(frame);
        }
    }
    Ok(found)
}

#[test]
fn frames_survive_the_wire_in_any_pieces() {
    let mut packer = Packer::new().unwrap();
    let mut bytes = Vec::new();
    for id in [1, 3, 5] {
        bytes.extend(frame::syn_stream(&mut packer, id, id == 5, &[("streamtype", "stdin"), ("port", "80")]).unwrap());
    }
    bytes.extend(frame::rst_stream(3, frame::RST_CANCEL));
    bytes.extend(frame::ping(7));
    bytes.extend(frame::window_update(1, 99));
    bytes.extend(frame::go_away(5));
    for size in [1, 7, 10_000] {
        let found = frames(&bytes, size).unwrap();
        let headers: Headers = vec![("streamtype".into(), "stdin".into()), ("port".into(), "80".into())];
        assert_eq!(found[0], Frame::SynStream { id: 1, fin: false, headers: headers.clone() });
        assert_eq!(found[2], Frame::SynStream { id: 5, fin: true, headers });
        let rest = [
            Frame::RstStream { id: 3, status: 5 },
            Frame::Ping { id: 7 },
            Frame::WindowUpdate { id: 1, delta: 99 },
            Frame::GoAway { last: 5 },
        ];
        assert_eq!(found[3..], rest);
    }
    let pieces = frames(&frame::data(1, true, b"hello"), 10).unwrap();
    let piece = |fin, payload: &'static [u8]| Frame::Data { id: 1, fin, payload: Bytes::from_static(payload) };
    assert_eq!(pieces, [piece(false, b"he"), piece(true, b"llo")]);
}

#[test]
fn header_bombs_and_large_frames_are_refused() {
    let mut packer = Packer::new().unwrap();
    let bomb = frame::syn_stream(&mut packer, 1, false, &[("a", &"x".repeat(1 << 20))]).unwrap();
    assert_eq!(frames(&bomb, bomb.len()), Err(SpdyError::TooLarge));
    assert_eq!(frames(&[0x80, 3, 0, 1, 0, 0xff, 0, 0], 8), Err(SpdyError::TooLarge));
    assert_eq!(frames(&[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1], 12), Err(SpdyError::Version));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in 1usize..64) {
        let _ = frames(&bytes, size);
    }

    #[test]
    fn random_control_frames_never_panic(kind in 0u16..12, flags in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = vec![0x80, 3];
        bytes.extend(kind.to_be_bytes());
        bytes.extend([flags, 0, 0, body.len() as u8]);
        bytes.extend(&body);
        let _ = frames(&bytes, 64);
    }

    #[test]
    fn damaged_header_blocks_never_panic(at in 18usize..60, with in any::<u8>()) {
        let mut packer = Packer::new().unwrap();
        let mut bytes = frame::syn_stream(&mut packer, 1, false, &[("streamtype", "stdin"), ("port", "80")]).unwrap().to_vec();
        let place = at % bytes.len();
        bytes[place] = with;
        let _ = frames(&bytes, 1000);
    }
}

#[actix_rt::test]
async fn a_stream_echoes_and_obeys_a_window_once_one_is_kept() {
    let (to_server, input) = mpsc::channel(64);
    let (output, mut from_server) = mpsc::channel(64);
    let mut connection = serve(receiver(input), output).unwrap();
    let mut packer = Packer::new().unwrap();
    to_server.send(frame::syn_stream(&mut packer, 1, false, &[("streamtype", "data")]).unwrap()).await.unwrap();
    to_server.send(frame::data(1, true, b"ping")).await.unwrap();
    let mut stream = connection.accept().await.unwrap();
    assert_eq!(stream.header("streamtype"), Some("data"));
    stream.accept().await.unwrap();
    assert_eq!(stream.reader.recv().await.unwrap(), "ping");
    assert_eq!(stream.reader.recv().await, None);
    let reply = frames(&from_server.recv().await.unwrap(), 100).unwrap();
    assert_eq!(reply, [Frame::SynReply { id: 1, fin: false, headers: vec![] }]);

    // The first grant makes the window binding: 65,536 initial bytes and this one.
    to_server.send(frame::window_update(1, 1)).await.unwrap();
    to_server.send(frame::ping(9)).await.unwrap();
    assert_eq!(frames(&from_server.recv().await.unwrap(), 100).unwrap(), [Frame::Ping { id: 9 }]);
    let writer = stream.writer;
    let writing = actix_rt::spawn(async move { writer.write(Bytes::from(vec![7; 70_000])).await.map(|()| writer) });
    let mut seen = 0;
    while seen < 65_537 {
        seen += from_server.recv().await.unwrap().len() - 8;
    }
    assert_eq!(seen, 65_537);
    assert!(!writing.is_finished());
    to_server.send(frame::window_update(1, 10_000)).await.unwrap();
    writing.await.unwrap().unwrap().finish().await.unwrap();
    assert_eq!(from_server.recv().await.unwrap().len(), 8 + 70_000 - 65_537);
    assert_eq!(frames(&from_server.recv().await.unwrap(), 100).unwrap(), [Frame::Data { id: 1, fin: true, payload: Bytes::new() }]);

    drop(to_server);
    assert!(connection.accept().await.is_none());
}
