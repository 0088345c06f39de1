//! Things of which each object of a kind gets a share that nobody else has: the addresses and node ports of services.
use crate::protocol::status::ApiError;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Gives out shares. Only the kind's actor asks it, so two writes never get the same.
pub trait Allocator: Send {
    /// Fills in what a new object, or a changed one, needs; checks what it asks for itself. Nothing is taken yet.
    fn allocate(&mut self, old: Option<&Value>, new: &mut Value) -> Result<(), ApiError>;
    /// Learns of a change: `old` no longer holds what it held, `new` holds what it says.
    fn observe(&mut self, old: Option<&Value>, new: Option<&Value>);
}

/// A kind's allocator, if it has one; it outlives restarts of the actor.
#[derive(Clone, Default)]
pub(super) struct Shares(Arc<OnceLock<Mutex<Box<dyn Allocator>>>>);

impl Shares {
    /// Refuses a second one.
    pub fn set(&self, allocator: Box<dyn Allocator>) -> Result<(), &'static str> {
        self.0.set(Mutex::new(allocator)).map_err(|_| "the kind has an allocator already")
    }

    pub fn allocate(&self, old: Option<&Value>, new: &mut Value) -> Result<(), ApiError> {
        self.locked().map_or(Ok(()), |mut allocator| allocator.allocate(old, new))
    }

    pub fn observe(&self, old: Option<&Value>, new: Option<&Value>) {
        if let Some(mut allocator) = self.locked() {
            allocator.observe(old, new);
        }
    }

    /// Whether anybody has to be told of changes.
    pub fn is_kept(&self) -> bool {
        self.0.get().is_some()
    }

    fn locked(&self) -> Option<MutexGuard<'_, Box<dyn Allocator>>> {
        self.0.get().map(|a| a.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
