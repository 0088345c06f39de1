//! "Pods": by hand, by label, on certain nodes, and what their containers share.
use super::{GPU, container, events, place};
use crate::conformance_apps::{ready, sleeper, template};
use crate::run::{run, wait, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// The documents' first pods, made as they are made there.
fn kubia(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"image": "luksa/kubia", "name": "kubia", "ports": [{"containerPort": 8080, "protocol": "TCP"}]}]}})
}

#[test]
fn made_asked_chosen_and_removed() {
    let mut place = place("pods");
    place.create("v1", "pods", &kubia("kubia-manual", &json!({"creation_method": "manual"})));
    place.create("v1", "pods", &kubia("kubia-manual-v2", &json!({"creation_method": "manual", "env": "prod"})));
    let said = place.kubectl.ok("run kubia --image=luksa/kubia --port=8080");
    assert_eq!(said, "pod/kubia created\n");
    for name in ["kubia", "kubia-manual", "kubia-manual-v2"] {
        place.until("it is ready", "v1", &format!("pods/{name}"), ready);
    }
    let table = place.kubectl.ok("get pods");
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    assert_eq!(words(table.lines().next().unwrap_or_default()), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert_eq!(words(table.lines().nth(1).unwrap_or_default())[..4], ["kubia", "1/1", "Running", "0"]);
    for line in ["logs kubia-manual", "logs kubia-manual -c kubia"] {
        assert_eq!(place.kubectl.ok(line), "Kubia server starting...\n");
    }

    // A port of this machine leads to the pod.
    let mut forward = place.kubectl.command(&["port-forward", "kubia-manual", ":8080", "--address", "127.0.0.1"]);
    let mut child = forward.stdout(Stdio::piped()).spawn().expect("kubectl starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let line = lines.next().unwrap_or_default();
    let address = line.strip_prefix("Forwarding from ").and_then(|rest| rest.strip_suffix(" -> 8080")).unwrap_or_default().to_string();
    let hit = run(Command::new("curl").args(["--silent", "--max-time", "10", &address]));
    let _ = child.kill();
    let _ = wait(&mut child, SOON);
    assert_eq!(hit.stdout.trim(), "You've hit kubia-manual", "{line}");

    let chosen = |selector: &str| -> BTreeSet<String> {
        let names = run(&mut place.kubectl.command(&["get", "po", "-o", "name", "-l", selector])).ok();
        names.lines().map(|l| l.trim_start_matches("pod/").to_string()).collect()
    };
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect::<BTreeSet<_>>();
    for (selector, names) in [
        ("creation_method=manual", &["kubia-manual", "kubia-manual-v2"][..]),
        ("env", &["kubia-manual-v2"]),
        ("!env", &["kubia", "kubia-manual"]),
        ("creation_method!=manual", &["kubia"]),
        ("env in (prod,devel)", &["kubia-manual-v2"]),
        ("env notin (prod,devel)", &["kubia", "kubia-manual"]),
        ("creation_method=manual,env=prod", &["kubia-manual-v2"]),
    ] {
        assert_eq!(chosen(selector), set(names), "{selector}");
    }
    place.kubectl.ok("annotate pod kubia mycompany.com/someannotation=foo");
    assert!(place.kubectl.ok("get po kubia -o yaml").contains("mycompany.com/someannotation: foo"));
    let said = place.kubectl.ok("delete po -l creation_method=manual");
    assert!(said.contains("pod \"kubia-manual\" deleted") && said.contains("pod \"kubia-manual-v2\" deleted"), "{said}");
    assert!(place.kubectl.ok("delete po kubia").contains("pod \"kubia\" deleted"));
}

#[test]
fn only_on_certain_nodes() {
    let mut place = place("nodes");
    place.kubectl.feed("create", GPU).ok();
    place.until("it is not placed", "v1", "pods/kubia-gpu", |p| p["status"]["conditions"][0]["reason"] == "Unschedulable");
    assert_eq!(place.get("v1", "pods/kubia-gpu")["status"]["phase"], "Pending");
    let told = events(&mut place, "kubia-gpu", "FailedScheduling");
    assert!(told[0].contains("1 node(s) didn't match Pod's node affinity/selector"), "{told:?}");
    place.kubectl.ok("label nodes --all gpu=true");
    let pod = place.until("it runs", "v1", "pods/kubia-gpu", ready);
    place.kubectl.ok("label nodes --all gpu-");
    assert!(ready(&place.get("v1", "pods/kubia-gpu")), "who runs is left alone");
    assert!(place.kubectl.ok("delete po kubia-gpu").contains("pod \"kubia-gpu\" deleted"));
    // Who names the node himself is asked by no scheduler.
    let mut named = kubia("named", &json!({}));
    named["spec"]["nodeName"] = pod["spec"]["nodeName"].clone();
    named["spec"]["schedulerName"] = "nobody".into();
    place.create("v1", "pods", &named);
    place.until("it runs", "v1", "pods/named", ready);
    assert!(events(&mut place, "named", "Scheduled").is_empty());
    place.kubectl.ok("delete po named");
}

/// Address, ports, name and volumes are shared; files and processes are not. Another pod is met without translation.
#[test]
fn what_the_containers_of_a_pod_share() {
    let mut place = place("shared");
    let mut pod = sleeper("world");
    pod["metadata"]["name"] = "world".into();
    pod["spec"]["hostAliases"] = json!([{"ip": "10.1.2.3", "hostnames": ["foo.remote", "bar.remote"]}]);
    pod["spec"]["volumes"] = json!([{"name": "html", "emptyDir": {}}]);
    let mut first = pod["spec"]["containers"][0].clone();
    first["volumeMounts"] = json!([{"name": "html", "mountPath": "/html"}]);
    let mut second = first.clone();
    (first["name"], second["name"]) = ("one".into(), "two".into());
    let web = |name: &str| json!({"name": name, "image": "luksa/kubia"});
    pod["spec"]["containers"] = json!([first, second, web("web")]);
    place.create("v1", "pods", &pod);
    place.create("v1", "pods", &kubia("other", &json!({})));
    let world = place.until("all run", "v1", "pods/world", ready);
    let other = place.until("the other runs", "v1", "pods/other", ready);
    let ip = |pod: &Value| pod["status"]["podIP"].as_str().unwrap_or_default().to_string();
    let within = |name: &str, line: &str| run(&mut place.kubectl.command(&["exec", "world", "-c", name, "--", "sh", "-c", line]));

    for name in ["one", "two"] {
        assert_eq!(within(name, "wget -qO- http://127.0.0.1:8080").ok().trim(), "You've hit world");
        assert_eq!(within(name, "hostname").ok().trim(), "world");
        let hosts = within(name, "cat /etc/hosts").ok();
        assert!(hosts.contains("10.1.2.3\tfoo.remote\tbar.remote") && hosts.contains(&ip(&world)), "{hosts}");
    }
    within("one", "echo page > /html/index.html; echo own > /tmp/own").ok();
    assert_eq!(within("two", "cat /html/index.html; ls /tmp").ok(), "page\n");
    assert!(within("two", "ps").ok().lines().all(|l| !l.contains("kubia")), "processes are seen from outside");

    // The other pod sees the address that this one has.
    assert_ne!(ip(&world), ip(&other));
    assert_eq!(within("one", &format!("wget -qO- http://{}:8080", ip(&other))).ok().trim(), "You've hit other");
    assert_eq!(place.kubectl.ok("logs other --tail=1"), format!("Received request from {}\n", ip(&world)));

    // A port of a pod can be had once.
    let mut clash = template("clash", "sleep 1000");
    clash["metadata"]["name"] = "clash".into();
    clash["spec"]["containers"] = json!([web("a"), web("b")]);
    place.create("v1", "pods", &clash);
    let state = |p: &Value| {
        [&p["status"]["containerStatuses"][0], &p["status"]["containerStatuses"][1]].map(|c| c["restartCount"].as_i64() > Some(0))
    };
    let pod = place.until("one of them cannot listen", "v1", "pods/clash", |p| state(p).contains(&true));
    let loser = if state(&pod)[0] { "a" } else { "b" };
    let why = wait_for("its last words", SOON, || {
        let run = place.kubectl.run(&format!("logs clash -c {loser} --previous"));
        (run.code == Some(0)).then_some(run.stdout)
    });
    assert!(why.contains("cannot listen on port 8080"), "{why}");
    assert_eq!(container(&place.get("v1", "pods/other"))["restartCount"], 0, "other pods have ports of their own");
}
