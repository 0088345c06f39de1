//! An actor's logic, apart from the actor: a plain struct that a test can drive by hand.
use super::mailbox::{Letter, Mailbox};
use std::time::Duration;

/// What an actor does with its messages. Handlers are short and never wait: slow work goes through [`Scope::run`].
pub trait Role: Sized + Unpin + 'static {
    type Message: Send + 'static;

    /// Called when the actor starts, and again on the fresh role after a panic.
    fn started(&mut self, _scope: &mut Scope<'_, Self>) {}

    fn handle(&mut self, message: Self::Message, scope: &mut Scope<'_, Self>);
}

/// What a role may ask of its actor while it handles a message.
pub struct Scope<'a, R: Role> {
    mailbox: &'a Mailbox<R::Message>,
    stop: bool,
}

impl<'a, R: Role> Scope<'a, R> {
    pub(super) fn new(mailbox: &'a Mailbox<R::Message>) -> Self {
        Scope { mailbox, stop: false }
    }

    pub(super) fn wants_stop(&self) -> bool {
        self.stop
    }

    /// The actor's own mailbox, to hand out.
    pub fn mailbox(&self) -> &Mailbox<R::Message> {
        self.mailbox
    }

    /// Shows what was decided, and why, in the dashboard.
    pub fn decided(&self, what: impl Into<String>) {
        self.mailbox.stats().decided(what);
    }

    /// Does slow work outside of the actor; its outcome comes back as a message.
    pub fn run<F>(&self, work: F)
    where
        F: Future<Output = R::Message> + 'static,
    {
        let mailbox = self.mailbox.clone();
        actix_rt::spawn(async move {
            if !mailbox.deliver(work.await).await {
                tracing::debug!(actor = %mailbox.path(), "the outcome of a task found nobody");
            }
        });
    }

    /// Sends the actor a message after a while (a deadline or a back-off, never a poll).
    pub fn after(&self, delay: Duration, message: R::Message) {
        self.run(async move {
            tokio::time::sleep(delay).await;
            message
        });
    }

    /// Ends the actor once this message is handled.
    pub fn stop(&mut self) {
        self.stop = true;
    }
}

/// The actix actor around a role.
pub(super) struct Cell<R: Role> {
    pub(super) role: Option<R>,
    pub(super) build: Box<dyn Fn() -> R + Send>,
    pub(super) mailbox: Mailbox<R::Message>,
    pub(super) guard: super::guardian::Watch,
}

impl<R: Role> actix::Actor for Cell<R> {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.attempt(context, |role, scope| role.started(scope));
    }
}

impl<R: Role> actix::Handler<Letter<R::Message>> for Cell<R> {
    type Result = ();

    fn handle(&mut self, letter: Letter<R::Message>, context: &mut Self::Context) {
        let Some(message) = letter.open() else { return };
        self.attempt(context, |role, scope| role.handle(message, scope));
        self.guard.handled();
    }
}

impl<R: Role> Cell<R> {
    /// Runs one step of the role. A panic ends the role, not the actor: the mailbox keeps its letters while a fresh role
    /// is built after the back-off.
    fn attempt(&mut self, context: &mut actix::Context<Self>, step: impl FnOnce(&mut R, &mut Scope<'_, R>)) {
        use actix::{ActorContext, AsyncContext, WrapFuture};
        let mut scope = Scope::new(&self.mailbox);
        let build = &self.build;
        let role = &mut self.role;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            step(role.get_or_insert_with(build), &mut scope);
            scope.wants_stop()
        }));
        match outcome {
            Ok(false) => {}
            Ok(true) => context.stop(),
            Err(panic) => {
                self.role = None;
                let pause = self.guard.panicked(panic.as_ref());
                let me = self.mailbox.clone();
                context.wait(async move { tokio::time::sleep(pause).await }.into_actor(self));
                context.notify(Rebuild);
                tracing::error!(actor = %me.path(), pause_ms = pause.as_millis() as u64, "role restarts after a panic");
            }
        }
    }
}

/// Tells the cell that the back-off is over and the fresh role may start.
struct Rebuild;

impl actix::Message for Rebuild {
    type Result = ();
}

impl<R: Role> actix::Handler<Rebuild> for Cell<R> {
    type Result = ();

    fn handle(&mut self, _: Rebuild, context: &mut Self::Context) {
        self.attempt(context, |role, scope| role.started(scope));
    }
}
