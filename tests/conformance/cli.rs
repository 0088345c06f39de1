//! What is typed at kubectl, on a cluster with a node.
use crate::busybox::{DOCKER_IMAGE, IMAGE};
use crate::cluster::shared;
use crate::kubectl::{Kubectl, newest};
use crate::run::{run, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A namespace of one's own, gone with the value.
struct Scene(Kubectl<'static>);

impl Scene {
    fn new(name: &str) -> Scene {
        let kubectl = shared().kubectl(newest(), &format!("cli-{name}"));
        kubectl.make_namespace();
        Scene(kubectl)
    }

    /// A controller of the built-in web server with so many pods, all of them ready.
    fn controller(&self, replicas: u32) {
        let template = json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "terminationGracePeriodSeconds": 1,
            "containers": [{ "name": "web", "image": "luksa/kubia", "imagePullPolicy": "IfNotPresent", "ports": [{ "containerPort": 8080 }] }] } });
        let rc = json!({ "apiVersion": "v1", "kind": "ReplicationController", "metadata": { "name": "web", "labels": { "app": "web" } },
            "spec": { "replicas": replicas, "selector": { "app": "web" }, "template": template } });
        self.0.feed("create", &rc.to_string()).ok();
        self.ready(replicas);
    }

    /// Waits until exactly so many pods of the controller are there and ready; their names.
    fn ready(&self, count: u32) -> Vec<String> {
        wait_for(&format!("{count} ready pods"), SOON, || {
            let list = self.0.json("get pods -l app=web");
            let pods = list["items"].as_array()?;
            let ready = |p: &Value| p["status"]["containerStatuses"][0]["ready"] == true && p["metadata"]["deletionTimestamp"].is_null();
            let all = pods.len() == count as usize && pods.iter().all(ready);
            all.then(|| pods.iter().filter_map(|p| p["metadata"]["name"].as_str().map(String::from)).collect())
        })
    }

    /// A pod that sleeps, running.
    fn sleeper(&self, name: &str) {
        let options = [format!("--image={IMAGE}"), format!("--labels=run={name}"), "--image-pull-policy=IfNotPresent".into()];
        let words = [&["run", name][..], &options.each_ref().map(String::as_str), &["--", "sh", "-c", "trap exit TERM; sleep 1000 & wait"]];
        self.0.ok_words(&words.concat());
        self.0.ok(&format!("wait --for=condition=Ready pod/{name} --timeout=60s"));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let name = &self.0.namespace;
        if std::thread::panicking() {
            eprintln!("{}", self.0.run("get events"));
        }
        self.0.run(&format!("delete namespace {name} --wait=false"));
    }
}

#[test]
fn api_versions_have_v1() {
    let versions = shared().kubectl(newest(), "default").ok("api-versions");
    assert!(versions.lines().any(|l| l == "v1"), "{versions}");
}

#[test]
fn the_cluster_tells_of_its_control_plane() {
    let said = shared().kubectl(newest(), "default").ok("cluster-info");
    assert!(said.contains("Kubernetes control plane") && said.contains("is running at"), "{said}");
}

#[test]
fn both_versions_are_printed_in_full() {
    let said: Value = serde_json::from_str(&shared().kubectl(newest(), "default").ok("version -o json")).expect("JSON");
    for side in ["clientVersion", "serverVersion"] {
        for field in ["major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"] {
            // A build without a repository knows of no commit.
            let told = said[side][field].as_str().is_some_and(|t| !t.is_empty() || field == "gitCommit");
            assert!(told, "{side}.{field}: {said}");
        }
    }
}

#[test]
fn a_controller_starts_scales_and_stops() {
    let scene = Scene::new("scale");
    scene.controller(2);
    for count in [1, 2] {
        scene.0.ok(&format!("scale rc web --replicas={count} --timeout=5m"));
        scene.ready(count);
    }
    scene.0.ok("delete rc web --grace-period=0 --force");
    wait_for("no pod is left", SOON, || scene.0.json("get pods")["items"].as_array()?.is_empty().then_some(()));
    assert_eq!(scene.0.ok("get rc,svc -l app=web --no-headers").trim(), "");
}

/// What descriptions of each sort say, words parted by bars.
const OF_A_POD: &str = "Name:|Namespace:|Node:|Labels:|app=web|Status:|Running|IP:|Controlled By:|ReplicationController/web|Image:|luksa/kubia|State:|QoS Class:";
const OF_A_CONTROLLER: &str = "Name:|web|Namespace:|Selector:|app=web|Labels:|Replicas:|1 current / 1 desired|Pods Status:|\
    1 Running / 0 Waiting / 0 Succeeded / 0 Failed|Pod Template:|Image:|Events:|SuccessfulCreate";
