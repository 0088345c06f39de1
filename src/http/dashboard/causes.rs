//! The causal log as the page shows it: its newest lines at first, then what comes.
use crate::storage::DecisionLog;
use crate::storage::decisions::{Cause, Decision, Deed, Query, Subject};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Lines that a browser gets at once. What came between two messages beyond that is in the log, not on the page.
const MOST: usize = 100;
/// Deeds that a line names.
const DEEDS: usize = 3;

/// One browser's place in the log.
pub(super) struct Causes {
    log: DecisionLog,
    newest: watch::Receiver<u64>,
    shown: u64,
}

impl Causes {
    pub fn new(log: &DecisionLog) -> Causes {
        Causes { log: log.clone(), newest: log.newest(), shown: 0 }
    }

    /// Waits until there is more than was shown. Never, when nothing is logged.
    pub async fn grown(&mut self) {
        let shown = self.shown;
        if !self.log.is_kept() || self.newest.wait_for(|newest| *newest > shown).await.is_err() {
            std::future::pending().await
        }
    }

    /// The lines that the page doesn't have yet.
    pub async fn lines(&mut self) -> Vec<Value> {
        let (log, shown) = (self.log.clone(), self.shown);
        self.shown = *self.newest.borrow_and_update();
        let ask = Query { involves: None, namespace: None, before: self.shown, limit: MOST };
        let read = tokio::task::spawn_blocking(move || log.read(&ask)).await;
        match read {
            Ok(Ok(found)) => found.iter().filter(|(number, _)| *number > shown).map(|(number, d)| line(*number, d)).collect(),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the causal log could not be read for the dashboard");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}

fn line(number: u64, d: &Decision) -> Value {
    let cause =
        d.cause.as_ref().map(|Cause { object, deleted, .. }| format!("{} {}", short(object), if *deleted { "deleted" } else { "written" }));
    let mut done: Vec<String> =
        d.deeds.iter().take(DEEDS).map(|Deed { verb, object }| format!("{} {}", verb.word(), short(object))).collect();
    if d.deeds.len() > DEEDS {
        done.push(format!("+{}", d.deeds.len() - DEEDS));
    }
    let (about, done) = (short(&d.about), done.join(", "));
    // What the filter looks at.
    let text = format!("{about} {} {} {done} {} {}", d.by, d.why, d.about.namespace, cause.as_deref().unwrap_or_default()).to_lowercase();
    json!({
        "key": number, "at": d.at / 1000, "controller": &*d.by, "about": about, "namespace": &*d.about.namespace, "why": d.why,
        "cause": cause, "done": done, "failure": d.failure, "text": text,
    })
}

fn short(subject: &Subject) -> String {
    format!("{}/{}", subject.shelf.split('.').next().unwrap_or_default(), subject.name)
}
