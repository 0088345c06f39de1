use super::*;
use std::path::PathBuf;
use std::time::Duration;

fn log(dir: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("0.log");
    std::fs::write(&path, text).expect("write");
    path
}

async fn read(path: &Path, options: LogOptions) -> String {
    let (sender, mut receiver) = mpsc::channel(4);
    let (_ended, flag) = watch::channel(true);
    let path = path.to_owned();
    let task = tokio::spawn(async move { read_log(&path, options, sender, flag).await });
    let mut all = Vec::new();
    while let Some(piece) = receiver.recv().await {
        all.extend_from_slice(&piece);
    }
    task.await.expect("no panic").expect("no error");
    String::from_utf8(all).expect("text")
}

const LOG: &str = "2026-01-01T00:00:00Z stdout F one\n\
    2026-01-01T00:00:01Z stdout P two-\n\
    2026-01-01T00:00:01.5Z stderr F oops\n\
    2026-01-01T00:00:02Z stdout F two\n\
    not a record\n\
    2026-01-01T00:00:03Z stdout F three\n";

#[tokio::test]
async fn lines_are_joined_filtered_and_cut() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = log(&dir, LOG);
    let all = LogOptions::default;
    assert_eq!(read(&path, LogOptions { stream: Some(Stream::Stdout), ..all() }).await, "one\ntwo-two\nthree\n");
    assert_eq!(read(&path, LogOptions { stream: Some(Stream::Stderr), ..all() }).await, "oops\n");
    assert_eq!(read(&path, LogOptions { limit_bytes: Some(6), ..all() }).await, "one\ntw");
    let stamped = read(&path, LogOptions { timestamps: true, stream: Some(Stream::Stdout), ..all() }).await;
    assert_eq!(stamped, "2026-01-01T00:00:00Z one\n2026-01-01T00:00:01Z two-two\n2026-01-01T00:00:03Z three\n");
    let since = "2026-01-01T00:00:02Z".parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    assert_eq!(read(&path, LogOptions { since_ms: Some(since), ..all() }).await, "two\nthree\n");
    assert_eq!(read(&dir.path().join("absent"), all()).await, "");
}

#[tokio::test]
async fn tail_counts_lines_not_pieces() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = log(&dir, LOG);
    let tail = |lines, stream| LogOptions { tail_lines: Some(lines), stream, ..LogOptions::default() };
    assert_eq!(read(&path, tail(0, None)).await, "");
    assert_eq!(read(&path, tail(1, None)).await, "three\n");
    assert_eq!(read(&path, tail(2, Some(Stream::Stdout))).await, "two-two\nthree\n");
    assert_eq!(read(&path, tail(99, Some(Stream::Stdout))).await, "one\ntwo-two\nthree\n");

    let long: String = (0..20_000).map(|n| format!("2026-01-01T00:00:00Z stdout F line {n}\n")).collect();
    let path = log(&dir, &format!("{long}2026-01-01T00:00:00Z stdout P unfinished\n"));
    assert_eq!(read(&path, tail(2, None)).await, "line 19999\nunfinished");
    let many = read(&path, tail(10_001, None)).await;
    assert_eq!((many.lines().next(), many.lines().count()), (Some("line 10000"), 10_001));
}

#[tokio::test]
async fn following_survives_rotation_and_ends_with_the_container() {
    use std::io::Write;
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("0.log");
    let (sender, mut receiver) = mpsc::channel(4);
    let (ended, flag) = watch::channel(false);
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    let task = {
        let path = path.clone();
        tokio::spawn(async move { read_log(&path, follow, sender, flag).await })
    };
    let mut next = async || tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await.expect("in time");
    let append = |text: &str| {
        let mut file = std::fs::File::options().create(true).append(true).open(&path).expect("open");
        file.write_all(text.as_bytes()).expect("write");
    };
    append("T stdout F first\n");
    assert_eq!(next().await.as_deref(), Some(b"first\n".as_slice()));
    append("T stdout F sec");
    append("ond\n");
    assert_eq!(next().await.as_deref(), Some(b"second\n".as_slice()));
    std::fs::rename(&path, dir.path().join("0.log.1")).expect("rename");
    append("T stdout F third\n");
    assert_eq!(next().await.as_deref(), Some(b"third\n".as_slice()));
    append("T stdout F last\n");
    ended.send(true).expect("a receiver");
    assert_eq!(next().await.as_deref(), Some(b"last\n".as_slice()));
    assert_eq!(next().await, None);
    task.await.expect("no panic").expect("no error");
}
