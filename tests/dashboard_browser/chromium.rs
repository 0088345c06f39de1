//! A headless Chromium, driven by the DevTools protocol over a pair of pipes: JSON messages, each ended by a zero byte.
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long one command to the browser may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the browser expects the pipes.
const COMMANDS: i32 = 3;
const REPLIES: i32 = 4;

/// A browser with one page, and a profile of its own that goes with it.
pub struct Chromium {
    child: Child,
    commands: File,
    replies: Receiver<Value>,
    number: u64,
    session: String,
    _profile: TempDir,
}

/// The browser on this machine, if there is one.
pub fn program() -> Option<std::path::PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&folders).flat_map(|f| names.map(|n| f.join(n))).find(|p| p.is_file())
}

impl Chromium {
    /// Starts the browser with an empty page. It trusts any certificate: what is tested is the page.
    pub fn start(program: &std::path::Path) -> Chromium {
        let profile = tempfile::Builder::new().prefix("impresario-browser-").tempdir().expect("a temporary directory");
        let (theirs_in, ours_out) = std::io::pipe().expect("a pipe");
        let (ours_in, theirs_out) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(program);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
        ]);
        command.args([
            "--disable-component-update",
            "--disable-sync",
            "--ignore-certificate-errors",
            "--remote-debugging-pipe",
            "--lang=en",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (commands, replies): (OwnedFd, OwnedFd) = (theirs_in.into(), theirs_out.into());
        let (from, to) = (commands.as_raw_fd(), replies.as_raw_fd());
        // SAFETY: between fork and exec only dup2 and fcntl are called, which are safe there.
        unsafe { command.pre_exec(move || place(from, to)) };
        let child = command.spawn().expect("the browser starts");
        drop((commands, replies));
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let messages = BufReader::new(File::from(OwnedFd::from(ours_in))).split(0);
            for message in messages.map_while(Result::ok) {
                let Ok(value) = serde_json::from_slice(&message) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let commands = File::from(OwnedFd::from(ours_out));
        let mut browser = Chromium { child, commands, replies: receiver, number: 0, session: String::new(), _profile: profile };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let session = self.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        self.session = session["sessionId"].as_str().expect("a session").to_string();
        self.call("Page.enable", json!({}));
    }

    /// Opens an address.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// The value of a JavaScript expression. While a page is being replaced there is none.
    pub fn value(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(expression) != true {
            assert!(Instant::now() < deadline, "waited in vain: {expression}\nthe page says: {}", self.value("document.body.innerText"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("the browser listens");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut reply = self.replies.recv_timeout(left).unwrap_or_else(|e| panic!("the browser does not answer {method}: {e}"));
            // Events come in between.
            if reply["id"] == self.number {
                assert!(reply.get("error").is_none(), "{method}: {}", reply["error"]);
                return reply["result"].take();
            }
        }
    }
}

/// Puts the pipes where the browser looks for them. They may lie in each other's place, so both are moved away first.
fn place(commands: i32, replies: i32) -> std::io::Result<()> {
    let checked = |fd: i32| if fd < 0 { Err(std::io::Error::last_os_error()) } else { Ok(fd) };
    // SAFETY: plain system calls on descriptors that this process owns.
    unsafe {
        let commands = checked(libc::fcntl(commands, libc::F_DUPFD, 10))?;
        let replies = checked(libc::fcntl(replies, libc::F_DUPFD, 10))?;
        checked(libc::dup2(commands, COMMANDS))?;
        checked(libc::dup2(replies, REPLIES))?;
        libc::close(commands);
        libc::close(replies);
    }
    Ok(())
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