const OF_A_SERVICE: &str = "Name:|web|Namespace:|Labels:|Selector:|Type:|ClusterIP|IP:|Port:|Endpoints:|:8080|Session Affinity:";
const OF_A_NODE: &str = "Name:|Labels:|Annotations:|CreationTimestamp:|Conditions:|MemoryPressure|DiskPressure|PIDPressure|Ready|Addresses:|\
    Capacity:|Version:|Kubelet Version:|Pods";

#[test]
fn descriptions_tell_what_matters() {
    let scene = Scene::new("describe");
    scene.controller(1);
    let pod = scene.ready(1).remove(0);
    scene.0.ok("expose rc web --name=web --port=80 --target-port=8080");
    wait_for("the service has its endpoint", SOON, || scene.0.ok("describe service web").contains(":8080").then_some(()));
    let node = scene.0.ok("get nodes -o name");
    let namespace = &scene.0.namespace;
    let lines = [
        (format!("describe pod {pod}"), format!("{OF_A_POD}|{pod}|{namespace}")),
        ("describe rc web".into(), OF_A_CONTROLLER.into()),
        ("describe service web".into(), OF_A_SERVICE.into()),
        (format!("describe {}", node.trim()), format!("{OF_A_NODE}|{pod}")),
        (format!("describe namespace {namespace}"), format!("Name:|{namespace}|Labels:|Annotations:|Status:|Active")),
    ];
    for (line, words) in lines {
        let told = scene.0.ok(&line);
        for word in words.split('|') {
            assert!(told.contains(word), "no {word} in\n{told}");
        }
    }
}

#[test]
fn a_difference_is_found() {
    let scene = Scene::new("diff");
    let deployment = |image: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: httpd}}, spec: {{replicas: 0, selector: {{matchLabels: {{a: b}}}}, \
                 template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: httpd, image: '{image}'}}]}}}}}}}}"
        )
    };
    scene.0.feed("create", &deployment(IMAGE)).ok();
    let difference = scene.0.feed("diff", &deployment("busybox:other"));
    assert_eq!(difference.code, Some(1), "{difference}");
    let lines: Vec<&str> = difference.stdout.lines().map(str::trim_end).collect();
    for (sign, image) in [('-', IMAGE), ('+', "busybox:other")] {
        assert!(lines.iter().any(|l| l.starts_with(sign) && l.ends_with(&format!("- image: {image}"))), "{difference}");
    }
}

#[test]
fn controllers_and_services_are_exposed() {
    let scene = Scene::new("expose");
    scene.controller(1);
    let exposed = |line: &str, name: &str, port: u16| {
        scene.0.ok(line);
        let service = scene.0.json(&format!("get service {name}"));
        let ports = &service["spec"]["ports"];
        assert_eq!((ports.as_array().map(Vec::len), &ports[0]["port"], &ports[0]["targetPort"]), (Some(1), &json!(port), &json!(8080)));
        wait_for("the service has its endpoint", SOON, || {
            let endpoints = scene.0.run(&format!("get endpoints {name} -o jsonpath={{.subsets[*].ports[*].port}}"));
            (endpoints.stdout.trim() == "8080").then_some(())
        });
    };
    exposed("expose rc web --name=rm2 --port=1234 --target-port=8080", "rm2", 1234);
    exposed("expose service rm2 --name=rm3 --port=2345 --target-port=8080", "rm3", 2345);
}

#[test]
fn a_label_comes_and_goes() {
    let scene = Scene::new("label");
    scene.sleeper("pause");
    scene.0.ok("label pods pause testing-label=testing-label-value");
    let column = scene.0.ok("get pod pause -L testing-label");
    assert!(column.contains("TESTING-LABEL") && column.contains("testing-label-value"), "{column}");
    assert!(scene.0.ok("get pods -l testing-label=testing-label-value -o name").contains("pod/pause"));
    scene.0.ok("label pods pause testing-label-");
    assert!(!scene.0.ok("get pod pause -L testing-label").contains("testing-label-value"));
    assert_eq!(scene.0.ok("get pods -l testing-label -o name").trim(), "");
}

