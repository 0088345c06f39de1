//! What keeps an overloaded server standing: requests have seats by what they are for, waiting lines are short, and who finds no
//! place is told to come again. It is upstream's priority and fairness in its effect: nobody's flood of requests can starve
//! nodes, leases and administrators, and memory stays bounded.
use crate::http::api::Target;
use crate::protocol::status::ApiError;
use crate::protocol::user::{MASTERS, NODES, UNAUTHENTICATED, User};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A request that waited this long for a seat is refused.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a request is for; each has seats of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Administrators and health: never held up.
    Exempt,
    /// Nodes, leases and the cluster's own parts.
    System,
    /// Everybody who is known.
    Workload,
    /// Strangers.
    Anonymous,
}

/// Seats of one level, and how many may wait for one.
#[derive(Clone, Copy, Debug)]
pub struct Seats {
    pub seats: usize,
    pub waiting: usize,
}

/// How many requests are under way at each level.
pub struct Overload {
    system: Line,
    workload: Line,
    anonymous: Line,
}

struct Line {
    level: Level,
    seats: Arc<Semaphore>,
    waiting: AtomicUsize,
    limit: usize,
}

impl Default for Overload {
    fn default() -> Self {
        // Together as many as upstream's 400 reads and 200 writes.
        Overload::new(Seats { seats: 200, waiting: 400 }, Seats { seats: 380, waiting: 1200 }, Seats { seats: 20, waiting: 40 })
    }
}

impl Overload {
    pub fn new(system: Seats, workload: Seats, anonymous: Seats) -> Self {
        let line = |level, seats: Seats| Line {
            level,
            seats: Arc::new(Semaphore::new(seats.seats)),
            waiting: AtomicUsize::new(0),
            limit: seats.waiting,
        };
        Overload {
            system: line(Level::System, system),
            workload: line(Level::Workload, workload),
            anonymous: line(Level::Anonymous, anonymous),
        }
    }

    /// A seat for a request, held until the answer is ready; `None` for what needs none. 429 when the line is full, or does not move.
    pub async fn seat(&self, user: &User, target: Option<&Target>) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let line = match level(user, target) {
            Level::Exempt => return Ok(None),
            Level::System => &self.system,
            Level::Workload => &self.workload,
            Level::Anonymous => &self.anonymous,
        };
        line.seat().await.map(Some)
    }
}

/// The level of a request.
pub fn level(user: &User, target: Option<&Target>) -> Level {
    if user.is_in(MASTERS) {
        return Level::Exempt;
    }
    if user.is_in(UNAUTHENTICATED) {
        return if target.is_none() { Level::Exempt } else { Level::Anonymous };
    }
    let lease = target.is_some_and(|t| t.group == "coordination.k8s.io" && t.resource == "leases");
    let own = user
        .name
        .strip_prefix("system:")
        .is_some_and(|n| !n.starts_with("serviceaccount:") || n.starts_with("serviceaccount:kube-system:"));
    if lease || own || user.is_in(NODES) { Level::System } else { Level::Workload }
}

impl Line {
    async fn seat(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if let Ok(permit) = self.seats.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        if before >= self.limit {
            return Err(self.refused());
        }
        match tokio::time::timeout(PATIENCE, self.seats.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.refused()),
        }
    }

    fn refused(&self) -> ApiError {
        tracing::debug!(level = ?self.level, "a request found no seat");
        ApiError::new(429, "TooManyRequests", "too many requests, please try again later")
    }
}

/// A place in the line, given back also when the client turns away while it waits.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Overload {
        let one = Seats { seats: 1, waiting: 1 };
        Overload::new(one, one, one)
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_line_refuses_and_other_levels_do_not_notice() {
        let overload = Arc::new(small());
        let user = User::new("jane", []);
        let pods = Target { resource: "pods".into(), ..Default::default() };
        let held = overload.seat(&user, Some(&pods)).await.expect("a seat");
        let waiting = {
            let (overload, user, pods) = (overload.clone(), user.clone(), pods.clone());
            tokio::spawn(async move { overload.seat(&user, Some(&pods)).await.map(|p| p.is_some()) })
        };
        tokio::task::yield_now().await;
        assert_eq!(overload.seat(&user, Some(&pods)).await.expect_err("no place").code, 429);
        let lease = Target { group: "coordination.k8s.io".into(), resource: "leases".into(), ..Default::default() };
        assert!(overload.seat(&user, Some(&lease)).await.expect("another level").is_some());
        assert!(overload.seat(&User::internal("system:x"), Some(&pods)).await.expect("never held up").is_none());
        drop(held);
        assert!(waiting.await.expect("no panic").expect("its turn came"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let overload = small();
        let user = User::new("jane", []);
        let _held = overload.seat(&user, None).await.expect("a seat");
        assert_eq!(overload.seat(&user, None).await.expect_err("patience ends").code, 429);
    }
}
