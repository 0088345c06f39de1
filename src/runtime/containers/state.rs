//! A container's state directory: what lies in it, and how it is written. The agent and the shim share nothing else.
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The directory of one container. All names in it are fixed; the directory's own name is the container's id.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        StateDir(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The [`crate::runtime::api::ContainerSpec`] it was made from.
    pub fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// The OCI runtime configuration; the directory serves as the OCI bundle.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// [`ShimOptions`].
    pub fn options(&self) -> PathBuf {
        self.0.join("shim.json")
    }

    /// [`Running`], from the moment the container's command runs.
    pub fn running(&self) -> PathBuf {
        self.0.join("running.json")
    }

    /// [`crate::runtime::api::Exit`], once it has ended.
    pub fn exit(&self) -> PathBuf {
        self.0.join("exit.json")
    }

    /// What the shim itself complains about.
    pub fn shim_log(&self) -> PathBuf {
        self.0.join("shim.log")
    }

    /// Where libcontainer keeps its own record.
    pub fn oci(&self) -> PathBuf {
        self.0.join("oci")
    }
}

/// The control socket's name inside the state directory. It is bound and dialled relative to the directory, because the
/// whole path can be longer than a socket address may be.
pub const CONTROL_SOCKET: &str = "control.sock";

/// What the shim must know beyond the OCI configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShimOptions {
    pub id: String,
    pub tty: bool,
    pub stdin: bool,
    pub stdin_once: bool,
    pub log_path: PathBuf,
    pub termination_file: PathBuf,
    pub oom_score_adj: i32,
    /// The container's cgroup, as the OCI configuration has it.
    pub cgroup: String,
    /// The cgroup shims live in.
    pub shim_cgroup: String,
}

/// The processes of a running container. A pid alone can be reused, so each comes with its start time, in clock ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub pid: i32,
    pub pid_start: u64,
    pub shim_pid: i32,
    pub shim_start: u64,
    /// Milliseconds since the epoch.
    pub started_ms: i64,
}

/// What the shim says on its standard output, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Started { pid: i32 },
    Failed { message: String },
}

/// Reads a JSON file; `None` where there is none.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes a JSON file so that a reader sees all of it or none. `durable` also waits for the disk.
pub fn write_json<T: Serialize>(path: &Path, value: &T, durable: bool) -> io::Result<()> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    let temporary = path.with_extension("tmp");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(&bytes)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&temporary, path)
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
