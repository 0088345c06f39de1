//! Two machines, played by two network namespaces with a cable between them: a server with a node, and a second node that
//! joins with a token. Pods run on both and reach each other; a stolen name is refused.
use crate::busybox::{self, IMAGE};
use crate::cluster::{Cluster, IMPRESARIO, Options};
use crate::kubectl::{Kubectl, newest};
use crate::run::{run, run_with, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const SERVER: &str = "10.66.0.1";
const SECOND: &str = "10.66.0.2";

/// Two network namespaces and the veth pair between them; gone when dropped.
struct Cable {
    server: String,
    second: String,
}

impl Cable {
    fn lay() -> Cable {
        let id = std::process::id();
        let cable = Cable { server: format!("imp-a-{id}"), second: format!("imp-b-{id}") };
        let (a, b) = (&cable.server, &cable.second);
        for line in [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("link add imp-a netns {a} type veth peer name imp-b netns {b}"),
            format!("-n {a} addr add {SERVER}/24 dev imp-a"),
            format!("-n {b} addr add {SECOND}/24 dev imp-b"),
            format!("-n {a} link set imp-a up"),
            format!("-n {b} link set imp-b up"),
            format!("-n {a} link set lo up"),
            format!("-n {b} link set lo up"),
            // As on a real machine, something leads to the rest of the world.
            format!("-n {a} route add default via {SECOND}"),
            format!("-n {b} route add default via {SERVER}"),
        ] {
            run(Command::new("ip").args(line.split_whitespace())).ok();
        }
        cable
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.server, &self.second] {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

/// A joined node's process; stopped and cleaned up when dropped.
struct Joined {
    child: Child,
    netns: String,
    data_dir: PathBuf,
}

impl Joined {
    fn start(cluster: &Cluster, netns: &str, name: &str, data_dir: &Path, address: &str, token: &str) -> Joined {
        let log = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"))).expect("a log file");
        let errors = log.try_clone().expect("a second handle");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{netns}")).args(["--", IMPRESARIO, "node", "--join", address, "--token", token]);
        command.args(["--node-name", name, "--data-dir"]).arg(data_dir).current_dir(cluster.scratch());
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("the binary starts");
        Joined { child, netns: netns.into(), data_dir: data_dir.into() }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.netns)).args(["--", IMPRESARIO, "down", "--purge", "--data-dir"]);
        let _ = command.arg(&self.data_dir).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_second_machine_joins() {
    let cable = Cable::lay();
    let config = format!(
        "api: {{ address: {SERVER} }}\nmesh: {{ address: {SERVER} }}\nnode: {{ name: first, address: {SERVER} }}\nnetwork: {{ podCidr: 10.203.0.0/16 }}\n"
    );
    let netns = Some(cable.server.clone());
    let cluster = Cluster::prepare(Options { name: "two-nodes", config, netns, api_port: 6443, mesh_port: 6444, ..Options::default() });
    let data_dir = cluster.scratch().join("second");
    busybox::import(&cluster, IMAGE);
    let archive = busybox::archive(cluster.scratch(), IMAGE);
    run(Command::new(IMPRESARIO).args(["image", "import"]).arg(archive).arg("--data-dir").arg(&data_dir)).ok();
    cluster.spawn();
    cluster.wait_ready();
    let kubectl = cluster.kubectl(newest(), "default");
    wait_for("the API answers", SOON, || (kubectl.run("get --raw /readyz").code == Some(0)).then_some(()));
    let token = cluster.impresario("token create").ok().trim().to_string();
    let address = format!("{SERVER}:6444");
    let joined = Joined::start(&cluster, &cable.second, "second", &data_dir, &address, &token);
    wait_for("both nodes", SOON, || (ready_nodes(&kubectl) == ["first", "second"]).then_some(()));

    pods_on_both(&kubectl);
    wrong_guests(&cluster, &cable, &token, &address);
    lost_and_found(&kubectl, joined, || Joined::start(&cluster, &cable.second, "second", &data_dir, &address, &token));
}

fn ready_nodes(kubectl: &Kubectl) -> Vec<String> {
    let table = kubectl.ok("get nodes --no-headers");
    table.lines().filter(|l| l.contains(" Ready ")).filter_map(|l| l.split(' ').next().map(Into::into)).collect()
}

/// Four pods spread over both nodes, and each reaches each.
fn pods_on_both(kubectl: &Kubectl) {
    let manifest = format!(
        "{{apiVersion: v1, kind: ReplicationController, metadata: {{name: web}}, spec: {{replicas: 4, template: {{metadata: {{labels: {{app: web}}}},
          spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: web, image: '{IMAGE}',
          command: [sh, -c, 'while true; do hostname | nc -l -p 8080; done']}}]}}}}}}}}"
    );
    kubectl.feed("create", &manifest).ok();
    let pods = wait_for("4 pods Running", SOON, || Some(running(&kubectl.json("get pods -l app=web"))).filter(|pods| pods.len() == 4));
    let mut by_node: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in &pods {
        by_node.entry(&pod.node).or_default().push(pod);
    }
    assert!(by_node.len() == 2 && by_node.values().all(|p| p.len() == 2), "not spread: {pods:?}");
    for (here, there) in [("first", "second"), ("second", "first")] {
        let (from, to) = (by_node[here][0], by_node[there][0]);
        kubectl.ok(&format!("exec {} -- ping -c 1 -W 5 {}", from.name, to.ip));
        let answer = kubectl.ok(&format!("exec {} -- nc -w 5 {} 8080", from.name, to.ip));
        assert_eq!(answer.trim(), to.name);
        assert!(kubectl.ok(&format!("describe pod {}", to.name)).contains(there));
    }
}

