//! Kubernetes' two time formats: `metav1.Time` (whole seconds) and `metav1.MicroTime`.
use jiff::Timestamp;

/// `2026-11-21T04:00:00Z`: how `metav1.Time` is written.
pub fn rfc3339(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-21T04:00:00.123456Z`: how `metav1.MicroTime` is written.
pub fn rfc3339_micro(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Seconds since the Unix epoch of an RFC 3339 time, or `None` when it is not one.
pub fn parse_seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(|t| t.as_second())
}

/// The wall clock, now. Only the edges call this; decisions receive the time as an argument.
pub fn now() -> Timestamp {
    Timestamp::now()
}
