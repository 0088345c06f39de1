//! Running a program with a time limit, and what it said.
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may take unless told otherwise.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What a finished program left.
#[derive(Debug)]
pub struct Run {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// What a command that must have failed said on stderr.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(self.code.is_some_and(|c| c != 0), "should have failed: {self}");
        self.stderr
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ended with {:?}\n--- stdout\n{}\n--- stderr\n{}", self.line, self.code, self.stdout, self.stderr)
    }
}

/// Runs a command to its end, within [`LIMIT`].
#[track_caller]
pub fn run(command: &mut Command) -> Run {
    run_with(command, b"", LIMIT)
}

/// Runs a command with something to read; panics when it takes longer than `limit`.
#[track_caller]
pub fn run_with(command: &mut Command, input: &[u8], limit: Duration) -> Run {
    let line = line_of(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run `{line}`: {e}"));
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let input = input.to_vec();
    // A program that does not read its input may end before all of it is written: no error here.
    let feeding = thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = collect(child.stdout.take().expect("stdout is a pipe"));
    let stderr = collect(child.stderr.take().expect("stderr is a pipe"));
    let status = wait(&mut child, limit);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let _ = feeding.join();
    let text = |thread: thread::JoinHandle<Vec<u8>>| String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned();
    let run = Run { line, code: status.and_then(|s| s.code()), stdout: text(stdout), stderr: text(stderr) };
    assert!(status.is_some(), "still running after {limit:?}: {run}");
    run
}

/// Waits for a child within a limit.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait().expect("the child is ours") {
            Some(status) => return Some(status),
            None if Instant::now() > deadline => return None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Calls `closure` until it answers something; panics with `what` after `limit`. At most half of the time goes into asking: programs
/// are dear, and whoever is waited for needs the processors.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut closure: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let begin = Instant::now();
        if let Some(answer) = closure() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        thread::sleep(begin.elapsed().clamp(Duration::from_millis(20), Duration::from_millis(250)));
    }
}

fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Reads a pipe to its end, beside. The end comes when every holder of the pipe has closed it.
fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
