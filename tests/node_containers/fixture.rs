//! A root file system made of busybox, a sandbox of pinned namespaces, and the containers in it.
use impresario::runtime::api::{ContainerExited, ContainerSpec, ExecSpec, Session, SessionOutput};
use impresario::runtime::containers::{Containers, ImageConfig, SandboxPaths, cgroup};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

pub const LIMIT: Duration = Duration::from_secs(30);

/// Whether real containers can be run here. Says so when they can't; CI has both.
pub fn possible() -> bool {
    let able = nix::unistd::geteuid().is_root() && Path::new("/bin/busybox").exists();
    if !able {
        eprintln!("SKIPPED: real containers need root and /bin/busybox");
    }
    able
}

pub struct Fixture {
    dir: tempfile::TempDir,
    pub rootfs: PathBuf,
    pub sandbox: SandboxPaths,
    pub containers: Containers,
    pub exits: mpsc::Receiver<ContainerExited>,
    cgroup_root: String,
}

impl Fixture {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().expect("temporary directory");
        let cgroup_root = format!("/impresario-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let rootfs = make_rootfs(dir.path());
        let mut sandbox = make_sandbox(dir.path());
        sandbox.pod_cgroup = cgroup::pod_path(&cgroup_root, "Burstable", "uid");
        let (containers, exits) = open(dir.path(), &cgroup_root);
        Fixture { dir, rootfs, sandbox, containers, exits, cgroup_root }
    }

    /// The agent dies and starts anew; containers go on.
    pub fn restart_agent(&mut self) {
        (self.containers, self.exits) = open(self.dir.path(), &self.cgroup_root);
    }

    pub fn log(&self, id: &str) -> PathBuf {
        self.dir.path().join("logs").join(id).join("0.log")
    }

    /// A container that runs a shell script.
    pub fn script(&self, id: &str, script: &str) -> ContainerSpec {
        ContainerSpec {
            id: id.into(),
            name: id.into(),
            pod_uid: "uid".into(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            log_path: self.log(id),
            termination_path: "/dev/termination-log".into(),
            termination_file: self.termination_file(id),
            ..ContainerSpec::default()
        }
    }

    fn termination_file(&self, id: &str) -> PathBuf {
        let path = self.dir.path().join(format!("{id}.termination"));
        std::fs::write(&path, "").expect("termination file");
        path
    }

    pub async fn start(&self, spec: ContainerSpec) -> i32 {
        self.try_start(spec).await.expect("container starts")
    }

    pub async fn try_start(&self, spec: ContainerSpec) -> Result<i32, impresario::runtime::api::RuntimeError> {
        let image = ImageConfig { env: vec!["PATH=/bin:/sbin".into()], ..ImageConfig::default() };
        self.containers.start(spec, image, self.rootfs.clone(), self.sandbox.clone()).await
    }

    pub async fn exited(&mut self) -> ContainerExited {
        tokio::time::timeout(LIMIT, self.exits.recv()).await.expect("an end in time").expect("a sender")
    }

    /// Starts a script and waits for its end and its log, as text.
    pub async fn run(&mut self, spec: ContainerSpec) -> (ContainerExited, String) {
        let log = spec.log_path.clone();
        self.start(spec).await;
        let exited = self.exited().await;
        (exited, std::fs::read_to_string(log).expect("a log"))
    }

    /// The container's directory in a cgroup hierarchy.
    pub fn cgroup(&self, controller: &str, id: &str) -> PathBuf {
        let all = cgroup::Cgroups::detect().expect("cgroups");
        all.directory(controller, &format!("{}/{id}", self.sandbox.pod_cgroup)).expect("the controller")
    }

    /// Runs a command in a container and gathers what it says.
    pub async fn exec(&self, id: &str, command: &[&str]) -> Said {
        let command = command.iter().map(|c| (*c).to_owned()).collect();
        gather(self.containers.exec(id, ExecSpec { command, ..ExecSpec::default() }).await.expect("a session")).await
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let cgroups = cgroup::Cgroups::detect().expect("cgroups");
        let entries = std::fs::read_dir(self.dir.path().join("state")).into_iter().flatten().flatten();
        let mut paths: Vec<String> = entries.map(|e| format!("{}/{}", self.sandbox.pod_cgroup, e.file_name().to_string_lossy())).collect();
        paths.iter().for_each(|path| while !cgroups.kill_all(path) {});
        // Shims end with their containers, a moment later.
        let shims = format!("{}/shims", self.cgroup_root);
        let in_shims = || cgroups.directory("memory", &shims).and_then(|d| std::fs::read_to_string(d.join("cgroup.procs")).ok());
        let begin = std::time::Instant::now();
        while in_shims().is_some_and(|t| !t.is_empty()) && begin.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(5));
        }
        paths.extend([self.sandbox.pod_cgroup.clone(), format!("{}/burstable", self.cgroup_root), shims, self.cgroup_root.clone()]);
        paths.iter().for_each(|path| drop(cgroups.remove(path)));
        for name in ["net", "ipc", "uts"] {
            let _ = umount2(&self.dir.path().join(name), MntFlags::MNT_DETACH);
        }
    }
}

