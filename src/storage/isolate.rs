//! Foreign code on the committer thread (guards, filters, replies, the engine) must not take the thread down with it.
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; a panic is logged and answered with `None`. What `f` was changing is given up by the caller, so no torn state is seen.
pub(super) fn isolated<T>(what: &str, f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).inspect_err(|_| tracing::error!("{what} panicked on the committer thread")).ok()
}
