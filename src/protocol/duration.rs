//! Durations as Go writes them, and its words about what is none.

const UNITS: [(&str, f64); 8] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// A duration such as `1m30.5s` or `-3s`, in seconds: numbers, each with a unit.
///
/// # Errors
/// What Go's `time.ParseDuration` says.
pub fn go_duration(text: &str) -> Result<f64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(0.0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut sum = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let worth = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, worth)| worth);
        sum += number * worth.ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        rest = after;
    }
    Ok(if text.starts_with('-') { -sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        let cases = [
            ("0", 0.0),
            ("+0", 0.0),
            ("15.5s", 15.5),
            ("1m30s", 90.0),
            ("1h0m0.25s", 3600.25),
            ("1.5s250ms", 1.75),
            ("-3s", -3.0),
            ("2h", 7200.0),
            (".5µs", 5e-7),
            ("1us2ns", 1.002e-6),
        ];
        for (text, seconds) in cases {
            assert!(go_duration(text).is_ok_and(|found| (found - seconds).abs() < 1e-12), "{text}");
        }
        let faults = [
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("ever", "time: invalid duration \"ever\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            ("10", "time: missing unit in duration \"10\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("1m3", "time: missing unit in duration \"1m3\""),
            ("3d", "time: unknown unit \"d\" in duration \"3d\""),
        ];
        for (text, words) in faults {
            assert_eq!(go_duration(text), Err(words.to_string()));
        }
    }
}
