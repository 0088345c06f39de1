//! How long to wait before the next attempt.
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Doubles with every failure; spread, so that a thousand nodes don't come back in the same instant.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait: between half and all of the present step. `random` is any number.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = step / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// It worked: start anew next time.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Hurrying is of no use: the next wait is the longest.
    pub(super) fn slow(&mut self) {
        self.failures = u32::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_a_limit_and_spreads() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(u32::MAX), FIRST);
        assert_eq!(backoff.next(0), FIRST);
        assert_eq!(backoff.next(u32::MAX), FIRST * 4);
        for _ in 0..100 {
            assert!(backoff.next(7) <= LONGEST);
        }
        assert_eq!(backoff.next(u32::MAX), LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX), FIRST);
        backoff.slow();
        assert_eq!(backoff.next(u32::MAX), LONGEST);
    }
}
