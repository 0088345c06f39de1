//! Running behind the shell: starting, claiming a data directory, stopping.
use super::{CliError, Outcome};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a cluster may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Starts this same command in the background and waits until the cluster is ready.
pub fn start(data_dir: &Path, arguments: &[String]) -> Outcome {
    if let Some(pid) = running(data_dir) {
        println!("The cluster in {} is already running (process {pid}).", data_dir.display());
        return tell(data_dir);
    }
    let told = |e: std::io::Error| CliError::failed(format!("cannot start in the background: {e}"));
    let log_path = data_dir.join("impresario.log");
    let log = OpenOptions::new().create(true).append(true).open(&log_path).map_err(told)?;
    let ready = data_dir.join("ready");
    let _ = std::fs::remove_file(&ready);
    let mut command = Command::new(std::env::current_exe().map_err(told)?);
    command.args(arguments).arg("--foreground").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone().map_err(told)?);
    // SAFETY: one async-signal-safe call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(told)?;
    let begun = Instant::now();
    while !ready.exists() {
        if let Some(status) = child.try_wait().map_err(told)? {
            let text = std::fs::read_to_string(&log_path).unwrap_or_default();
            let last = text.lines().rev().find(|l| l.starts_with("impresario: ")).unwrap_or("see the log");
            let code = u8::try_from(status.code().unwrap_or(1)).unwrap_or(1);
            let message = format!("{} (log: {})", last.trim_start_matches("impresario: "), log_path.display());
            return Err(CliError { code, message });
        }
        if begun.elapsed() > START_LIMIT {
            return Err(CliError::failed(format!("the cluster is not ready after {START_LIMIT:?}; see {}", log_path.display())));
        }
        // Another process's progress, seen from a command that has nothing else to do.
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("The cluster is ready after {:.1} s.", begun.elapsed().as_secs_f64());
    tell(data_dir)
}

/// Prints how to reach the cluster.
fn tell(data_dir: &Path) -> Outcome {
    let kubeconfig = data_dir.join("admin.kubeconfig");
    let text = std::fs::read_to_string(&kubeconfig).unwrap_or_default();
    let server = text.lines().find_map(|l| l.trim().strip_prefix("server: ")).unwrap_or_default();
    let token = std::fs::read_to_string(data_dir.join("admin.token")).unwrap_or_default();
    println!("\n  kubeconfig   {}", kubeconfig.display());
    println!("  dashboard    {}/dashboard/#token={}", server.trim_matches('"'), token.trim());
    println!("  log          {}", data_dir.join("impresario.log").display());
    println!("\nTry:\n  export KUBECONFIG={}", kubeconfig.display());
    println!("  kubectl get nodes -o wide\n  kubectl get pods -o wide\n  kubectl scale rc kubia --replicas=5");
    println!("\nStop it with: impresario down --data-dir {}", data_dir.display());
    Ok(())
}

/// Holds a data directory for as long as it lives.
pub struct Claim {
    _lock: Flock<File>,
    pid_file: std::path::PathBuf,
}

/// Claims a data directory for this process: two servers on one would spoil it.
pub fn claim(data_dir: &Path) -> Result<Claim, CliError> {
    let told = |e: &dyn std::fmt::Display| CliError::usage(format!("cannot lock {}: {e}", data_dir.display()));
    let pid_file = data_dir.join("impresario.pid");
    let file = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(&pid_file).map_err(|e| told(&e))?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        let pid = std::fs::read_to_string(&pid_file).unwrap_or_default();
        CliError::usage(format!("another impresario (process {}) uses {}; stop it with `impresario down`", pid.trim(), data_dir.display()))
    })?;
    std::fs::write(&pid_file, format!("{}\n", std::process::id())).map_err(|e| told(&e))?;
    let _ = std::fs::remove_file(data_dir.join("ready"));
    Ok(Claim { _lock: lock, pid_file })
}

impl Claim {
    /// Says that the cluster answers.
    pub fn ready(&self) {
        let _ = std::fs::write(self.pid_file.with_file_name("ready"), "");
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.pid_file.with_file_name("ready"));
        let _ = std::fs::write(&self.pid_file, "");
    }
}

/// The process that has claimed a data directory.
pub fn running(data_dir: &Path) -> Option<i32> {
    let pid_file = data_dir.join("impresario.pid");
    let pid: i32 = std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok()?;
    let file = OpenOptions::new().read(true).write(true).open(&pid_file).ok()?;
    // A lock that can be had is held by nobody: the process with that number is another one.
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_) => None,
        Err(_) => Some(pid),
    }
}

/// Asks the process to stop and waits for it.
pub fn stop(data_dir: &Path) -> Result<bool, CliError> {
    let Some(pid) = running(data_dir) else { return Ok(false) };
    let process = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM)
        .map_err(|e| CliError::failed(format!("cannot stop process {pid}: {e}")))?;
    let begun = Instant::now();
    while running(data_dir).is_some() {
        if begun.elapsed() > STOP_LIMIT {
            let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL);
            return Err(CliError::failed(format!(
                "process {pid} did not stop within {STOP_LIMIT:?} and was killed; nothing acknowledged is lost"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}
