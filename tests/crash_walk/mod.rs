//! The server ends itself before its n-th write, is started again on the same data, and has to arrive where it would have arrived
//! undisturbed; for every n, or for a few of them spread over the whole.
//!
//! `IMPRESARIO_CRASH_WALK=all` walks through all of them, a number plays that one place. No node is needed: the test plays one through the API.
mod kubelet;
mod more_scenes;
mod scenes;
mod shape;

use crate::cluster::{Cluster, Options};
use crate::https::Client;
use crate::run::wait_for;
use kubelet::Kubelet;
use scenes::Scene;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many places of a scene are tried when not all are.
const SAMPLES: u64 = 4;
/// How long a scene may take, restart included.
const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks.
const TICK: Duration = Duration::from_millis(10);
/// What makes the server end itself.
const FAILPOINT: &str = "IMPRESARIO_ABORT_BEFORE_WRITE";

#[test]
fn a_rollout_of_a_deployment() {
    walk(&scenes::rollout());
}

#[test]
fn a_stateful_set_that_grows_and_shrinks_with_its_claims() {
    walk(&scenes::stateful_set());
}

#[test]
fn claims_that_get_and_lose_their_volumes() {
    walk(&scenes::volumes());
}

#[test]
fn an_indexed_job_with_a_failure() {
    walk(&scenes::indexed_job());
}

#[test]
fn a_cron_job_that_is_due() {
    walk(&scenes::cron_job());
}

#[test]
fn the_end_of_a_namespace() {
    walk(&scenes::namespace());
}

#[test]
fn a_foreground_cascade() {
    walk(&scenes::cascade());
}

#[test]
fn a_daemon_set_and_a_replication_controller_that_change() {
    walk(&more_scenes::daemons_and_replicas());
}

#[test]
fn a_job_that_is_suspended_and_resumed() {
    walk(&more_scenes::suspended_job());
}

#[test]
fn evictions_behind_a_service_with_a_budget_and_a_quota() {
    walk(&more_scenes::evictions());
}

#[test]
fn a_node_that_is_tainted_and_recovers() {
    walk(&more_scenes::tainted_node());
}

/// Plays a scene undisturbed, then with an end before each chosen write.
fn walk(scene: &Scene) {
    let (wanted, writes, _) = play(scene, u64::MAX, None);
    let asked = std::env::var("IMPRESARIO_CRASH_WALK").unwrap_or_default();
    if let Ok(place) = asked.parse() {
        assert!(play(scene, place, Some(&wanted)).2, "the scene is over before write {place}");
        return;
    }
    let all = asked == "all";
    let step = if all { 1 } else { (writes / SAMPLES).max(1) };
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| u64::from(d.subsec_nanos()));
    let mut place = if all { 1 } else { 1 + seed % step };
    let mut walked = 0;
    // One that is never reached: the scene is over before.
    while place <= writes || all {
        let (_, _, crashed) = play(scene, place, Some(&wanted));
        walked += u64::from(crashed);
        if !crashed {
            break;
        }
        place += step;
    }
    eprintln!("{}: about {writes} writes, ended before {walked} of them", scene.name);
    assert!(walked > 0, "the failpoint does nothing");
}

