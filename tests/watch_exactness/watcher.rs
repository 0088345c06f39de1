//! One watcher: lists and watches, breaks off, resumes, dawdles, and writes down what it sees.
use super::checker::{Kind, Name, Objects, Seen};
use super::{COLLECTION, is_ours, list};
use crate::crash::Dice;
use crate::https::{Client, Lines};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// How long a read waits before the watcher looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(500);

/// How a watcher behaves.
pub struct Plan {
    selects_query: &'static str,
    /// Which names it asked for.
    pub selects: fn(&str) -> bool,
    /// Gets its lists as the first events of a watch.
    streams_lists: bool,
    /// Stops reading now and then.
    dawdles: bool,
    dice: Dice,
}

impl Plan {
    /// Of five watchers two see everything, two see half, and one sees so little that bookmarks run ahead of it; one in seven is slow.
    pub fn of(number: usize, seed: u64) -> Plan {
        let (selects_query, selects): (&'static str, fn(&str) -> bool) = match number % 5 {
            0 => ("labelSelector=half%3D0", |name| name.starts_with("half-0-")),
            1 => ("labelSelector=half%3D1", |name| name.starts_with("half-1-")),
            2 => ("labelSelector=rare%3Dyes", |name| name.ends_with("-0")),
            _ => ("labelSelector=half", |_| true),
        };
        Plan { selects_query, selects, streams_lists: number.is_multiple_of(3), dawdles: number.is_multiple_of(7), dice: Dice::new(seed) }
    }

    /// The last objects that this watcher sees.
    fn ends(&self) -> BTreeSet<&'static str> {
        super::ENDS.into_iter().filter(|name| (self.selects)(name)).collect()
    }
}

/// Watches until it has seen the end, or until told that nobody waits any more; and whether it saw the end.
pub fn watch(client: Client, plan: Plan, ended: &AtomicBool) -> (Vec<Seen>, bool) {
    let open = plan.ends();
    let mut watcher = Watcher { client, plan, seen: Vec::new(), position: None, names: HashMap::new(), open };
    while !watcher.open.is_empty() && !ended.load(Ordering::Relaxed) {
        let outcome = match watcher.position {
            None if watcher.plan.streams_lists => watcher.first_events(ended),
            None => watcher.list(),
            Some(from) => watcher.resume(from, ended),
        };
        if outcome.is_err() {
            // The server is gone, or is not there yet.
            sleep(Duration::from_millis(10));
        }
    }
    let finished = watcher.open.is_empty();
    (watcher.seen, finished)
}

struct Watcher {
    client: Client,
    plan: Plan,
    seen: Vec<Seen>,
    /// The revision to go on from; `None` when it must list.
    position: Option<u64>,
    names: HashMap<String, Name>,
    /// Names of last objects that were not seen yet.
    open: BTreeSet<&'static str>,
}

/// What one line says.
enum Said {
    Event(Kind, Name, u64),
    Bookmark(u64, bool),
    Gone,
    /// Of no interest.
    Nothing,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    code: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

impl Watcher {
    fn list(&mut self) -> io::Result<()> {
        let Some((revision, mut objects)) = list(&mut self.client) else { return Err(io::ErrorKind::NotConnected.into()) };
        objects.retain(|name, _| (self.plan.selects)(name));
        self.listed(revision, objects);
        Ok(())
    }

    fn listed(&mut self, revision: u64, objects: Objects) {
        self.open.retain(|name| !objects.contains_key(*name));
        self.position = Some(revision);
        self.seen.push(Seen::Listed { revision, objects });
    }

    /// A list by watch: first events up to the bookmark that ends them, then whatever comes.
    fn first_events(&mut self, ended: &AtomicBool) -> io::Result<()> {
        let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut lines = self.begin(query)?;
        let mut objects = Objects::new();
        while !ended.load(Ordering::Relaxed) {
            let Some(line) = next(&mut lines)? else { continue };
            match self.read(&line) {
                Said::Event(Kind::Added, name, revision) => drop(objects.insert(name, revision)),
                Said::Bookmark(revision, true) => {
                    self.listed(revision, objects);
                    return self.follow(lines, ended);
                }
                Said::Nothing => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(())
    }

    fn resume(&mut self, from: u64, ended: &AtomicBool) -> io::Result<()> {
        // Short ones end by themselves, with a bookmark that says from where to go on.
        let seconds = 1 + self.plan.dice.below(4);
        let lines = self.begin(&format!("resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds={seconds}"))?;
        self.seen.push(Seen::Resumed { from });
        self.follow(lines, ended)
    }

    fn begin(&mut self, query: &str) -> io::Result<Lines> {
        let (status, lines) = self.client.lines(&format!("{COLLECTION}?watch=true&{}&{query}", self.plan.selects_query))?;
        if status != 200 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        lines.set_patience(PATIENCE)?;
        Ok(lines)
    }

    /// Reads on until the connection breaks, or for as long as the dice say.
    fn follow(&mut self, mut lines: Lines, ended: &AtomicBool) -> io::Result<()> {
        let mut left = 20 + self.plan.dice.below(4000);
        while !self.open.is_empty() && !ended.load(Ordering::Relaxed) {
            if left == 0 {
                return Ok(());
            }
            if self.plan.dawdles && self.plan.dice.below(400) == 0 {
                sleep(Duration::from_millis(self.plan.dice.below(2500)));
            }
            let Some(line) = next(&mut lines)? else { continue };
            left -= 1;
            match self.read(&line) {
                Said::Event(kind, name, revision) => {
                    self.open.remove(&*name);
                    self.position = Some(revision);
                    self.seen.push(Seen::Event { kind, name, revision });
                }
                Said::Bookmark(revision, _) => {
                    self.position = Some(revision);
                    self.seen.push(Seen::Bookmark { revision });
                }
                Said::Gone => {
                    self.position = None;
                    self.seen.push(Seen::Gone);
                    return Ok(());
                }
                Said::Nothing => {}
            }
        }
        Ok(())
    }

    fn read(&mut self, line: &[u8]) -> Said {
        let parsed: Line<'_> = serde_json::from_slice(line).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)));
        let metadata = parsed.object.metadata;
        let revision = metadata.resource_version.parse().unwrap_or(0);
        let kind = match parsed.kind {
            "BOOKMARK" => return Said::Bookmark(revision, metadata.annotations.contains_key("k8s.io/initial-events-end")),
            "ERROR" => {
                assert_eq!(parsed.object.code, 410, "{}", String::from_utf8_lossy(line));
                return Said::Gone;
            }
            "ADDED" => Kind::Added,
            "MODIFIED" => Kind::Modified,
            "DELETED" => Kind::Deleted,
            other => panic!("an event of type {other}"),
        };
        if !is_ours(&metadata.name) {
            return Said::Nothing;
        }
        let name = self.names.entry(metadata.name).or_insert_with_key(|name| name.as_str().into());
        Said::Event(kind, name.clone(), revision)
    }
}

/// The next line; `None` when there is none yet. An error is the end of the connection, an orderly one too.
fn next(lines: &mut Lines) -> io::Result<Option<Vec<u8>>> {
    match lines.next() {
        Ok(Some(line)) => Ok(Some(line)),
        Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error),
    }
}
