//! Commands that cannot do what was asked: what they say, how they end, and that they leave everything as it was.
use crate::cluster::{Cluster, IMPRESARIO, Options, shared};
use crate::run::{Run, run};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The exit code for wrong use.
const USAGE: Option<i32> = Some(2);

fn up(data_dir: &Path, more: &[&str]) -> Run {
    let mut command = Command::new(IMPRESARIO);
    command.args(["up", "--foreground", "--no-node", "--mesh-port", "0", "--data-dir"]).arg(data_dir).args(more);
    run(&mut command)
}

/// Ended as wrong use, in words, with these among them.
#[track_caller]
fn says(run: &Run, words: &[&str]) {
    assert_eq!(run.code, USAGE, "{run}");
    assert!(!run.stderr.contains("panicked"), "{run}");
    for word in words {
        assert!(run.stderr.contains(word), "no \"{word}\" in {run}");
    }
}

#[test]
fn a_wrong_cluster_file() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("cluster.yaml");
    let name = file.display().to_string();
    for (text, words) in [
        ("api:\n  prot: 6443\n", &[":2:3: ", "unknown field \"prot\"", "did you mean \"port\"?"][..]),
        ("api:\n  port: many\n", &[":2:9: ", "api.port", "many"]),
        ("network: { podCidr: 10.244.0.0/33 }\n", &["podCidr"]),
        ("network: { podCidr: 10.96.0.0/16 }\n", &["network.serviceCidr", "overlaps"]),
        ("api: [\n", &[":"]),
        ("users:\n- name: eve\n  token: short\n", &["users[0]", "8 characters"]),
    ] {
        std::fs::write(&file, text).expect("write the file");
        let run = up(&folder.path().join("data"), &["--config", &name]);
        says(&run, words);
        assert!(run.stderr.contains(&name), "which file? {run}");
    }
    says(&up(&folder.path().join("data"), &["--config", "/no/such/file.yaml"]), &["/no/such/file.yaml", "No such file"]);
    assert!(!folder.path().join("data").join("pki").exists(), "a refused start made keys");
}

#[test]
fn a_data_directory_that_is_not_ours() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("precious.txt"), "keep me").expect("write a file");
    says(&up(folder.path(), &["--api-port", "0"]), &[&folder.path().display().to_string()]);
    let purge = run(Command::new(IMPRESARIO).args(["down", "--purge", "--data-dir"]).arg(folder.path()));
    assert!(purge.code != Some(0), "purged what is not ours: {purge}");
    assert_eq!(std::fs::read_to_string(folder.path().join("precious.txt")).expect("still there"), "keep me");
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("still there").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 1, "something was written: {names:?}");
    let file = folder.path().join("precious.txt");
    says(&up(&file, &["--api-port", "0"]), &["precious.txt"]);
}

#[test]
fn a_cluster_that_runs_already() {
    let mut command = shared().command("up --foreground --no-node --api-port 0 --mesh-port 0");
    says(&run(&mut command), &["uses", "impresario down"]);
    assert_eq!(shared().client().get("/readyz").expect("undisturbed").status, 200);
}

#[test]
fn a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let folder = tempfile::tempdir().expect("a temporary directory");
    says(&up(&folder.path().join("data"), &["--api-port", &port]), &[&port, "in use", "--api-port"]);
}

#[test]
fn not_root() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let binary = folder.path().join("impresario");
    std::fs::copy(IMPRESARIO, &binary).expect("copy the binary to where anybody may read it");
    run(Command::new("chmod").args(["-R", "a+rwx"]).arg(folder.path())).ok();
    let mut command = Command::new(&binary);
    command.args(["up", "--foreground", "--api-port", "0", "--mesh-port", "0", "--data-dir"]).arg(folder.path().join("data"));
    says(&run(command.uid(65534).gid(65534)), &["root", "sudo"]);
}

#[test]
fn commands_without_a_cluster() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("none").display().to_string();
    let token = run(Command::new(IMPRESARIO).args(["token", "create", "--data-dir", &data]));
    assert!(token.code != Some(0) && token.stderr.contains(&data), "{token}");
    assert!(!Path::new(&data).exists(), "a question made a directory");
    let down = run(Command::new(IMPRESARIO).args(["down", "--data-dir", &data]));
    says(&down, &[&data]);
    let node = run(Command::new(IMPRESARIO).args([
        "node",
        "--join",
        "127.0.0.1:1",
        "--token",
        "rubbish",
        "--node-name",
        "n",
        "--data-dir",
        &data,
    ]));
    says(&node, &["token"]);
    assert_eq!(run(Command::new(IMPRESARIO).arg("nonsense")).code, USAGE);
}

#[test]
fn a_store_that_is_damaged() {
    let cluster = Cluster::start(Options { name: "damaged", no_node: true, ..Options::default() });
    cluster.kill();
    let store = store_file(&cluster.data_dir());
    let kept = std::fs::read(&store).expect("the store");
    std::fs::write(&store, b"this is not a database").expect("damage it");
    let run = up(&cluster.data_dir(), &["--api-port", "0"]);
    assert!(run.code.is_some_and(|c| c != 0) && run.stderr.contains(&store.display().to_string()), "{run}");
    assert!(!run.stderr.contains("panicked"), "{run}");
    std::fs::write(&store, kept).expect("mend it");
    cluster.spawn();
    cluster.wait_ready();
}

/// The file that holds the objects.
fn store_file(data_dir: &Path) -> PathBuf {
    let entries = std::fs::read_dir(data_dir.join("store.redb")).expect("the store").flatten().map(|e| e.path());
    entries.max_by_key(|path| std::fs::metadata(path).map_or(0, |m| m.len())).expect("a file")
}
