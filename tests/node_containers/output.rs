use super::fixture::{Fixture, gather, possible};
use bytes::Bytes;
use impresario::runtime::api::{SessionInput, SessionOutput, TerminalSize};
use impresario::runtime::containers::logs::{LogOptions, Stream, read_log};
use tokio::sync::{mpsc, watch};

async fn log_text(f: &Fixture, id: &str, options: LogOptions) -> String {
    let (sender, mut receiver) = mpsc::channel(4);
    let (_ended, flag) = watch::channel(true);
    let path = f.log(id);
    tokio::spawn(async move { read_log(&path, options, sender, flag).await });
    let mut all = Vec::new();
    while let Some(piece) = receiver.recv().await {
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_arrives_and_long_ones_are_joined() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let (end, _) = f.run(f.script("many", "i=0; while [ $i -lt 10000 ]; do echo line $i; i=$((i+1)); done; echo err >&2")).await;
    assert_eq!(end.exit.code, 0);
    let stdout = LogOptions { stream: Some(Stream::Stdout), ..LogOptions::default() };
    let text = log_text(&f, "many", stdout.clone()).await;
    assert!(text.lines().enumerate().all(|(n, line)| line == format!("line {n}")));
    assert_eq!(text.lines().count(), 10_000);
    assert_eq!(log_text(&f, "many", LogOptions { stream: Some(Stream::Stderr), ..LogOptions::default() }).await, "err\n");

    let (_, log) = f.run(f.script("long", "head -c 40000 /dev/zero | tr '\\0' x; echo; printf end")).await;
    assert_eq!(log.lines().filter(|l| l.contains(" stdout P ")).count(), 3, "two pieces and the unfinished end");
    assert_eq!(log_text(&f, "long", stdout).await, format!("{}\nend", "x".repeat(40_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_client_speaks_and_hears() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let mut spec = f.script("chat", "while read line; do echo got $line; done; echo closed; exit 4");
    (spec.stdin, spec.stdin_once) = (true, true);
    f.start(spec).await;
    let mut session = f.containers.attach("chat").await.expect("attached");
    session.input.send(SessionInput::Stdin(Bytes::from_static(b"one\n"))).await.expect("sent");
    assert_eq!(session.output.recv().await, Some(SessionOutput::Stdout(Bytes::from_static(b"got one\n"))));
    session.input.send(SessionInput::CloseStdin).await.expect("sent");
    let said = gather(session).await;
    assert_eq!((said.stdout.as_str(), said.code), ("closed\n", Some(4)));
    assert_eq!(f.exited().await.exit.code, 4);
    assert_eq!(f.containers.attach("chat").await.map_err(|e| e.reason).err(), Some("ContainerNotRunning"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_a_size_and_an_end() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let mut spec = f.script("tty", "read x; stty size; tty; exit 7");
    (spec.tty, spec.stdin) = (true, true);
    f.start(spec).await;
    let session = f.containers.attach("tty").await.expect("attached");
    session.input.send(SessionInput::Resize(TerminalSize { width: 132, height: 43 })).await.expect("sent");
    session.input.send(SessionInput::Stdin(Bytes::from_static(b"go\n"))).await.expect("sent");
    let said = gather(session).await;
    assert!(said.stdout.contains("43 132"), "{said:?}");
    assert!(said.stdout.contains("/dev/"), "{said:?}");
    assert_eq!(said.code, Some(7));
    assert_eq!(f.exited().await.exit.code, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_nothing_up() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let mut spec = f.script("loud", "read x; head -c 8000000 /dev/zero | tr '\\0' y; exit 0");
    spec.stdin = true;
    f.start(spec).await;
    let mut lazy = f.containers.attach("loud").await.expect("attached");
    lazy.input.send(SessionInput::Stdin(Bytes::from_static(b"\n"))).await.expect("sent");
    assert_eq!(f.exited().await.exit.code, 0);
    let mut taken = 0;
    while let Some(SessionOutput::Stdout(data)) = lazy.output.recv().await {
        taken += data.len();
    }
    assert!(taken < 8_000_000, "a slow client is dropped, not buffered for");
}
