//! Where events go: a file that is rotated, and a webhook that gets them in batches. Each has a bounded queue; what finds no
//! place in it is counted, and the log says so.
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Events that may wait for the disk or the webhook.
const QUEUE: usize = 10_000;
/// A batch for the webhook has at most this many events…
const BATCH: usize = 400;
/// …and waits for more of them at most this long.
const BATCH_WAIT: Duration = Duration::from_secs(5);

/// The audit log's file.
#[derive(Clone, Debug)]
pub struct FileSettings {
    pub path: PathBuf,
    /// Bytes after which a new file is begun.
    pub max_bytes: u64,
    /// Old files that are kept.
    pub backups: usize,
}

/// A webhook that events are posted to, as an `EventList`.
pub struct WebhookSettings {
    /// Posts a JSON body; an error is told in the log, and the batch is lost.
    pub post: Box<dyn Fn(Vec<u8>) -> Result<(), String> + Send>,
}

/// Where events go.
#[derive(Default)]
pub struct Sinks {
    queues: Vec<SyncSender<Value>>,
    threads: Vec<JoinHandle<()>>,
    lost: AtomicU64,
}

impl Sinks {
    /// Opens the file and starts its thread.
    pub fn add_file(&mut self, settings: FileSettings) -> std::io::Result<()> {
        let mut file = Rotated::open(settings)?;
        let (sender, events) = sync_channel::<Value>(QUEUE);
        self.threads.push(std::thread::Builder::new().name("audit-file".into()).spawn(move || file.run(&events))?);
        self.queues.push(sender);
        Ok(())
    }

    /// Starts the webhook's thread.
    pub fn add_webhook(&mut self, settings: WebhookSettings) -> std::io::Result<()> {
        let (sender, events) = sync_channel::<Value>(QUEUE);
        self.threads.push(std::thread::Builder::new().name("audit-webhook".into()).spawn(move || post_batches(&settings, &events))?);
        self.queues.push(sender);
        Ok(())
    }

    pub(super) fn write(&self, event: Value) {
        for queue in &self.queues {
            if queue.try_send(event.clone()).is_err() {
                let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
                if lost.is_power_of_two() {
                    tracing::error!(lost, "audit events were lost: their sink does not keep up");
                }
            }
        }
    }
}

impl Drop for Sinks {
    /// What was recorded is written before anybody goes on.
    fn drop(&mut self) {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so in the log.
            let _ = thread.join();
        }
    }
}

struct Rotated {
    settings: FileSettings,
    out: BufWriter<File>,
    bytes: u64,
}

impl Rotated {
    fn open(settings: FileSettings) -> std::io::Result<Rotated> {
        let (out, bytes) = append_to(&settings.path)?;
        Ok(Rotated { settings, out, bytes })
    }

    /// Until every sender is gone. What is waiting is written together.
    fn run(&mut self, events: &Receiver<Value>) {
        while let Ok(first) = events.recv() {
            let mut written = self.line(&first);
            while let Ok(next) = events.try_recv() {
                written = written.and_then(|()| self.line(&next));
            }
            if let Err(error) = written.and_then(|()| self.out.flush()) {
                tracing::error!(file = %self.settings.path.display(), %error, "audit events could not be written");
            }
        }
    }

    fn line(&mut self, event: &Value) -> std::io::Result<()> {
        let mut line = event.to_string();
        line.push('\n');
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.settings.max_bytes {
            self.rotate()?;
        }
        self.bytes += line.len() as u64;
        self.out.write_all(line.as_bytes())
    }

    /// `audit.log` becomes `audit.log.1`, which becomes `audit.log.2`; the last one goes.
    fn rotate(&mut self) -> std::io::Result<()> {
        self.out.flush()?;
        let numbered = |n: usize| PathBuf::from(format!("{}.{n}", self.settings.path.display()));
        for n in (1..self.settings.backups).rev() {
            let _ = std::fs::rename(numbered(n), numbered(n + 1));
        }
        if self.settings.backups > 0 {
            std::fs::rename(&self.settings.path, numbered(1))?;
        } else {
            std::fs::remove_file(&self.settings.path)?;
        }
        (self.out, self.bytes) = append_to(&self.settings.path)?;
        Ok(())
    }
}

fn append_to(path: &Path) -> std::io::Result<(BufWriter<File>, u64)> {
    let file = std::os::unix::fs::OpenOptionsExt::mode(OpenOptions::new().create(true).append(true), 0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((BufWriter::new(file), bytes))
}

fn post_batches(settings: &WebhookSettings, events: &Receiver<Value>) {
    let mut batch = Vec::new();
    loop {
        match events.recv_timeout(BATCH_WAIT) {
            Ok(event) => batch.push(event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        batch.extend(events.try_iter().take(BATCH));
        if !batch.is_empty() {
            post(settings, std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        post(settings, batch);
    }
}

fn post(settings: &WebhookSettings, batch: Vec<Value>) {
    let events = batch.len();
    let body = json!({ "kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": batch });
    if let Err(error) = (settings.post)(body.to_string().into_bytes()) {
        tracing::error!(events, error, "audit events could not be delivered to the webhook");
    }
}
