//! Clients that others wrote, against one server without a node: helm, Python's and Node's libraries, Rust's `kube` crate, and
//! one that speaks nothing but protobuf. `scripts/kubectl.sh` and `scripts/clients.sh` fetch them.
mod helm;
mod programs;
mod protobuf;
mod wire;

use crate::cluster::{Cluster, Options};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The server that the tests share.
fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    extern "C" fn stop() {
        if let Some(server) = SERVER.get() {
            server.kill();
            let _ = std::fs::remove_dir_all(server.scratch());
        }
    }
    SERVER.get_or_init(|| {
        let server = Cluster::start(Options { name: "clients", no_node: true, ..Options::default() });
        // SAFETY: `stop` takes nothing, unwinds nowhere and outlives the process. A static is never dropped.
        unsafe { libc::atexit(stop) };
        server
    })
}

/// Where the scripts put what they fetch.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("tools")
}

/// A file of these tests.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A program that talks to the server as its administrator.
fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    let home = server().scratch().join("home");
    command.env("KUBECONFIG", server().kubeconfig()).env("HOME", home).current_dir(server().scratch());
    command
}
