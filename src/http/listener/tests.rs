use super::rewrite::{HeadTooLarge, MAX_HEAD, Rewriter};
use super::*;
use proptest::prelude::*;

fn passed(pieces: &[&[u8]]) -> Result<String, HeadTooLarge> {
    let mut rewriter = Rewriter::new(false);
    for piece in pieces {
        rewriter.feed(piece)?;
    }
    Ok(String::from_utf8_lossy(rewriter.ready_bytes()).into_owned())
}

const SPDY: &str = "POST /exec HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
const SHOWN: &str = "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Upgrade-Was: SPDY/3.1\r\n\r\n";

#[test]
fn spdy_upgrades_are_shown_as_websockets_wherever_they_come() {
    let raw = "\u{80}SPDY bytes\r\n\r\nUpgrade: SPDY/3.1\r\n\r\n";
    assert_eq!(passed(&[SPDY.as_bytes(), raw.as_bytes()]).unwrap(), format!("{SHOWN}{raw}"));
    // As a later request of the connection, behind a body that looks like an upgrade itself.
    let earlier = format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{SPDY}GET / HTTP/1.1\r\nHost: x\r\n\r\n", SPDY.len());
    assert_eq!(passed(&[format!("{earlier}{SPDY}").as_bytes()]).unwrap(), format!("{earlier}{SHOWN}"));
    // Byte by byte.
    let all = format!("{earlier}{SPDY}");
    let single: Vec<&[u8]> = all.as_bytes().chunks(1).collect();
    assert_eq!(passed(&single).unwrap(), format!("{earlier}{SHOWN}"));
}

#[test]
fn what_is_not_understood_passes_untouched() {
    for head in [
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nUpgrade: SPDY/3.1\r\n\r\n",
    ] {
        let all = format!("{head}{SPDY}");
        assert_eq!(passed(&[all.as_bytes()]).unwrap(), all);
    }
    assert_eq!(passed(&["x".repeat(MAX_HEAD).as_bytes()]), Err(HeadTooLarge));
}

proptest! {
    #[test]
    fn random_bytes_pass_in_any_pieces(bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1usize..50) {
        let mut rewriter = Rewriter::new(false);
        for piece in bytes.chunks(size) {
            prop_assert!(rewriter.feed(piece).is_ok());
        }
        prop_assert!(rewriter.ready_bytes().len() <= bytes.len() + 64);
    }
}

#[test]
fn a_port_in_use_is_said_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = bind(taken.local_addr().unwrap()).unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }), "{error}");
}

#[tokio::test]
async fn a_cut_connection_neither_reads_nor_writes() {
    use tokio::io::AsyncReadExt;
    let (io, mut client) = tokio::io::duplex(64);
    let mut connection = rewrite::Rewriting::new(io, PeerInfo::default(), true);
    let cutoff = connection.cutoff.clone();
    client.write_all(b"x").await.unwrap();
    assert_eq!(connection.read_u8().await.unwrap(), b'x');
    // The client reads nothing, so this write stands still until the cut wakes it.
    let stalled = tokio::spawn(async move { (connection.write_all(&[0; 1000]).await.unwrap_err().kind(), connection) });
    tokio::task::yield_now().await;
    cutoff.cut();
    let (kind, mut connection) = tokio::time::timeout(Duration::from_secs(10), stalled).await.unwrap().unwrap();
    assert_eq!(kind, io::ErrorKind::ConnectionAborted);
    assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}