#[test]
fn pods_of_a_controller_are_annotated_by_patches() {
    let scene = Scene::new("patch");
    scene.controller(1);
    let pod = scene.ready(1).remove(0);
    scene.0.ok_words(&["patch", "pod", &pod, "-p", r#"{"metadata":{"annotations":{"x":"y"}}}"#]);
    assert_eq!(scene.0.json(&format!("get pod {pod}"))["metadata"]["annotations"]["x"], "y");
}

#[test]
fn an_image_is_replaced() {
    let scene = Scene::new("replace");
    scene.sleeper("e2e-pod");
    let manifest = scene.0.ok("get pod e2e-pod -o json").replace(IMAGE, DOCKER_IMAGE);
    scene.0.feed("replace", &manifest).ok();
    assert_eq!(scene.0.json("get pod e2e-pod")["spec"]["containers"][0]["image"], DOCKER_IMAGE);
    wait_for("the other image runs", SOON, || {
        let status = &scene.0.json("get pod e2e-pod")["status"]["containerStatuses"][0];
        (status["image"] == DOCKER_IMAGE && status["ready"] == true).then_some(())
    });
}

#[test]
fn a_pod_is_run_once() {
    let scene = Scene::new("run");
    scene.0.ok(&format!("run e2e-pod --restart=Never --image={IMAGE} --pod-running-timeout=2m0s --labels=run=e2e-pod"));
    let pod = scene.0.json("get pod e2e-pod");
    let containers = &pod["spec"]["containers"];
    assert_eq!((containers.as_array().map(Vec::len), containers[0]["image"].as_str()), (Some(1), Some(IMAGE)));
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
}

#[test]
fn a_dry_run_changes_no_pod() {
    let scene = Scene::new("dry");
    scene.0.ok(&format!("run e2e-pod --image={IMAGE} --labels=run=e2e-pod"));
    let patch = format!(r#"{{"spec":{{"containers":[{{"name":"e2e-pod","image":"{DOCKER_IMAGE}"}}]}}}}"#);
    let said = scene.0.ok_words(&["patch", "pod", "e2e-pod", "-p", &patch, "--dry-run=server", "-o", "json"]);
    assert!(said.contains(DOCKER_IMAGE), "{said}");
    assert_eq!(scene.0.json("get pod e2e-pod")["spec"]["containers"][0]["image"], IMAGE);
}

/// `kubectl proxy` until the value goes.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it and returns what it says first.
fn proxy(args: &[&str]) -> (Proxy, String) {
    let mut command = shared().kubectl(newest(), "default").command(&[&["proxy"], args].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("kubectl starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    (Proxy(child), line)
}

#[test]
fn a_proxy_on_any_port() {
    let (_proxy, line) = proxy(&["--port=0", "--disable-filter"]);
    let address = line.trim().strip_prefix("Starting to serve on ").expect("an address").to_string();
    let said = run(Command::new("curl").args(["--silent", &format!("http://{address}/api/")])).ok();
    let versions: Value = serde_json::from_str(&said).expect("JSON");
    assert!(versions["versions"].as_array().is_some_and(|v| !v.is_empty()), "{said}");
}

#[test]
fn a_proxy_on_a_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("test");
    let (_proxy, line) = proxy(&[&format!("--unix-socket={}", socket.display())]);
    assert!(line.contains("Starting to serve on"), "{line}");
    let said = run(Command::new("curl").arg("--silent").arg("--unix-socket").arg(&socket).arg("http://localhost:0/api")).ok();
    let versions: Value = serde_json::from_str(&said).expect("JSON");
    assert!(versions["versions"].as_array().is_some_and(|v| !v.is_empty()), "{said}");
}

#[test]
fn logs_are_filtered() {
    let scene = Scene::new("logs");
    let script = "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); done; sleep 2; echo done; sleep 1000";
    scene.0.ok_words(&["run", "logs-generator", &format!("--image={IMAGE}"), "--restart=Never", "--", "sh", "-c", script]);
    wait_for("the last line", SOON, || scene.0.run("logs logs-generator").stdout.contains("done").then_some(()));
    let logs = |options: &str| scene.0.ok(&format!("logs logs-generator logs-generator {options}"));
    assert_eq!(logs("--tail=1"), "done\n");
    assert_eq!(logs("--limit-bytes=1"), "l");
    let stamped = logs("--tail=1 --timestamps");
    let (stamp, text) = stamped.trim_end().split_once(' ').expect("a time");
    assert_eq!((stamped.lines().count(), text), (1, "done"));
    assert!(stamp.parse::<jiff::Timestamp>().is_ok(), "{stamp}");
    // Nothing was said within the last second, later on; everything within the last day.
    wait_for("the last line is a while ago", SOON, || logs("--since=1s").is_empty().then_some(()));
    assert_eq!(logs("--since=24h").lines().count(), 31);
}
