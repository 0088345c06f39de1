//! Both ends over the loopback.
use super::*;
use crate::protocol::mesh::{Answer, ApiCall, Call, Envelope, ExecCall, Frame, LogCall};
use crate::protocol::status::ApiError;
use crate::storage::pki::{Identity, JoinToken, NodeIdentity, Pki, PkiConfig, node};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// Echoes: API bodies, exec's frames. Logs never end, stats panics. Pins node names to keys unless told not to.
#[derive(Default)]
struct Echo {
    pinned: Mutex<HashMap<String, String>>,
    careless: bool,
}

#[async_trait]
impl Service for Echo {
    async fn call(&self, caller: Caller, envelope: Envelope, mut stream: Stream) {
        match envelope.body {
            Call::Api(call) => {
                let body = format!("{} {} {} {}", caller.name, envelope.from, envelope.to, String::from_utf8_lossy(&call.body));
                let _ = stream.reply(Answer::Api { code: 200, body: body.into() }).await;
            }
            Call::Exec(_) => {
                let _ = stream.answer(&Answer::Ok).await;
                while let Ok(Some(frame)) = stream.next_frame().await {
                    let _ = stream.send_frame(&frame).await;
                }
                let _ = stream.finish();
            }
            Call::Logs(_) => {
                let _ = stream.answer(&Answer::Ok).await;
                let frame = Frame::Data { channel: 1, bytes: Bytes::from(vec![b'x'; 64 * 1024]) };
                while stream.send_frame(&frame).await.is_ok() {}
            }
            Call::Stats => panic!("on purpose"),
            other => {
                let _ = stream.refuse(ApiError::not_implemented(format!("{other:?}"))).await;
            }
        }
    }

    async fn admit(&self, identity: &Identity, node: &str) -> Result<(), ApiError> {
        self.join_allowed(node, &identity.key_fingerprint).await
    }

    async fn join_allowed(&self, node: &str, key: &str) -> Result<(), ApiError> {
        let mut pinned = self.pinned.lock().unwrap();
        let owner = pinned.entry(node.to_string()).or_insert_with(|| key.to_string());
        if self.careless || owner == key { Ok(()) } else { Err(ApiError::new(409, "AlreadyExists", "pinned to another key")) }
    }
}

fn pki(dir: &Path) -> Arc<Pki> {
    let config = PkiConfig { cluster_name: "test".into(), server_names: vec![], server_ips: vec![] };
    Arc::new(Pki::open_or_create(dir, config).unwrap())
}

fn serve_at(pki: &Arc<Pki>, address: SocketAddr, careless: bool) -> MeshServer {
    let service = Arc::new(Echo { careless, ..Default::default() });
    let config = MeshServerConfig { address, pki: pki.clone(), server: "server-1".into(), service, runtime: Handle::current() };
    MeshServer::bind(config).unwrap()
}

