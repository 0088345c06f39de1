//! Where a test ends the server: before one chosen transaction. In debug builds only; a release has none of it.
//!
//! `IMPRESARIO_ABORT_BEFORE_WRITE=n` makes the process abort before its n-th transaction since the start, and lets every transaction
//! hold one commit only, so that a walk over n stops between any two writes.

/// Counts transactions; see the module.
#[derive(Debug, Default)]
pub(super) struct Failpoint {
    #[cfg(debug_assertions)]
    left: Option<u64>,
}

impl Failpoint {
    /// As the environment says.
    pub fn from_environment() -> Failpoint {
        #[cfg(debug_assertions)]
        return Failpoint { left: std::env::var("IMPRESARIO_ABORT_BEFORE_WRITE").ok().and_then(|n| n.parse().ok()) };
        #[cfg(not(debug_assertions))]
        Failpoint::default()
    }

    /// The most commits of one transaction, given the usual number.
    pub fn batch(&self, usual: usize) -> usize {
        #[cfg(debug_assertions)]
        if self.left.is_some() {
            return 1;
        }
        usual
    }

    /// Called before each transaction.
    pub fn pass(&mut self) {
        #[cfg(debug_assertions)]
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                tracing::warn!("ending before a write, as the environment asks");
                std::process::abort();
            }
        }
    }
}
