//! The listener and the streams against real kubectls: the oldest and the newest that are found beside the one in PATH or are named
//! in `KUBECTL_EXTRA` (paths parted by colons); all of them with `KUBECTL_ALL=1`.
mod api;
mod kubectl;

use api::Api;
use kubectl::{Kubectl, Transport, kubectls, matrix};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SIZE: usize = 5 * 1024 * 1024;

/// Five megabytes that do not repeat within a buffer's length.
fn pattern() -> Vec<u8> {
    (0..SIZE as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exec_tells_output_errors_and_exit_codes() {
    let api = Api::start().await;
    for (kubectl, transport) in matrix() {
        let said = api.run(&kubectl, transport, &["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3"], b"").await;
        assert_eq!((said.stdout.as_str(), said.code), ("out\n", 3), "{kubectl} {transport:?}: {}", said.stderr);
        assert!(said.stderr.starts_with("err\n"), "{kubectl} {transport:?}: {}", said.stderr);
        assert!(said.stderr.contains("command terminated with exit code 3"), "{kubectl} {transport:?}: {}", said.stderr);
        assert!(api.was_asked_for(transport), "{kubectl} {transport:?} went another way");
        let said = api.run(&kubectl, transport, &["exec", "web", "--", "true"], b"").await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{kubectl} {transport:?}");
        let said = api.run(&kubectl, transport, &["exec", "web", "--", "/no/such/command"], b"").await;
        assert!(said.code != 0 && said.stderr.contains("error executing command in container"), "{kubectl} {transport:?}: {}", said.stderr);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exec_carries_megabytes_both_ways() {
    let api = Api::start().await;
    let bytes = pattern();
    for (kubectl, transport) in matrix() {
        // Websocket protocols before v5 cannot close stdin, and old servers' clients know it: `head` ends by itself.
        let command = format!("head -c {SIZE}; echo done >&2");
        let said = api.run(&kubectl, transport, &["exec", "-i", "web", "--", "sh", "-c", &command], &bytes).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, "done\n"), "{kubectl} {transport:?}");
        assert!(said.bytes == bytes, "{kubectl} {transport:?}: {} bytes came back changed", said.bytes.len());
        let said = api.run(&kubectl, transport, &["exec", "-i", "web", "--", "cat"], b"until the end of file").await;
        assert_eq!((said.code, said.stdout.as_str()), (0, "until the end of file"), "{kubectl} {transport:?}: {}", said.stderr);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_and_an_attached_session() {
    let api = Api::start().await;
    for (kubectl, transport) in matrix() {
        let said = api.in_terminal(&kubectl, transport, "exec -it web -- size").await;
        assert!(said.stdout.contains("size 133x37"), "{kubectl} {transport:?}: {} {}", said.stdout, said.stderr);
        let said = api.run(&kubectl, transport, &["attach", "-i", "web"], b"hello\n").await;
        assert_eq!(said.code, 0, "{kubectl} {transport:?}: {}", said.stderr);
        assert!(said.stdout.contains("attached\nhello\n"), "{kubectl} {transport:?}: {}", said.stdout);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_forwarded() {
    let api = Api::start().await;
    for (kubectl, transport) in matrix() {
        let mut child = api.start_kubectl(&kubectl, transport, &["port-forward", "web", ":80", ":9"]);
        let ports = kubectl::forwarded_ports(&mut child, 2).await;
        let port = ports[0];
        let label = format!("{kubectl} {transport:?}");
        let moved = tokio::task::spawn_blocking(move || (echo(port), echo(port))).await.unwrap();
        assert!(api.was_asked_for(transport), "{label} went another way");
        assert!(moved.0 && moved.1, "{label}: bytes came back changed");
        // Port 9 refuses: the connection closes without a byte, and kubectl says why.
        let refused = ports[1];
        let read = tokio::task::spawn_blocking(move || {
            let mut socket = TcpStream::connect(("127.0.0.1", refused)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket.read(&mut [0; 1]).unwrap_or(0)
        });
        assert_eq!(read.await.unwrap(), 0, "{label}");
        child.start_kill().unwrap();
        let said = child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("error forwarding port 9 to pod web_default"), "{label}: {said}");
    }
    api.stop().await;
}

/// Sends the pattern through an echo server, reading while writing, with a half close at the end.
fn echo(port: u16) -> bool {
    let bytes = pattern();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut writing = socket.try_clone().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || writing.write_all(&sent));
    let mut back = vec![0; SIZE];
    let read = socket.read_exact(&mut back);
    writer.join().unwrap().unwrap();
    read.is_ok() && back == bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_ends_logs_and_sessions() {
    for (kubectl, transport) in matrix() {
        let api = Api::start().await;
        let mut logs = api.start_kubectl(&kubectl, transport, &["logs", "-f", "web"]);
        let mut exec = api.start_kubectl(&kubectl, transport, &["exec", "web", "--", "sh", "-c", "echo up; sleep 60"]);
        kubectl::first_line(&mut logs, "line 0").await;
        kubectl::first_line(&mut exec, "up").await;
        let start = Instant::now();
        api.stop().await;
        assert!(start.elapsed() < Duration::from_secs(3), "stopping took {:?}", start.elapsed());
        let ended = tokio::time::timeout(Duration::from_secs(5), logs.wait()).await;
        assert!(ended.is_ok(), "{kubectl} {transport:?}: logs -f did not end");
        let ended = tokio::time::timeout(Duration::from_secs(5), exec.wait()).await.expect("exec did not end").unwrap();
        assert!(!ended.success(), "{kubectl} {transport:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_ends_its_session() {
    let api = Api::start().await;
    for (kubectl, transport) in matrix() {
        let mut exec = api.start_kubectl(&kubectl, transport, &["exec", "web", "--", "sh", "-c", "echo up; sleep 60"]);
        kubectl::first_line(&mut exec, "up").await;
        assert_eq!(api.sessions(), 1);
        exec.kill().await.unwrap();
        let gone = async {
            while api.sessions() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(5), gone).await.is_ok(), "{kubectl} {transport:?}: the session lives on");
    }
    api.stop().await;
}

/// Input that nobody reads fills every buffer, so the connection is not read; the client's end must be noticed all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_while_its_input_is_stuck() {
    let api = Api::start().await;
    let newest = kubectls().into_iter().next_back();
    for transport in [Transport::Spdy, Transport::WebSocket] {
        let Some(kubectl) = &newest else { return };
        let command = ["exec", "-i", "web", "--", "sh", "-c", "echo up; sleep 60"];
        let mut exec = api.start_flooded(kubectl, transport, &command);
        kubectl::first_line(&mut exec, "up").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        exec.kill().await.unwrap();
    }
    assert!(api.sessions() > 0);
    let gone = async {
        while api.sessions() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), gone).await.is_ok(), "a session lives on");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_by_itself() {
    let api = Api::start().await;
    // A panic is a 500 Status and costs nothing else.
    let requests = "GET /panic HTTP/1.1\r\nHost: x\r\n\r\nGET /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = api.raw(requests, "certificate=true address=true").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.contains("This request caused apiserver to panic"), "{answer}");
    assert!(answer.contains("certificate=true address=true"), "{answer}");
    // A plain request where an upgrade is wanted.
    let request = "POST /api/v1/namespaces/default/pods/web/exec?stdout=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = api.raw(request, "Upgrade request required").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("Upgrade request required"), "{answer}");
    // An endless head.
    let answer = api.raw(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(20_000)), "HTTP/1.1 431").await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    // SPDY as a later request on a connection.
    let spdy = "POST /api/v1/namespaces/default/pods/web/exec?stdout=true&command=true HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
                Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";
    let answer = api.raw(&format!("GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n{spdy}"), "HTTP/1.1 101 Switching Protocols").await;
    assert!(answer.contains("HTTP/1.1 101 Switching Protocols"), "{answer}");
    // Plain HTTP on the TLS port.
    let address = api.address();
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer);
        answer
    });
    assert!(answer.await.unwrap().contains("Client sent an HTTP request to an HTTPS server."));
    // The port is free after the stop.
    api.stop().await;
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn some_kubectl_is_there() {
    if kubectls().is_empty() {
        eprintln!("SKIPPED: no kubectl in PATH or KUBECTL_EXTRA; the streams were not tested against any");
    }
    let _: Vec<(Kubectl, Transport)> = matrix();
}
