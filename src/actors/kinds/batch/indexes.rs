//! Sets of indexes as jobs write them: `1,3-5,7`.

/// The intervals of a text, both ends included; all below `completions` and rising. The error is upstream's sentence.
pub(super) fn parse_indexes(text: &str, completions: i64) -> Result<Vec<(i64, i64)>, String> {
    let mut intervals: Vec<(i64, i64)> = Vec::new();
    if text.is_empty() {
        return Ok(intervals);
    }
    for part in text.split(',') {
        let (from, to) = interval(part, completions)?;
        if let Some((_, last)) = intervals.last().filter(|(_, last)| *last >= from) {
            return Err(format!("non-increasing order, previous: {last}, current: {from}"));
        }
        intervals.push((from, to));
    }
    Ok(intervals)
}

/// The first index that both texts contain. A malformed interval contains none: its own check reports it.
pub(super) fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let intervals = |text: &str| -> Vec<(i64, i64)> { text.split(',').filter_map(|part| interval(part, completions).ok()).collect() };
    let (completed, failed) = (intervals(completed), intervals(failed));
    let (mut c, mut f) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some((c_from, c_to)), Some((f_from, f_to))) = (c.peek(), f.peek()) {
        if c_from <= f_to && f_from <= c_to {
            return Some(*c_from.max(f_from));
        }
        if c_from <= f_from {
            c.next();
        } else {
            f.next();
        }
    }
    None
}

fn interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let number = |part: &str| -> Result<i64, String> {
        let parsed: i64 = part.parse().map_err(|_| format!("cannot convert string to integer for index: {part:?}"))?;
        if parsed >= completions { Err(format!("too large index: {part:?}")) } else { Ok(parsed) }
    };
    let mut parts = text.split('-');
    let (first, second, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() {
        return Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        ));
    }
    let from = number(first)?;
    let Some(second) = second else { return Ok((from, from)) };
    let to = number(second)?;
    if from >= to { Err(format!("non-increasing order, previous: {from}, current: {to}")) } else { Ok((from, to)) }
}
