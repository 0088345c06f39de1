//! A cluster of one's own for a test: the real binary on a temporary data directory and free ports, gone afterwards with
//! everything that it made. Most tests share one; those that kill or configure theirs start their own.
use crate::https::Client;
use crate::kubectl::{Kubectl, Tool};
use crate::run::{Run, run, wait, wait_for};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The binary under test.
pub const IMPRESARIO: &str = env!("CARGO_BIN_EXE_impresario");

/// How long a start may take on a busy machine before the test gives up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What a test wants to have.
#[derive(Clone, Default)]
pub struct Options {
    /// Names the log file under the build's `tmp` folder.
    pub name: &'static str,
    /// The API server alone, without a node.
    pub no_node: bool,
    /// With the manifests of `config/quickstart`.
    pub quickstart: bool,
    /// The text of a cluster file; none when empty.
    pub config: String,
    /// The network namespace to live in.
    pub netns: Option<String>,
    /// 0: any free one.
    pub api_port: u16,
    /// The same.
    pub mesh_port: u16,
}

/// A cluster; dropping it removes everything.
pub struct Cluster {
    pub options: Options,
    directory: TempDir,
    child: Mutex<Option<Child>>,
}

impl Cluster {
    /// Starts a cluster and waits until it is ready.
    pub fn start(options: Options) -> Cluster {
        let cluster = Cluster::prepare(options);
        cluster.spawn();
        cluster.wait_ready();
        cluster
    }

    /// Makes the directories without starting anything.
    pub fn prepare(options: Options) -> Cluster {
        let directory = tempfile::Builder::new().prefix("impresario-").tempdir().expect("a temporary directory");
        let mut options = options;
        if !options.no_node && options.config.is_empty() {
            options.config = own_addresses();
        }
        if !options.config.is_empty() {
            std::fs::write(directory.path().join("cluster.yaml"), &options.config).expect("write cluster.yaml");
        }
        let cluster = Cluster { options, directory, child: Mutex::new(None) };
        // The log is kept after the test, until the next run.
        let _ = std::fs::remove_file(cluster.log_file());
        cluster
    }

    /// Starts the server process; a second time on the same data when it was killed before.
    pub fn spawn(&self) {
        self.spawn_with(&[]);
    }

    /// The same, with something in its environment.
    pub fn spawn_with(&self, environment: &[(&str, String)]) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log file");
        let _ = std::fs::remove_file(self.kubeconfig());
        let mut command = self.command("up");
        command.arg("--foreground");
        command.args(["--api-port", &self.options.api_port.to_string(), "--mesh-port", &self.options.mesh_port.to_string()]);
        command.args(self.options.no_node.then_some("--no-node"));
        command.args(self.options.quickstart.then_some("--quickstart"));
        if !self.options.config.is_empty() {
            command.arg("--config").arg(self.directory.path().join("cluster.yaml"));
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let errors = log.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("the binary starts");
        *self.child.lock().expect("no panic while held") = Some(child);
    }

    /// Waits until `/readyz` says ok; returns how long that took.
    pub fn wait_ready(&self) -> Duration {
        let begin = Instant::now();
        let ready = || {
            if let Some(status) = self.child.lock().expect("no panic while held").as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                panic!("the server ended ({status}):\n{}", self.log_tail());
            }
            let answers = || self.client().get("/readyz").is_ok_and(|a| a.status == 200);
            (self.says_ready() && answers()).then_some(())
        };
        if self.options.netns.is_some() {
            // Not reachable from this network namespace.
            wait_for("the cluster says that it is ready", START_LIMIT, || self.says_ready().then_some(()));
        } else {
            wait_for(&format!("{} is ready; see {}", self.options.name, self.log_file().display()), START_LIMIT, ready);
        }
        begin.elapsed()
    }

    /// The process has written its kubeconfig and declared itself ready; marks of an earlier one are removed at its start.
    fn says_ready(&self) -> bool {
        self.kubeconfig().exists() && self.data_dir().join("ready").exists()
    }

    /// Ends the server at once, as a power cut would; its containers stay.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("no panic while held").take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether the server's process has ended by itself.
    pub fn ended(&self) -> bool {
        let mut child = self.child.lock().expect("no panic while held");
        child.as_mut().is_none_or(|child| child.try_wait().ok().flatten().is_some())
    }

    /// Whether it serves by now.
    pub fn is_ready(&self) -> bool {
        self.says_ready() && self.client().get("/readyz").is_ok_and(|a| a.status == 200)
    }

    /// The server's process, when it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.lock().expect("no panic while held").as_ref().map(Child::id)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A place for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.directory.path()
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("admin.kubeconfig")
    }

    /// A client with the administrator's rights.
    pub fn client(&self) -> Client {
        Client::from_kubeconfig(&self.kubeconfig())
    }

    /// `impresario <words> --data-dir <ours>`, where the cluster lives.
    pub fn command(&self, words: &str) -> Command {
        let mut command = self.at_home(IMPRESARIO);
        command.args(words.split_whitespace()).arg("--data-dir").arg(self.data_dir());
        command
    }

    /// Runs such a command to its end.
    #[track_caller]
    pub fn impresario(&self, words: &str) -> Run {
        run(&mut self.command(words))
    }

    /// A program in the cluster's network namespace.
    pub fn at_home(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match &self.options.netns {
            Some(name) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{name}")).arg("--").arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    /// A kubectl for one namespace.
    pub fn kubectl<'a>(&'a self, tool: &'a Tool, namespace: &str) -> Kubectl<'a> {
        Kubectl { cluster: self, tool, namespace: namespace.to_string() }
    }

    pub fn log_file(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.log", self.options.name))
    }

    /// The end of the server's log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Stops and removes everything.
    pub fn purge(&self) {
        let _ = self.command("down --purge").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if let Some(child) = self.child.lock().expect("no panic while held").as_mut()
            && wait(child, Duration::from_secs(5)).is_none()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of {}\n{}", self.log_file().display(), self.log_tail());
        }
        self.purge();
    }
}

/// A cluster file with a range of pod addresses that is not the default and not another test's: two nodes of one machine,
/// whoever else started one, must not route the same addresses.
pub fn own_addresses() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // 10.128 to 10.239: clear of the default range of Services (10.96 to 10.111) and of the default podCidr, 10.244.
    let second = 128 + (std::process::id().wrapping_mul(7) + NEXT.fetch_add(1, Ordering::Relaxed)) % 112;
    format!("network: {{ podCidr: 10.{second}.0.0/16 }}\n")
}

/// The cluster that most tests use, with the quickstart and the busybox image. Nobody may stop it.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    static STOP: OnceLock<&'static Cluster> = OnceLock::new();
    extern "C" fn stop() {
        if let Some(cluster) = STOP.get() {
            cluster.purge();
            let _ = std::fs::remove_dir_all(cluster.scratch());
        }
    }
    let cluster = SHARED.get_or_init(|| {
        let cluster = Cluster::prepare(Options { name: "shared", quickstart: true, ..Options::default() });
        // One image is there from the start, the other comes while the node runs.
        crate::busybox::import(&cluster, crate::busybox::IMAGE);
        cluster.spawn();
        cluster.wait_ready();
        crate::busybox::import(&cluster, crate::busybox::DOCKER_IMAGE);
        cluster
    });
    STOP.get_or_init(|| {
        // A static is never dropped, so the end of the process does it.
        // SAFETY: `stop` takes nothing, unwinds nowhere and outlives the process.
        unsafe { libc::atexit(stop) };
        cluster
    });
    cluster
}
