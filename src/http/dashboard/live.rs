//! One browser's websocket. The page acknowledges every message; when too many are under way, nothing more is sent, and
//! events wait in their bounded queues. A browser that doesn't catch up is cut off with 1013, and comes back by itself.
use super::Sources;
use super::causes::Causes;
use super::rows::TABLES;
use super::view::{View, summary};
use crate::actors::kinds::{Kinds, Served};
use crate::http::api::git_version;
use crate::protocol::time;
use crate::storage::{Next, Start, Subscription};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll, unfold};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Events per table that may wait for one browser.
const QUEUE: usize = 4_096;
/// Messages that may be under way, not yet acknowledged.
const WINDOW: u32 = 4;
/// How often the actors are looked at while somebody looks at them.
const TICK: Duration = Duration::from_secs(1);
/// A browser that leaves messages unacknowledged for this long is cut off.
const PATIENCE: Duration = Duration::from_secs(20);
/// A browser that was not heard for this long is asked whether it is still there; after twice this it is cut off.
const QUIET: Duration = Duration::from_secs(20);

/// A batch of one table's events.
type Batch = (Arc<Served>, Next);

/// What the browser says.
enum Said {
    Acknowledged,
    /// The page is in front (or not): nobody needs reports that nobody sees.
    Visible(bool),
    Alive,
    Gone,
}

/// Serves one browser until it goes, is too slow, or the server stops.
pub(super) async fn run(sources: &Sources, session: Session, messages: MessageStream, stop: CancellationToken) {
    let mut messages = messages.max_frame_size(1_024);
    let mut viewer = Viewer { sources, session, view: View::default(), under_way: 0, heard: Instant::now(), visible: true };
    let code = viewer.serve(&mut messages, &stop).await;
    if let Some((code, why)) = code {
        let reason = CloseReason { code, description: Some(why.to_string()) };
        let _ = tokio::time::timeout(TICK, viewer.session.close(Some(reason))).await;
    }
}

struct Viewer<'a> {
    sources: &'a Sources,
    session: Session,
    view: View,
    under_way: u32,
    heard: Instant,
    visible: bool,
}