#[derive(Debug)]
struct Pod {
    name: String,
    node: String,
    ip: String,
}

fn running(list: &Value) -> Vec<Pod> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let pods = list["items"].as_array().into_iter().flatten().filter(|pod| pod["status"]["phase"] == "Running");
    pods.map(|pod| Pod { name: text(&pod["metadata"]["name"]), node: text(&pod["spec"]["nodeName"]), ip: text(&pod["status"]["podIP"]) })
        .collect()
}

/// A machine with another's name, one with a wrong token, one that trusts another cluster: each is told so and ends.
fn wrong_guests(cluster: &Cluster, cable: &Cable, token: &str, address: &str) {
    let join = |name: &str, token: &str| {
        let data_dir = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", cable.second)).args(["--", IMPRESARIO, "node", "--join", address, "--token", token]);
        command.args(["--node-name", name, "--data-dir"]).arg(data_dir.path());
        run_with(&mut command, b"", SOON).refused()
    };
    let stolen = join("second", token);
    assert!(stolen.contains("second") && !stolen.contains("panicked"), "{stolen}");
    let middle = token.len() / 2;
    let other = if token.as_bytes()[middle] == b'0' { '1' } else { '0' };
    let forged = format!("{}{other}{}", &token[..middle], &token[middle + 1..]);
    assert!(!join("third", &forged).contains("panicked"));
    assert!(join("third", "nonsense").contains("token"));
    let nodes = ready_nodes(&cluster.kubectl(newest(), "default"));
    assert_eq!(nodes, ["first", "second"], "an intruder got in");
}

/// The second machine's agent dies and comes back: its pods ran on, and changes made meanwhile reach it.
fn lost_and_found(kubectl: &Kubectl, mut joined: Joined, start: impl Fn() -> Joined) {
    let before = kubectl.json("get pods -l app=web --field-selector spec.nodeName=second");
    let _ = joined.child.kill();
    let _ = joined.child.wait();
    // Without the clean-up: its pods are to run on.
    std::mem::forget(joined);
    let victim = before["items"][0]["metadata"]["name"].as_str().expect("a pod on the second node").to_string();
    kubectl.ok(&format!("delete pod {victim} --wait=false"));
    let _joined = start();
    wait_for("the deletion reaches the node", SOON, || (kubectl.run(&format!("get pod {victim}")).code != Some(0)).then_some(()));
    wait_for("4 pods again", SOON, || (running(&kubectl.json("get pods -l app=web")).len() == 4).then_some(()));
    let other = &before["items"][1];
    let kept = kubectl.json(&format!("get pod {}", other["metadata"]["name"].as_str().expect("two pods on the second node")));
    assert_eq!(kept["status"]["containerStatuses"][0]["containerID"], other["status"]["containerStatuses"][0]["containerID"]);
    kubectl.ok("delete rc web");
    wait_for("all pods are gone", SOON, || {
        kubectl.json("get pods -l app=web")["items"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
}
