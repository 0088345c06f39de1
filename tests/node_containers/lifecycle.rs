use super::fixture::{Fixture, possible};
use impresario::runtime::api::{ContainerPhase, Limits, Security};
use impresario::runtime::containers::dial;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_reported_with_code_signal_and_message() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let (end, log) = f.run(f.script("code", "echo hello; echo why > /dev/termination-log; exit 42")).await;
    assert_eq!((end.id.as_str(), end.pod_uid.as_str(), end.exit.code, end.exit.signal), ("code", "uid", 42, 0));
    assert_eq!(end.exit.message, "why\n");
    assert!(end.exit.started_ms > 0 && end.exit.finished_ms >= end.exit.started_ms);
    assert!(log.ends_with(" stdout F hello\n"), "{log}");

    f.containers.remove("code").await.expect("removed");
    f.containers.remove("code").await.expect("gone is fine");
    assert!(!f.cgroup("memory", "code").exists());
    assert!(f.log("code").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn term_then_kill() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    f.start(f.script("polite", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done")).await;
    wait_for_log(&f, "polite", "up").await;
    f.containers.signal("polite", 15).await.expect("signalled");
    assert_eq!(f.exited().await.exit.code, 3);

    f.start(f.script("stubborn", "trap '' TERM; echo up; while :; do sleep 0.1; done")).await;
    wait_for_log(&f, "stubborn", "up").await;
    assert_eq!(f.containers.remove("stubborn").await.map_err(|e| e.reason), Err("RemoveContainerError"));
    f.containers.signal("stubborn", 15).await.expect("signalled");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), f.exits.recv()).await.is_err());
    f.containers.signal("stubborn", 9).await.expect("signalled");
    let end = f.exited().await;
    assert_eq!((end.exit.code, end.exit.signal, end.exit.oom_killed), (137, 9, false));
    f.containers.signal("stubborn", 9).await.expect("finished is fine");
    assert!(f.containers.signal("nobody", 9).await.is_err());
}