/// Plays a scene on a copy of the prepared data, with an end before the n-th write. With `wanted`: until that is the state; otherwise
/// until nothing moves. Answers with the state, the number of writes, and whether the end came.
fn play(scene: &Scene, place: u64, wanted: Option<&Value>) -> (Value, u64, bool) {
    let cluster = Cluster::prepare(Options { name: scene.name, no_node: true, api_port: free_port(), ..Options::default() });
    copy(prepared(), &cluster.data_dir());
    cluster.spawn_with(&[(FAILPOINT, place.to_string())]);
    let mut stage = Stage { cluster: &cluster, kubelet: Kubelet::default(), client: None, crashed: false };
    let begin = Instant::now();
    let what = || format!("{}, ended before write {place}; see {}", scene.name, cluster.log_file().display());
    for (number, step) in scene.steps.iter().enumerate() {
        while !stage.tick(scene, |client| step(client)).unwrap_or(false) {
            assert!(begin.elapsed() < LIMIT, "step {number} of {} does not end: {:#}", what(), stage.state(scene));
            sleep(TICK);
        }
    }
    let mut still = Instant::now();
    let mut last = Value::Null;
    loop {
        let state = stage.tick(scene, |client| shape::of(client, scene.namespace)).unwrap_or_default();
        if state != last {
            (last, still) = (state, Instant::now());
        }
        let calm = still.elapsed() > Duration::from_millis(if wanted.is_some() { 250 } else { 1500 });
        if calm && last.is_array() && wanted.is_none_or(|wanted| *wanted == last) {
            break;
        }
        let other = wanted.map(|wanted| shape::difference(wanted, &last)).unwrap_or_default();
        assert!(begin.elapsed() < LIMIT, "{}: another end:\n{other}", what());
        sleep(TICK);
    }
    let revision = |list: &Value| list["metadata"]["resourceVersion"].as_str().and_then(|r| r.parse::<u64>().ok()).unwrap_or_default();
    let writes = stage.client().get("/api/v1/namespaces").map_or(0, |a| revision(&a.json())) - prepared_revision();
    (last, writes, stage.crashed)
}

/// A server that comes back when it has ended, and a node's part.
struct Stage<'a> {
    cluster: &'a Cluster,
    kubelet: Kubelet,
    client: Option<Client>,
    crashed: bool,
}

impl Stage<'_> {
    /// A client of a server that serves; one that has ended is started again, without a failpoint.
    fn client(&mut self) -> &mut Client {
        if self.cluster.ended() {
            assert!(!self.crashed, "the server ended a second time:\n{}", self.cluster.log_tail());
            self.crashed = true;
            self.client = None;
            self.cluster.kill();
            self.cluster.spawn();
        }
        if self.client.is_none() {
            wait_for("the server serves, or ends", Duration::from_secs(60), || {
                let usable = !self.cluster.ended() && self.cluster.is_ready();
                (usable || self.cluster.ended()).then_some(())
            });
            if self.cluster.ended() {
                return self.client();
            }
        }
        let cluster = self.cluster;
        self.client.get_or_insert_with(|| cluster.client())
    }

    /// The node does what there is to do, then somebody acts; `None` when the server did not answer.
    fn tick<T>(&mut self, scene: &Scene, act: impl Fn(&mut Client) -> std::io::Result<T>) -> Option<T> {
        self.client();
        let client = self.client.as_mut()?;
        let outcome = self.kubelet.tick(client, scene.namespace).and_then(|()| act(client));
        if outcome.is_err() {
            self.client = None;
        }
        outcome.ok()
    }

    fn state(&mut self, scene: &Scene) -> Value {
        shape::of(self.client(), scene.namespace).unwrap_or_default()
    }
}

static PREPARED: OnceLock<(tempfile::TempDir, u64)> = OnceLock::new();

/// The data of a cluster with a node and the scenes' namespace, at rest.
fn prepared() -> &'static Path {
    prepared_once().0.path()
}

fn prepared_revision() -> u64 {
    prepared_once().1
}

fn prepared_once() -> &'static (tempfile::TempDir, u64) {
    PREPARED.get_or_init(|| {
        let cluster = Cluster::start(Options { name: "crash-walk", no_node: true, ..Options::default() });
        let mut client = cluster.client();
        let made = client.post("/api/v1/namespaces", &json!({"metadata": {"name": "scene"}})).expect("an answer");
        assert_eq!(made.status, 201, "{}", made.text());
        kubelet::make_node(&mut client);
        let quiet = |client: &mut Client| client.get("/api/v1/namespaces").ok().map(|a| a.json()["metadata"]["resourceVersion"].clone());
        let revision = wait_for("nothing is written any more", Duration::from_secs(30), || {
            let before = quiet(&mut client)?;
            sleep(Duration::from_millis(1500));
            (quiet(&mut client)? == before).then_some(before)
        });
        cluster.kill();
        let directory = tempfile::Builder::new().prefix("impresario-prepared-").tempdir().expect("a temporary directory");
        copy(&cluster.data_dir(), directory.path());
        (directory, revision.as_str().and_then(|r| r.parse().ok()).expect("a revision"))
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("the data").flatten() {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A port that was free a moment ago; it stays the same over the restart.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map(|a| a.port()).expect("a free port")
}
