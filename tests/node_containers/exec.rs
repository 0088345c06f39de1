use super::fixture::{Fixture, gather, possible};
use bytes::Bytes;
use impresario::runtime::api::{ContainerSpec, ExecSpec, Security, SessionInput, SessionOutput, TerminalSize};
use std::collections::BTreeMap;

fn idle(f: &Fixture, id: &str) -> ContainerSpec {
    ContainerSpec { env: vec![("COLOUR".into(), "blue".into())], ..f.script(id, "exec sleep 1000") }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_output_and_environment() {
    if !possible() {
        return;
    }
    let f = Fixture::new();
    f.start(ContainerSpec { working_dir: "/srv".into(), ..idle(&f, "c") }).await;
    let said = f.exec("c", &["sh", "-c", "echo $COLOUR $HOME; pwd; hostname; echo bad >&2; exit 9"]).await;
    assert_eq!((said.stdout.as_str(), said.stderr.as_str(), said.code), ("blue /root\n/srv\npod-1\n", "bad\n", Some(9)));
    assert_eq!(f.exec("c", &["sh", "-c", "kill -TERM $$"]).await.code, Some(143));

    let missing = f.exec("c", &["no-such-program"]).await;
    assert_eq!(missing.code, Some(127));
    let words = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"no-such-program\": executable file not found in $PATH\n";
    assert_eq!(missing.stderr, words);
    assert_eq!(f.exec("c", &["/etc/passwd"]).await.code, Some(126));
    assert_eq!(f.exec("c", &["ls", "/proc/1/comm"]).await.stdout, "/proc/1/comm\n");
    let large = f.exec("c", &["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' z"]).await;
    assert_eq!((large.stdout.len(), large.code), (3_000_000, Some(0)));
    assert!(f.containers.exec("nobody", ExecSpec::default()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn input_terminal_and_hangup() {
    if !possible() {
        return;
    }
    let f = Fixture::new();
    f.start(idle(&f, "c")).await;
    let exec = |command: &[&str], tty| {
        let spec = ExecSpec { command: command.iter().map(|c| (*c).to_owned()).collect(), tty, stdin: true };
        f.containers.exec("c", spec)
    };
    let session = exec(&["cat"], false).await.expect("a session");
    session.input.send(SessionInput::Stdin(Bytes::from(vec![b'a'; 500_000]))).await.expect("sent");
    session.input.send(SessionInput::CloseStdin).await.expect("sent");
    let said = gather(session).await;
    assert_eq!((said.stdout.len(), said.code), (500_000, Some(0)));

    let session = exec(&["sh", "-c", "read x; stty size; tty; echo $TERM; ps | grep -c sleep; exit 5"], true).await.expect("a session");
    session.input.send(SessionInput::Resize(TerminalSize { width: 99, height: 33 })).await.expect("sent");
    session.input.send(SessionInput::Stdin(Bytes::from_static(b"\n"))).await.expect("sent");
    let said = gather(session).await;
    assert!(said.stdout.contains("33 99") && said.stdout.contains("/dev/pts/") && said.stdout.contains("xterm"), "{said:?}");
    assert_eq!(said.code, Some(5));

    // Dropping a session kills its command and what it started.
    let mut session = exec(&["sh", "-c", "sleep 777 & echo up; wait"], false).await.expect("a session");
    assert_eq!(session.output.recv().await, Some(SessionOutput::Stdout(Bytes::from_static(b"up\n"))));
    let sleeping = || std::fs::read_to_string(f.cgroup("memory", "c").join("cgroup.procs")).map_or(0, |t| t.lines().count());
    assert_eq!(sleeping(), 3);
    drop(session);
    let gone = async {
        while sleeping() > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::fixture::LIMIT, gone).await.expect("killed in time");
}

/// The security-relevant lines of a process's status, and its namespaces and cgroups.
fn standing(pid: &str) -> BTreeMap<String, String> {
    let wanted = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn"];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let mut all: BTreeMap<String, String> = status
        .lines()
        .filter_map(|l| l.split_once(':'))
        .filter(|(name, _)| wanted.contains(name))
        .map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("namespace");
        all.insert(format!("ns {kind}"), link.display().to_string());
    }
    all.insert("cgroup".into(), std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("cgroup"));
    all.insert("root".into(), std::fs::read_link(format!("/proc/{pid}/root")).expect("root").display().to_string());
    all.insert("oom".into(), std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("oom score"));
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").count();
    all.insert("descriptors".into(), files.to_string());
    all
}

/// Waits until both processes have become `sleep`; answers with the one that is not `init`.
async fn both_sleep(f: &Fixture, id: &str, init: i32) -> String {
    loop {
        let procs = std::fs::read_to_string(f.cgroup("memory", id).join("cgroup.procs")).expect("procs");
        let sleeps = |pid: &&str| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "sleep\n");
        let asleep: Vec<&str> = procs.lines().filter(sleeps).collect();
        if let (2, Some(other)) = (asleep.len(), asleep.iter().find(|p| **p != init.to_string())) {
            return (*other).to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_has_exactly_the_standing_of_the_first_process() {
    if !possible() {
        return;
    }
    let f = Fixture::new();
    let seccomp = || "RuntimeDefault".to_owned();
    let cases = [
        Security::default(),
        Security { allow_privilege_escalation: true, seccomp: seccomp(), ..Security::default() },
        Security {
            run_as_user: Some(1000),
            run_as_group: Some(7),
            supplemental_groups: vec![5, 6],
            seccomp: seccomp(),
            ..Security::default()
        },
        Security {
            run_as_user: Some(33),
            drop_capabilities: vec!["ALL".into()],
            add_capabilities: vec!["NET_BIND_SERVICE".into()],
            allow_privilege_escalation: true,
            read_only_root: true,
            ..Security::default()
        },
        Security { drop_capabilities: vec!["ALL".into()], seccomp: seccomp(), ..Security::default() },
        Security { privileged: true, allow_privilege_escalation: true, ..Security::default() },
    ];
    for (n, security) in cases.into_iter().enumerate() {
        let id = format!("c{n}");
        let filtered = !security.seccomp.is_empty();
        let init = f.start(ContainerSpec { security, oom_score_adj: 500, ..idle(&f, &id) }).await;
        let command = ["sleep", "555"].map(str::to_owned).to_vec();
        let _session = f.containers.exec(&id, ExecSpec { command, ..ExecSpec::default() }).await.expect("a session");
        let other = tokio::time::timeout(super::fixture::LIMIT, both_sleep(&f, &id, init)).await.expect("in time");
        let (first, second) = (standing(&init.to_string()), standing(&other));
        assert_eq!(first, second, "case {n}");
        assert_eq!(first.get("Seccomp").map(String::as_str), Some(if filtered { "2" } else { "0" }), "case {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_profile_lets_programs_work_and_stops_the_rest() {
    if !possible() {
        return;
    }
    let f = Fixture::new();
    let security = Security { seccomp: "RuntimeDefault".into(), allow_privilege_escalation: true, ..Security::default() };
    f.start(ContainerSpec { security, ..idle(&f, "c") }).await;
    let said = f.exec("c", &["sh", "-c", "ls / > /dev/null && date > /dev/null && echo fine; unshare -U true || echo refused"]).await;
    assert!(said.stdout.contains("fine") && said.stdout.contains("refused"), "{said:?}");
}