async fn wait_for_log(f: &Fixture, id: &str, text: &str) {
    use impresario::runtime::containers::logs::{LogOptions, read_log};
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let (_ended, flag) = tokio::sync::watch::channel(false);
    let path = f.log(id);
    tokio::spawn(async move { read_log(&path, LogOptions { follow: true, ..LogOptions::default() }, sender, flag).await });
    let mut seen = String::new();
    while !seen.contains(text) {
        let piece = tokio::time::timeout(super::fixture::LIMIT, receiver.recv()).await.expect("in time").expect("more");
        seen.push_str(&String::from_utf8_lossy(&piece));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_and_an_oom_kill_is_reported() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let limits = Limits { cpu_request_milli: 250, cpu_limit_milli: 500, memory_limit: 32 << 20, pids: 50, ..Limits::default() };
    let hungry = "head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null & wait; exec tail -c 190000000 /dev/zero";
    let mut spec = f.script("hungry", hungry);
    spec.limits = limits.clone();
    let (end, log) = f.run(spec).await;
    assert_eq!((end.exit.code, end.exit.signal, end.exit.oom_killed), (137, 9, true), "{log}");

    let mut spec = f.script("bounded", "exec sleep 1000");
    spec.limits = limits;
    f.start(spec).await;
    let read =
        |controller: &str, file: &str| std::fs::read_to_string(f.cgroup(controller, "bounded").join(file)).map(|t| t.trim().to_owned());
    if let Ok(limit) = read("memory", "memory.limit_in_bytes") {
        assert_eq!(limit, (32 << 20).to_string());
        assert_eq!(read("cpu", "cpu.shares").expect("shares"), "256");
        assert_eq!(read("cpu", "cpu.cfs_quota_us").expect("quota"), "50000");
    } else {
        assert_eq!(read("memory", "memory.max").expect("limit"), (32 << 20).to_string());
        assert_eq!(read("cpu", "cpu.max").expect("quota"), "50000 100000");
    }
    assert_eq!(read("pids", "pids.max").expect("pids"), "50");
    let usage = f.containers.usage("bounded").await.expect("usage");
    assert!(usage.pids == 1 && usage.cpu_nanos > 0 && usage.memory < 32 << 20, "{usage:?}");
    f.containers.signal("bounded", 9).await.expect("killed");
    f.exited().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_start_at_once() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let starts = (0..20).map(|n| f.start(f.script(&format!("c{n}"), &format!("echo {n}; exit {n}"))));
    let pids = futures_util::future::join_all(starts).await;
    assert_eq!(pids.len(), 20);
    let mut codes = Vec::new();
    for _ in 0..20 {
        let end = f.exited().await;
        assert_eq!(end.id, format!("c{}", end.exit.code));
        codes.push(end.exit.code);
    }
    codes.sort_unstable();
    assert_eq!(codes, (0..20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_adopts_what_runs_and_learns_what_ended() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let (_, _) = f.run(f.script("before", "exit 5")).await;
    let pid = f.start(f.script("during", "trap 'exit 6' TERM; echo up; while :; do sleep 0.1; done")).await;
    wait_for_log(&f, "during", "up").await;
    f.restart_agent();
    let mut found = f.containers.scan().await.expect("a scan");
    found.sort_by(|a, b| a.spec.id.cmp(&b.spec.id));
    let [before, during] = found.as_slice() else { panic!("two containers, not {found:?}") };
    assert!(matches!(&before.phase, ContainerPhase::Exited(e) if e.code == 5));
    assert!(matches!(&during.phase, ContainerPhase::Running { pid: p, .. } if *p == pid));
    assert_eq!(during.spec.name, "during");
    f.containers.signal("during", 15).await.expect("signalled");
    let end = f.exited().await;
    assert_eq!((end.id.as_str(), end.exit.code), ("during", 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shim_ends_its_container() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let pid = f.start(f.script("orphan", "exec sleep 1000")).await;
    let shim = parent_of(pid);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::Signal::SIGKILL).expect("shim killed");
    let end = f.exited().await;
    assert_eq!((end.exit.code, end.exit.message.as_str()), (137, "the container's shim ended unexpectedly"));
    assert_eq!(std::fs::read_to_string(f.cgroup("memory", "orphan").join("cgroup.procs")).expect("procs"), "");
}

fn parent_of(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    status.lines().find_map(|l| l.strip_prefix("PPid:")).and_then(|p| p.trim().parse().ok()).expect("a parent")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why_and_leaves_nothing() {
    if !possible() {
        return;
    }
    let f = Fixture::new();
    let mut spec = f.script("nope", "");
    spec.command = vec!["no-such-program".into()];
    let error = f.try_start(spec).await.expect_err("no such program");
    assert_eq!(error.reason, "RunContainerError");
    assert_eq!(error.message, "failed to start container \"nope\": exec: \"no-such-program\": executable file not found in $PATH");
    assert!(!f.cgroup("memory", "nope").exists());
    assert!(f.containers.scan().await.expect("a scan").is_empty());

    let mut spec = f.script("root", "true");
    spec.security = Security { run_as_non_root: true, ..Security::default() };
    assert_eq!(f.try_start(spec).await.map_err(|e| e.reason), Err("CreateContainerConfigError"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pods_parts_are_visible_and_its_ports_reachable() {
    if !possible() {
        return;
    }
    let mut f = Fixture::new();
    let look = "hostname; cat /etc/hosts /etc/resolv.conf; pwd; id -u; id -G; cat /proc/1/comm; touch /dev/shm/x; ls -d /sys/fs/cgroup/memory /dev/null; \
        echo x > /proc/sys/kernel/domainname";
    let mut spec = f.script("look", look);
    spec.working_dir = "/work/here".into();
    spec.security = Security { run_as_user: Some(1000), supplemental_groups: vec![5], ..Security::default() };
    let (_, log) = f.run(spec).await;
    let lines: Vec<&str> = log.lines().filter_map(|l| l.splitn(4, ' ').nth(3)).collect();
    assert_eq!(lines.first(), Some(&"pod-1"));
    for wanted in ["127.0.0.1 localhost", "nameserver 10.0.0.10", "/work/here", "1000", "1000 5 77", "sh", "/dev/null"] {
        assert!(lines.contains(&wanted), "{wanted:?} in {lines:?}");
    }
    assert!(lines.iter().any(|l| l.contains("domainname")), "/proc/sys is read-only: {lines:?}");

    f.start(f.script("server", "echo up; echo answer | nc -l -p 8080")).await;
    wait_for_log(&f, "server", "up").await;
    let net = f.sandbox.net.clone();
    // It says "up" a moment before it listens.
    let dialling = async {
        loop {
            match dial(net.clone(), 8080).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    };
    let mut stream = tokio::time::timeout(super::fixture::LIMIT, dialling).await.expect("a server in time");
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.expect("an answer");
    assert_eq!(text, "answer\n");
    assert!(dial(f.sandbox.net.clone(), 8081).await.is_err());
}

/// Prints a figure; asserts only what no machine should miss.
#[tokio::test(flavor = "multi_thread")]
async fn start_latency() {
    if !possible() {
        return;
    }
    let f = Fixture::new();
    let mut times = Vec::new();
    for n in 0..50 {
        let spec = f.script(&format!("t{n}"), "exec sleep 1000");
        let begin = Instant::now();
        f.start(spec).await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let at = |i: usize| times.get(i).copied().unwrap_or_default();
    eprintln!("start latency of 50: p50 {:?}, p90 {:?}, min {:?}, max {:?}", at(25), at(45), at(0), at(49));
    assert!(at(25).as_millis() < 1000);
}
