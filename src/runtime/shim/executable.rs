//! Finding and running a container's command, with upstream's words when it cannot be run.
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};
use oci_spec::runtime::Spec;
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A command that cannot be run. `code` is what a shell would say: 127 not found, 126 found but not executable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unrunnable {
    pub code: i32,
    pub text: String,
}

impl Unrunnable {
    pub fn new(code: i32, text: impl Into<String>) -> Self {
        Unrunnable { code, text: text.into() }
    }

    /// An execve that failed.
    pub fn from_errno(command: &str, errno: Errno) -> Self {
        let code = if errno == Errno::ENOENT { 127 } else { 126 };
        Unrunnable::new(code, format!("exec {command}: {}", words(errno)))
    }
}

/// The identity of this executable, to refuse running it as a container's command: a container could then write to it
/// through `/proc/<pid>/exe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    device: u64,
    inode: u64,
}

impl Own {
    /// To be taken before the container's file system is entered.
    pub fn read() -> std::io::Result<Own> {
        let meta = std::fs::metadata("/proc/self/exe")?;
        Ok(Own { device: meta.dev(), inode: meta.ino() })
    }
}

/// Resolves a command as execvp would, with the calling process's rights, root and working directory.
pub fn find(command: &str, path: &str, own: Own) -> Result<PathBuf, Unrunnable> {
    let quoted = format!("exec: {command:?}");
    let found = if command.contains('/') {
        check(Path::new(command)).map_err(|e| match e {
            Errno::EACCES => Unrunnable::new(126, format!("{quoted}: permission denied")),
            Errno::EISDIR => Unrunnable::new(126, format!("{quoted}: is a directory")),
            e => Unrunnable::new(127, format!("{quoted}: stat {command}: {}", words(e))),
        })?;
        PathBuf::from(command)
    } else {
        let mut denied = false;
        let candidates =
            path.split(':').filter(|_| !command.is_empty()).map(|d| Path::new(if d.is_empty() { "." } else { d }).join(command));
        let hit = candidates.into_iter().find(|c| match check(c) {
            Ok(()) => true,
            Err(e) => {
                denied |= e == Errno::EACCES;
                false
            }
        });
        let code = if denied { 126 } else { 127 };
        hit.ok_or_else(|| Unrunnable::new(code, format!("{quoted}: executable file not found in $PATH")))?
    };
    match std::fs::metadata(&found) {
        Ok(m) if m.dev() == own.device && m.ino() == own.inode => Err(Unrunnable::new(126, format!("{quoted}: permission denied"))),
        _ => Ok(found),
    }
}

fn check(path: &Path) -> Result<(), Errno> {
    let meta = std::fs::metadata(path).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::ENOENT)))?;
    if meta.is_dir() {
        return Err(Errno::EISDIR);
    }
    faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)?;
    // Root may "execute" anything by access alone, but execve wants one x bit.
    if meta.mode() & 0o111 == 0 { Err(Errno::EACCES) } else { Ok(()) }
}

fn words(errno: Errno) -> String {
    errno.desc().to_ascii_lowercase()
}

/// C strings for execve; a NUL inside cannot be passed on.
pub fn c_strings<S: AsRef<str>>(texts: &[S]) -> Result<Vec<CString>, Unrunnable> {
    let convert = |t: &S| CString::new(t.as_ref()).map_err(|_| Unrunnable::new(126, format!("exec: {:?}: invalid argument", t.as_ref())));
    texts.iter().map(convert).collect()
}

/// The value of `PATH` in an environment list.
pub fn path_of(env: &[String]) -> &str {
    env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("")
}

/// Replaces the process by the command. Returns only if that fails.
pub fn execute(file: &Path, args: &[CString], env: &[CString]) -> Unrunnable {
    let name = file.to_string_lossy();
    let Ok(path) = CString::new(name.as_bytes()) else { return Unrunnable::new(127, "exec: invalid path") };
    match nix::unistd::execve(&path, args, env) {
        Err(errno) => Unrunnable::from_errno(&name, errno),
        Ok(never) => match never {},
    }
}

/// Runs a container's first process for libcontainer.
#[derive(Clone, Debug)]
pub struct Entrypoint {
    pub own: Own,
}

impl Entrypoint {
    fn find(&self, spec: &Spec) -> Result<(PathBuf, Vec<String>, Vec<String>), Unrunnable> {
        let process = spec.process().as_ref();
        let args = process.and_then(|p| p.args().clone()).unwrap_or_default();
        let env = process.and_then(|p| p.env().clone()).unwrap_or_default();
        let command = args.first().map(String::as_str).unwrap_or_default();
        Ok((find(command, path_of(&env), self.own)?, args, env))
    }
}

impl Executor for Entrypoint {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        self.find(spec).map(drop).map_err(|e| ExecutorValidationError::ArgValidationError(e.text))
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let run = || -> Result<Unrunnable, Unrunnable> {
            let (file, args, env) = self.find(spec)?;
            Ok(execute(&file, &c_strings(&args)?, &c_strings(&env)?))
        };
        // The agent already heard "started"; the container's own stderr is the only place left to say it.
        let failure = run().unwrap_or_else(|e| e);
        eprintln!("{failure}");
        std::process::exit(failure.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup_says_what_upstream_says() {
        let own = Own::read().expect("own identity");
        let text = |command: &str| find(command, "/nowhere:/bin:/usr/bin", own).map_err(|e| (e.code, e.text));
        assert!(text("sh").is_ok());
        assert_eq!(text("nope"), Err((127, "exec: \"nope\": executable file not found in $PATH".into())));
        assert_eq!(text("/nope"), Err((127, "exec: \"/nope\": stat /nope: no such file or directory".into())));
        assert_eq!(text("/etc/passwd"), Err((126, "exec: \"/etc/passwd\": permission denied".into())));
        assert_eq!(text(""), Err((127, "exec: \"\": executable file not found in $PATH".into())));
        assert_eq!(text("/proc/self/exe").map_err(|e| e.0), Err(126));
    }
}