/// Serves at an address that another server has just left: its last tasks may still hold the socket.
async fn serve_again(pki: &Arc<Pki>, address: SocketAddr) -> MeshServer {
    let free = async {
        while std::net::UdpSocket::bind(address).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, free).await.unwrap();
    serve_at(pki, address, false)
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn client(server: SocketAddr, identity: NodeIdentity, dir: &Path) -> MeshClient {
    MeshClient::start(MeshClientConfig {
        servers: vec![server.to_string()],
        identity,
        dir: dir.to_path_buf(),
        service: Arc::new(Echo::default()),
        runtime: Handle::current(),
        socket: None,
    })
}

async fn up(client: &MeshClient) {
    let mut connected = client.connected();
    let reached = timeout(SOON, connected.wait_for(|up| *up)).await;
    assert!(reached.is_ok(), "not connected: {:?}", client.last_error());
}

async fn failing(client: &MeshClient, with: &str) {
    let says = async {
        while !client.last_error().is_some_and(|e| e.contains(with)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(SOON, says).await.is_ok(), "{with:?} expected, got {:?}", client.last_error());
}

/// A machine's folder with an identity signed without a token.
fn machine(pki: &Pki, name: &str) -> (TempDir, NodeIdentity) {
    let dir = tempfile::tempdir().unwrap();
    let request = node::request(dir.path(), name).unwrap();
    let certificate = pki.issue_node(&request, name).unwrap();
    let hash = pki.tokens().default_token().unwrap().unwrap().ca_hash;
    let identity = node::accept(dir.path(), name, &certificate, pki.ca_pem(), &hash).unwrap();
    (dir, identity)
}

fn api(body: &'static [u8]) -> Call {
    Call::Api(ApiCall { method: "GET".into(), path: "/".into(), content_type: String::new(), body: Bytes::from_static(body) })
}

async fn join_as(server: SocketAddr, token: &JoinToken, name: &str, dir: &Path) -> Result<NodeIdentity, MeshError> {
    let request = JoinRequest { server: server.to_string(), token: token.clone(), node: name.into(), dir: dir.to_path_buf() };
    join(request, &Handle::current()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining() {
    let (keys, foreign, a, b) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pki = pki(keys.path());
    let server = serve_at(&pki, any(), false);
    let token = pki.tokens().default_token().unwrap().unwrap();
    let now = crate::protocol::time::now();

    let wrong: JoinToken = format!("K1{}.aaaaaa.{}", token.ca_hash, "a".repeat(16)).parse().unwrap();
    let refused = join_as(server.address(), &wrong, "a", a.path()).await;
    assert!(matches!(&refused, Err(MeshError::Refused(e)) if e.code == 401 && e.message.contains("not known")), "{refused:?}");
    let expired = pki.tokens().create(Some(Duration::ZERO), "", now).unwrap();
    let refused = join_as(server.address(), &expired, "a", a.path()).await;
    assert!(matches!(&refused, Err(MeshError::Refused(e)) if e.message.contains("expired")), "{refused:?}");
    let elsewhere = self::pki(foreign.path()).tokens().default_token().unwrap().unwrap();
    let refused = join_as(server.address(), &elsewhere, "a", a.path()).await;
    assert!(matches!(&refused, Err(MeshError::Connect { why, .. }) if why.contains("UnknownIssuer")), "{refused:?}");
    let refused = join_as(server.address(), &token, "not/a/name", a.path()).await;
    assert!(matches!(refused, Err(MeshError::Pki(_))));

    let joined = join_as(server.address(), &token, "a", a.path()).await.unwrap();
    assert_eq!(joined, join_as("127.0.0.1:1".parse().unwrap(), &token, "a", a.path()).await.unwrap(), "no server is asked again");
    let refused = join_as(server.address(), &elsewhere, "a", a.path()).await;
    assert!(matches!(refused, Err(MeshError::OtherCluster(_))));
    let refused = join_as(server.address(), &token, "a", b.path()).await;
    assert!(matches!(&refused, Err(MeshError::Refused(e)) if e.message.contains("pinned to another key")), "{refused:?}");

    let node = client(server.address(), joined.clone(), a.path());
    up(&node).await;
    assert!(!node.renew_if_due(now).await.unwrap());
    let renewed = node.renew().await.unwrap();
    assert!(renewed.certificate != joined.certificate && renewed.key == joined.key);
    assert_eq!(NodeIdentity::load(a.path()).unwrap(), Some(renewed));
    let other_key = node::request(b.path(), "a").unwrap();
    let stolen = node.call("server", Call::Join { token: String::new(), node: "a".into(), request: other_key }).await;
    assert!(matches!(stolen, Err(MeshError::Refused(e)) if e.code == 403));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_frames_both_ways() {
    let keys = tempfile::tempdir().unwrap();
    let pki = pki(keys.path());
    let server = serve_at(&pki, any(), false);
    let mut events = server.events();
    let (dir, identity) = machine(&pki, "a");
    let node = client(server.address(), identity, dir.path());
    up(&node).await;
    let peer = match timeout(SOON, events.recv()).await.unwrap().unwrap() {
        PeerEvent::PeerConnected(peer) => peer,
        gone => panic!("{gone:?}"),
    };

    let answer = node.call("server/api", api(b"hi")).await.unwrap();
    assert_eq!(answer, Answer::Api { code: 200, body: "a node/a server/api hi".into() });
    let answer = peer.call("node/a/pods/1", api(b"ho")).await.unwrap();
    assert_eq!(answer, Answer::Api { code: 200, body: "server-1 server node/a/pods/1 ho".into() });
    assert!(matches!(peer.call("node/a", Call::Heartbeat { node: "a".into() }).await, Err(MeshError::Refused(e)) if e.code == 501));
    assert!(matches!(peer.call("node/a", Call::Stats).await, Err(MeshError::Cut(_))), "a panic is an error at once");

    // Logs that nobody reads fill their own windows, and that is all.
    let mut unread = Vec::new();
    for _ in 0..100 {
        unread.push(peer.open("node/a", Call::Logs(LogCall::default())).await.unwrap());
    }
    let (_, exec) = peer.open("node/a", Call::Exec(ExecCall::default())).await.unwrap();
    let (mut write, mut read) = exec.split();
    let sender = tokio::spawn(async move {
        for n in 0..200u8 {
            write.send_frame(&Frame::Data { channel: n, bytes: Bytes::from(vec![n; 10_000]) }).await.unwrap();
        }
        write.finish().unwrap();
        write
    });
    for n in 0..200u8 {
        let frame = timeout(SOON, read.next_frame()).await.unwrap().unwrap();
        assert!(matches!(frame, Some(Frame::Data { channel, .. }) if channel == n));
    }
    assert_eq!(timeout(SOON, read.next_frame()).await.unwrap().unwrap(), None);
    sender.await.unwrap();

    // The places are limited (freed ones are announced in batches, so a few fewer than 128), and come back.
    while let Ok(opened) = timeout(Duration::from_millis(300), peer.open("node/a", Call::Logs(LogCall::default()))).await {
        unread.push(opened.unwrap());
    }
    assert!((110..=128).contains(&unread.len()), "{}", unread.len());
    let refused = peer.call_within(Duration::from_millis(50), "node/a", api(b"")).await;
    assert!(matches!(refused, Err(MeshError::Busy)), "{refused:?}");
    node.call("server/api", api(b"the other way is free")).await.unwrap();
    drop(unread);
    peer.call("node/a", api(b"")).await.unwrap();

    drop(node);
    let gone = timeout(SOON, events.recv()).await.unwrap().unwrap();
    assert!(matches!(gone, PeerEvent::PeerGone { node, .. } if node == "a"));
    assert!(server.peers().is_empty());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_belongs_to_one_key() {
    let keys = tempfile::tempdir().unwrap();
    let pki = pki(keys.path());
    let server = serve_at(&pki, any(), true);
    let (dir, identity) = machine(&pki, "a");
    let (thief_dir, thief_identity) = machine(&pki, "a");
    let owner = client(server.address(), identity.clone(), dir.path());
    up(&owner).await;
    let thief = client(server.address(), thief_identity, thief_dir.path());
    failing(&thief, "node name \"a\" is already taken by another machine (key ").await;
    assert!(!*thief.connected().borrow());
    owner.call("server", api(b"")).await.unwrap();

    let first = server.peer("a").unwrap().address();
    let again = client(server.address(), identity, dir.path());
    up(&again).await;
    assert_ne!(server.peer("a").unwrap().address(), first, "the same key replaces its older connection");
    failing(&owner, "anew").await;
    assert_eq!(server.peers().len(), 1);

    // A certificate for one name does not do for another.
    let (dir, mut liar) = machine(&pki, "b");
    liar.node = "c".into();
    let liar = client(server.address(), liar, dir.path());
    failing(&liar, "is not that of node \"c\"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_nonsense_get_errors() {
    let keys = tempfile::tempdir().unwrap();
    let pki = pki(keys.path());
    let server = serve_at(&pki, any(), false);
    let hash = pki.tokens().default_token().unwrap().unwrap().ca_hash;
    let metrics = Arc::new(MeshMetrics::default());
    let stranger = || async {
        let tls = crate::storage::pki::tls::joining_client_config(&hash).unwrap();
        client::dial(&server.address().to_string(), tls, None).await.unwrap()
    };

    let (_endpoint, connection) = stranger().await;
    let link = Link::new(connection, "node/x", &metrics);
    let refused = link.call("server/api", api(b"")).await;
    assert!(matches!(&refused, Err(MeshError::Refused(e)) if e.message.contains("must be Hello")), "{refused:?}");

    let (_endpoint, connection) = stranger().await;
    let link = Link::new(connection, "node/x", &metrics);
    let refused = link.call("server", Call::Hello { node: "x".into(), oldest: 7, newest: 9 }).await;
    assert!(matches!(&refused, Err(MeshError::Refused(e)) if e.message.contains("speaks 7 to 9, this server 1 to 1")), "{refused:?}");

    let (_endpoint, connection) = stranger().await;
    let link = Link::new(connection.clone(), "node/x", &metrics);
    client::hello(&link, "x").await.unwrap();
    assert!(matches!(link.call("server/api", api(b"")).await, Err(MeshError::Refused(e)) if e.code == 401));
    let join = Call::Join { token: String::new(), node: "x".into(), request: vec![] };
    assert!(matches!(link.call("server", join).await, Err(MeshError::Refused(e)) if e.code == 401));
    for nonsense in [&b"\x05\0\0\0hello"[..], &b"\xff\xff\xff\xff"[..], &b"\x09\0"[..], &b""[..]] {
        let (mut send, recv) = connection.open_bi().await.unwrap();
        send.write_all(nonsense).await.unwrap();
        send.finish().unwrap();
        let (mut unused, _) = connection.open_bi().await.unwrap();
        unused.reset(1u32.into()).unwrap();
        let mut stream = Stream::new(unused, recv, &metrics);
        let answer: Option<Answer> = timeout(SOON, stream.read()).await.unwrap().unwrap();
        assert!(matches!(&answer, Some(Answer::Error(e)) if e.code == 400), "{nonsense:?} {answer:?}");
    }
    assert!(server.peers().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_comes_back() {
    let keys = tempfile::tempdir().unwrap();
    let pki = pki(keys.path());
    let (dir, identity) = machine(&pki, "a");

    // A server in a runtime of its own, whose end is as sudden as a crash: nobody is told.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = doomed.within(|| serve_at(&pki, any(), false));
    let address = server.address();
    let node = client(address, identity, dir.path());
    up(&node).await;
    node.call("server", api(b"1")).await.unwrap();
    doomed.shutdown_background();
    drop(server);
    let server = serve_again(&pki, address).await;
    // The client's next packet is answered with a reset: it is back long before the idle timeout.
    let back = async {
        while node.call_within(SOON, "server", api(b"2")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(SOON, back).await.is_ok(), "{:?}", node.last_error());

    server.close().await;
    timeout(SOON, node.connected().wait_for(|up| !*up)).await.unwrap().unwrap();
    assert!(matches!(node.call("server", api(b"4")).await, Err(MeshError::NotConnected)));
    let server = serve_again(&pki, address).await;
    up(&node).await;
    node.call("server", api(b"5")).await.unwrap();
    assert_eq!(server.peers().len(), 1);
}

/// Calls are made from arbiters too: single-threaded runtimes other than the mesh's.
#[test]
fn calls_from_another_runtime() {
    let mesh = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let pki = pki(keys.path());
    let server = mesh.within(|| serve_at(&pki, any(), false));
    let (dir, identity) = machine(&pki, "a");
    let node = mesh.within(|| client(server.address(), identity, dir.path()));
    actix::System::new().block_on(async {
        up(&node).await;
        node.call("server", api(b"")).await.unwrap();
        let peer = server.peer("a").unwrap();
        peer.call("node/a", api(b"")).await.unwrap();
    });
}

trait Within {
    fn within<T>(&self, make: impl FnOnce() -> T) -> T;
}

impl Within for tokio::runtime::Runtime {
    fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        let _entered = self.enter();
        make()
    }
}
