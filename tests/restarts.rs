//! A cluster whose process is killed, and one that is stopped and started: what runs keeps running, what is kept comes back,
//! and `down --purge` leaves nothing behind. Each test has a cluster of its own, beside the shared one on the same machine.
use crate::busybox::{self, IMAGE};
use crate::cluster::{Cluster, IMPRESARIO, Options, shared};
use crate::https::Client;
use crate::kubectl::{Kubectl, newest};
use crate::run::{run, wait_for};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn containers_outlive_the_agent_and_are_adopted() {
    let cluster = Cluster::prepare(Options { name: "adopt", ..Options::default() });
    busybox::import(&cluster, IMAGE);
    cluster.spawn();
    cluster.wait_ready();
    let kubectl = cluster.kubectl(newest(), "default");
    let manifest = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: survivor}}, spec: {{terminationGracePeriodSeconds: 1, containers: [
          {{name: main, image: '{IMAGE}', command: [sh, -c, 'n=0; while true; do echo beat $n; n=$((n+1)); sleep 0.2; done']}}]}}}}"
    );
    kubectl.feed("create", &manifest).ok();
    kubectl.ok("wait --for=condition=Ready pod/survivor --timeout=60s");
    let before = kubectl.json("get pod survivor");
    let beats = |kubectl: &Kubectl| last_beat(&kubectl.ok("logs survivor --tail=1"));
    let heard = wait_for("a beat", SOON, || beats(&kubectl));

    cluster.kill();
    std::thread::sleep(Duration::from_secs(2));
    cluster.spawn();
    cluster.wait_ready();
    kubectl.ok("wait --for=condition=Ready pod/survivor --timeout=60s");
    let after = kubectl.json("get pod survivor");
    for field in ["/metadata/uid", "/status/podIP", "/status/containerStatuses/0/containerID", "/status/containerStatuses/0/restartCount"] {
        assert_eq!(before.pointer(field), after.pointer(field), "{field} changed");
    }
    let later = wait_for("a later beat", SOON, || beats(&kubectl).filter(|b| *b >= heard + 8));
    let log = kubectl.ok("logs survivor");
    assert_eq!(log.lines().filter(|l| *l == "beat 0").count(), 1, "the container was started anew");
    assert!((0..later).all(|n| log.lines().any(|l| l == format!("beat {n}"))), "beats are missing between 0 and {later}");
    assert_eq!(kubectl.ok("exec survivor -- hostname").trim(), "survivor");

    kubectl.ok("delete pod survivor");
}

fn last_beat(line: &str) -> Option<u64> {
    line.trim().strip_prefix("beat ")?.parse().ok()
}

#[test]
fn up_and_down_as_a_user_does_it() {
    // The other cluster of this machine must not notice.
    let neighbour = shared().kubectl(newest(), "default");
    neighbour.ok("get nodes");
    let cluster = Cluster::prepare(Options { name: "daemon", ..Options::default() });
    let config = cluster.scratch().join("cluster.yaml");
    let up = format!("up --quickstart --api-port 0 --mesh-port 0 --config {}", config.display());

    let said = cluster.impresario(&up).ok();
    let kubeconfig = cluster.kubeconfig().display().to_string();
    for word in [kubeconfig.as_str(), "/dashboard/", "token", "kubectl"] {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
    let address = Client::from_kubeconfig(&cluster.kubeconfig()).get("/readyz").map(|a| a.status);
    assert_eq!(address.ok(), Some(200), "up returned before the server was ready");
    let kubectl = cluster.kubectl(newest(), "default");
    wait_for("3 kubia pods", SOON, || (running(&kubectl.json("get pods -l app=kubia")) == 3).then_some(()));
    kubectl.feed("create", "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept}, data: {a: b}}").ok();

    let again = cluster.impresario(&up);
    assert!(again.code != Some(0) || again.stdout.contains("already"), "a second `up` should say that one is running: {again}");

    cluster.impresario("down").ok();
    assert!(kubectl.run("get nodes --request-timeout=2s").code != Some(0), "still answering after `down`");
    cluster.impresario(&up).ok();
    assert_eq!(kubectl.json("get configmap kept")["data"]["a"], "b");
    wait_for("3 kubia pods", SOON, || (running(&kubectl.json("get pods -l app=kubia")) == 3).then_some(()));
    assert_eq!(kubectl.json("get pods -l app=kubia")["items"].as_array().map(Vec::len), Some(3));

    let traces = Traces::look(&cluster.data_dir());
    let all = [traces.mounts, traces.processes, traces.files, traces.bridges, traces.cgroups];
    assert!(all.iter().all(|count| *count > 0), "not looking in the right places: {traces:?}");
    cluster.impresario("down --purge").ok();
    wait_for("nothing is left", Duration::from_secs(10), || (Traces::look(&cluster.data_dir()) == Traces::default()).then_some(()));
    neighbour.ok("get nodes");
    assert_eq!(run(Command::new(IMPRESARIO).args(["down", "--data-dir"]).arg(cluster.data_dir())).code.map(|c| c < 3), Some(true));
}

fn running(list: &Value) -> usize {
    let ready = |pod: &&Value| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null();
    list["items"].as_array().into_iter().flatten().filter(ready).count()
}

/// What a cluster leaves on the machine while it lives.
#[derive(Debug, Default, PartialEq)]
struct Traces {
    mounts: usize,
    processes: usize,
    files: usize,
    bridges: usize,
    cgroups: usize,
}

impl Traces {
    fn look(data_dir: &Path) -> Traces {
        let dir = data_dir.display().to_string();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut processes = 0;
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            processes += usize::from(String::from_utf8_lossy(&line).contains(&dir));
        }
        let files = std::fs::read_dir(data_dir).map_or(0, Iterator::count);
        // Whatever needs a name beside the file system gets it from the data directory's path.
        let mark = &hex::encode(Sha256::digest(dir.as_bytes()))[..6];
        let bridges = usize::from(Path::new("/sys/class/net").join(format!("imp{mark}")).exists());
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|e| e.path());
        let tops = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]);
        let cgroups = tops.filter(|top| top.join(format!("impresario-{mark}")).exists()).count();
        Traces { mounts: mounts.lines().filter(|l| l.contains(&dir)).count(), processes, files, bridges, cgroups }
    }
}
