//! Logs, exec, attach's relatives: everything that flows between kubectl and a running container.
use super::with_each_kubectl;
use crate::busybox::{DOCKER_IMAGE, IMAGE};
use crate::kubectl::Kubectl;
use crate::run::{run, run_with, wait, wait_for};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// Counts once a second on stdout, says one thing on stderr, and ends at once when asked to.
fn pod(image: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: Pod
metadata: {{ name: talker }}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: talker
    image: {image}
    imagePullPolicy: IfNotPresent
    env:
    - {{ name: GREETING, value: hello }}
    - {{ name: MY_IP, valueFrom: {{ fieldRef: {{ fieldPath: status.podIP }} }} }}
    command: [sh, -c]
    args:
    - |
      trap 'exit 0' TERM
      echo complaint >&2
      echo "$GREETING from $(hostname)"
      n=0
      while true; do echo tick $n; n=$((n+1)); sleep 1; done
    resources: {{ limits: {{ cpu: 200m, memory: 64Mi }} }}
"#
    )
}

#[test]
fn logs_and_exec() {
    with_each_kubectl("streams", |kubectl| {
        let image = if kubectl.tool.minor.is_multiple_of(2) { IMAGE } else { DOCKER_IMAGE };
        kubectl.feed("create", &pod(image)).ok();
        kubectl.ok("wait --for=condition=Ready pod/talker --timeout=60s");
        logs(kubectl);
        followed_logs(kubectl);
        exec(kubectl);
        terminal(kubectl);
        port_forward(kubectl);
        let described = kubectl.ok("describe pod talker");
        for word in ["Node:", "Running", image, "hello", "Started", "Limits:", "memory:", "64Mi", "Guaranteed"] {
            assert!(described.contains(word), "no {word} in\n{described}");
        }
        kubectl.ok("delete pod talker");
        assert!(kubectl.run("get pod talker").refused().contains("NotFound"));
    });
}

fn logs(kubectl: &Kubectl) {
    let log = wait_for("some ticks", SOON, || Some(kubectl.ok("logs talker")).filter(|log| log.contains("tick 1")));
    assert!(log.contains("complaint\n") && log.contains("hello from talker\n"), "{log}");
    assert_eq!(kubectl.ok("logs talker --tail=1").lines().count(), 1);
    let stamped = kubectl.ok("logs talker --timestamps --tail=1");
    assert!(stamped.starts_with("20") && stamped.contains("Z tick"), "{stamped}");
    let said = kubectl.run("logs talker -c nobody").refused();
    assert!(said.contains("container nobody is not valid for pod talker"), "{said}");
    assert!(kubectl.run("logs nobody").refused().contains("NotFound"));
    let said = kubectl.run("logs talker --previous").refused();
    assert!(said.contains("previous terminated container \"talker\" in pod \"talker\" not found"), "{said}");
}

/// `logs -f` shows lines while they are written, and ends when the reader does.
fn followed_logs(kubectl: &Kubectl) {
    let mut child = kubectl
        .command(&["logs", "-f", "--tail=0", "talker"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("kubectl starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let seen: Vec<u64> = lines.take(3).map(|l| l.trim_start_matches("tick ").parse().expect("a tick")).collect();
    let _ = child.kill();
    let _ = child.wait();
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seen:?}");
}

fn exec(kubectl: &Kubectl) {
    assert_eq!(kubectl.ok("exec talker -- hostname").trim(), "talker");
    let both = run(&mut kubectl.command(&["exec", "talker", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]));
    assert_eq!((both.code, both.stdout.as_str()), (Some(7), "out\n"), "{both}");
    assert!(both.stderr.contains("err\n") && both.stderr.contains("exit code 7"), "{both}");
    let ip = kubectl.ok_words(&["get", "pod", "talker", "-o", "jsonpath={.status.podIP}"]);
    assert_eq!(kubectl.ok_words(&["exec", "talker", "--", "sh", "-c", "echo $MY_IP $FROM_IMAGE"]).trim(), format!("{ip} yes"));

    let text = "one\ntwo\n".repeat(20_000);
    let echoed = run_with(&mut kubectl.command(&["exec", "-i", "talker", "--", "cat"]), text.as_bytes(), SOON);
    assert!(echoed.code == Some(0) && echoed.stdout == text, "{} of {} bytes came back", echoed.stdout.len(), text.len());

    let missing = kubectl.run("exec talker -- no-such-program");
    assert!(missing.code.is_some_and(|c| c != 0) && !missing.stderr.is_empty(), "{missing}");
    assert!(kubectl.run("exec nobody -- true").refused().contains("NotFound"));
}

/// A terminal: `script` gives kubectl one, so that `-it` is real.
fn terminal(kubectl: &Kubectl) {
    let inner = kubectl.command(&["exec", "-it", "talker", "--", "tty"]);
    let words: Vec<String> =
        std::iter::once(inner.get_program()).chain(inner.get_args()).map(|w| w.to_string_lossy().into_owned()).collect();
    let mut script = kubectl.cluster.at_home("script");
    script.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    script.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = run(&mut script).ok();
    assert!(output.contains("/dev/pts/") || output.contains("/dev/console"), "{output}");
}

fn port_forward(kubectl: &Kubectl) {
    // Nothing listens on this port: the tunnel opens, and says so when it is used.
    let mut child = kubectl
        .command(&["port-forward", "pod/talker", ":9999", "--address", "127.0.0.1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let port = first.strip_prefix("Forwarding from 127.0.0.1:").and_then(|rest| rest.split(' ').next()).map(str::to_string);
    let connected = port.is_some_and(|port| TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    let _ = child.kill();
    let _ = wait(&mut child, SOON);
    assert!(connected, "port-forward said {first:?}");
}