fn open(dir: &Path, cgroup_root: &str) -> (Containers, mpsc::Receiver<ContainerExited>) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_impresario"));
    let containers = Containers::new(dir.join("state"), cgroup_root, Some(program)).expect("containers");
    let exits = containers.exits();
    (containers, exits)
}

fn make_rootfs(dir: &Path) -> PathBuf {
    let rootfs = dir.join("rootfs");
    for name in ["bin", "sbin", "etc", "proc", "dev", "sys", "tmp"] {
        std::fs::create_dir_all(rootfs.join(name)).expect("mkdir");
    }
    std::fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox");
    let list = std::process::Command::new("/bin/busybox").arg("--list").output().expect("busybox runs");
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|a| *a != "busybox") {
        let _ = std::os::unix::fs::symlink("/bin/busybox", rootfs.join("bin").join(applet));
    }
    std::fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n").expect("passwd");
    std::fs::write(rootfs.join("etc/group"), "root:x:0:\napp:x:1000:\nextra:x:77:app\n").expect("group");
    rootfs
}

/// Namespaces outlive the thread that made them because they are bind mounted.
fn make_sandbox(dir: &Path) -> SandboxPaths {
    let pin = |name: &str| {
        let target = dir.join(name);
        std::fs::write(&target, "").expect("pin");
        target
    };
    let paths = ["net", "ipc", "uts"].map(pin);
    let [net, ipc, uts] = paths.clone();
    let pinned = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS).expect("unshare");
        nix::unistd::sethostname("pod-1").expect("hostname");
        let up = std::process::Command::new("/bin/busybox").args(["ip", "link", "set", "lo", "up"]).status();
        assert!(up.is_ok_and(|s| s.success()));
        for path in paths {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let source = format!("/proc/thread-self/ns/{name}");
            mount(Some(source.as_str()), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind");
        }
    });
    pinned.join().expect("namespaces");
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("file");
        Some(path)
    };
    let shm = dir.join("shm");
    std::fs::create_dir(&shm).expect("shm");
    SandboxPaths {
        net: Some(net),
        ipc: Some(ipc),
        uts: Some(uts),
        shm: Some(shm),
        hosts: file("hosts", "127.0.0.1 localhost\n"),
        resolv_conf: file("resolv.conf", "nameserver 10.0.0.10\n"),
        hostname: file("hostname", "pod-1\n"),
        ..SandboxPaths::default()
    }
}

/// What a session said.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
    pub failed: Option<String>,
}

pub async fn gather(mut session: Session) -> Said {
    let mut said = Said::default();
    while let Some(output) = tokio::time::timeout(LIMIT, session.output.recv()).await.expect("in time") {
        match output {
            SessionOutput::Stdout(data) => said.stdout.push_str(&String::from_utf8_lossy(&data)),
            SessionOutput::Stderr(data) => said.stderr.push_str(&String::from_utf8_lossy(&data)),
            SessionOutput::Exit(code) => said.code = Some(code),
            SessionOutput::Failed(text) => said.failed = Some(text),
        }
    }
    said
}
