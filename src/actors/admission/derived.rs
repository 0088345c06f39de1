//! Something computed from a whole shelf, computed anew when the shelf has changed. For shelves that are small and seldom written.
use crate::storage::{Shelf, Snapshot};
use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// See the module.
pub struct Derived<T> {
    shelf: Arc<Shelf>,
    build: fn(&Snapshot) -> T,
    held: ArcSwapOption<Held<T>>,
}

struct Held<T> {
    /// The revision of the snapshot that it was made from.
    revision: u64,
    value: Arc<T>,
}

impl<T> Derived<T> {
    pub fn new(shelf: Arc<Shelf>, build: fn(&Snapshot) -> T) -> Self {
        Derived { shelf, build, held: ArcSwapOption::empty() }
    }

    /// The value of the latest durable state.
    pub fn get(&self) -> Arc<T> {
        let snapshot = self.shelf.snapshot();
        if let Some(held) = self.held.load().as_ref().filter(|held| held.revision == snapshot.revision) {
            return held.value.clone();
        }
        let value = Arc::new((self.build)(&snapshot));
        self.held.store(Some(Arc::new(Held { revision: snapshot.revision, value: value.clone() })));
        value
    }

    /// No objects on the shelf.
    pub fn is_empty(&self) -> bool {
        self.shelf.snapshot().is_empty()
    }
}