/// Why the server ends a websocket; `None` when the browser did.
type End = Option<(CloseCode, &'static str)>;
const STOPPING: End = Some((CloseCode::Away, "the server is stopping"));
const TOO_SLOW: End = Some((CloseCode::Again, "this browser does not keep up; connect again"));

impl Viewer<'_> {
    async fn serve(&mut self, messages: &mut MessageStream, stop: &CancellationToken) -> End {
        let kinds = self.sources.gateway.kinds.clone();
        let mut causes = Causes::new(&self.sources.gateway.decisions);
        let (mut events, mut state) = self.begin(&kinds);
        state["decisions"] = causes.lines().await.into();
        if let Err(end) = self.send(&state).await {
            return end;
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = self.under_way < WINDOW;
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => return STOPPING,
                said = messages.recv() => self.hear(said).await,
                Some((served, next)) = events.next(), if room => self.tell(&kinds, &served, next).await,
                () = causes.grown(), if room => self.tell_causes(&mut causes).await,
                _ = ticks.tick() => self.tick(&kinds).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Subscribes to every table, and puts the first message together.
    fn begin(&mut self, kinds: &Kinds) -> (SelectAll<BoxStream<'static, Batch>>, Value) {
        let now = time::now().as_second();
        let (mut events, mut tables) = (SelectAll::new(), Vec::new());
        for (group, plural) in TABLES {
            let Some(served) = kinds.find(group, plural) else { continue };
            let Ok(mut subscription) = served.shelf.hub().subscribe(Start::Now, None, None, None, QUEUE) else { continue };
            let initial = subscription.initial.take().unwrap_or_default();
            tables.push(self.view.table(&served.kind, &initial, now));
            events.push(batches(served, subscription));
        }
        let mut state = json!({ "type": "state", "server": { "version": git_version(), "now": now }, "tables": tables });
        let vital = self.view.vital(summary(kinds), self.peers(), Some(self.sources.registry.report()));
        if let (Some(Value::Object(vital)), Some(state)) = (vital, state.as_object_mut()) {
            state.extend(vital.into_iter().filter(|(key, _)| key != "type"));
        }
        (events, state)
    }

    async fn hear(&mut self, said: Option<Result<Message, actix_ws::ProtocolError>>) -> Result<(), End> {
        self.heard = Instant::now();
        match said_by(&said) {
            Said::Acknowledged => self.under_way = self.under_way.saturating_sub(1),
            Said::Visible(visible) => self.visible = visible,
            Said::Alive => {}
            Said::Gone => return Err(None),
        }
        if let Some(Ok(Message::Ping(bytes))) = said {
            self.session.pong(&bytes).await.map_err(|_| None)?;
        }
        Ok(())
    }

    async fn tell(&mut self, kinds: &Kinds, served: &Served, next: Next) -> Result<(), End> {
        let Next::Batch(deliveries) = next else { return Err(TOO_SLOW) };
        if let Some(change) = self.view.change(&served.kind, &deliveries, time::now().as_second()) {
            self.send(&change).await?;
        }
        // Counting few objects costs nothing; with many, the next tick does it.
        let few = kinds.find("", "pods").is_none_or(|pods| pods.shelf.snapshot().len() <= super::rows::MOST_ROWS);
        if few && let Some(vital) = self.view.vital(summary(kinds), self.peers(), None) {
            self.send(&vital).await?;
        }
        Ok(())
    }

    async fn tell_causes(&mut self, causes: &mut Causes) -> Result<(), End> {
        match causes.lines().await {
            lines if lines.is_empty() => Ok(()),
            lines => self.send(&json!({ "type": "decisions", "decisions": lines })).await,
        }
    }

    async fn tick(&mut self, kinds: &Kinds) -> Result<(), End> {
        let quiet = self.heard.elapsed();
        if quiet >= 2 * QUIET || (self.under_way > 0 && quiet >= PATIENCE) {
            return Err(TOO_SLOW);
        }
        if quiet >= QUIET {
            self.session.ping(b"").await.map_err(|_| None)?;
        }
        if !self.visible || self.under_way >= WINDOW {
            return Ok(());
        }
        let actors = self.sources.registry.report();
        match self.view.vital(summary(kinds), self.peers(), Some(actors)) {
            Some(vital) => self.send(&vital).await,
            None => Ok(()),
        }
    }

    /// The nodes that are connected to this server, and from where.
    fn peers(&self) -> Value {
        let peers = self.sources.mesh.peers().into_iter();
        Value::Object(peers.map(|p| (p.node.clone(), p.address().to_string().into())).collect())
    }

    async fn send(&mut self, message: &Value) -> Result<(), End> {
        self.under_way += 1;
        match tokio::time::timeout(PATIENCE, self.session.text(message.to_string())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(TOO_SLOW),
        }
    }
}

/// A subscription as a stream that ends after it has lagged.
fn batches(served: Arc<Served>, subscription: Subscription) -> BoxStream<'static, Batch> {
    unfold(Some((served, subscription)), |state| async move {
        let (served, mut subscription) = state?;
        let next = subscription.next().await;
        let rest = matches!(next, Next::Batch(_)).then(|| (served.clone(), subscription));
        Some(((served, next), rest))
    })
    .boxed()
}

fn said_by(message: &Option<Result<Message, actix_ws::ProtocolError>>) -> Said {
    match message {
        Some(Ok(Message::Text(text))) => match &**text {
            "ack" => Said::Acknowledged,
            "visible" => Said::Visible(true),
            "hidden" => Said::Visible(false),
            _ => Said::Alive,
        },
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Nop)) => Said::Alive,
        // The page sends nothing else.
        Some(Ok(_) | Err(_)) | None => Said::Gone,
    }
}
