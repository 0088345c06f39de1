//! Durations as kubectl shows them.

/// A duration in seconds in two units at most: `5s`, `3m10s`, `5h12m`, `3d4h`, `2y35d`.
///
/// A clock that is up to a second ahead reads as `0s`; more than that as `<invalid>`.
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// The age column: time since `created`, `<unknown>` where an object has no such time. Both are seconds since the epoch.
pub fn age(created: Option<i64>, now: i64) -> String {
    created.map_or_else(|| "<unknown>".into(), |created| human_duration(now.saturating_sub(created)))
}

fn two(big: i64, big_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
}
