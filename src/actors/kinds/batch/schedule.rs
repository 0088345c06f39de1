//! The schedules of cron jobs: five fields, or `@hourly` and its like. Says what is wrong in the words of the parser that upstream
//! uses; when a schedule is due is for the controller to know.
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Longest part of a time zone's name between slashes.
const ZONE_PART_MAX: usize = 14;

/// A field's range, and the names that stand for its numbers from `min` on.
struct Bounds {
    min: u64,
    max: u64,
    names: &'static [&'static str],
}

const FIELDS: [Bounds; 5] = [
    Bounds { min: 0, max: 59, names: &[] },
    Bounds { min: 0, max: 23, names: &[] },
    Bounds { min: 1, max: 31, names: &[] },
    Bounds { min: 1, max: 12, names: &MONTHS },
    Bounds { min: 0, max: 6, names: &DAYS },
];

/// Checks a schedule; it may begin with a `TZ=` or `CRON_TZ=` of its own.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    if schedule.is_empty() {
        return Err("empty spec string".into());
    }
    let mut rest = schedule;
    if let Some(zoned) = schedule.strip_prefix("TZ=").or_else(|| schedule.strip_prefix("CRON_TZ=")) {
        let (zone, after) = zoned.split_once(' ').unwrap_or((zoned, ""));
        if !is_known_zone(zone) {
            return Err(format!("provided bad location {zone}: unknown time zone {zone}"));
        }
        rest = after.trim();
    }
    if rest.starts_with('@') {
        return descriptor(rest);
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    for (field, bounds) in fields.iter().zip(&FIELDS) {
        field.split(',').filter(|part| !part.is_empty()).try_for_each(|part| range(part, bounds))?;
    }
    Ok(())
}

fn descriptor(text: &str) -> Result<(), String> {
    match text {
        "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly" => Ok(()),
        _ => match text.strip_prefix("@every ") {
            Some(duration) if is_duration(duration) => Ok(()),
            Some(duration) => Err(format!("failed to parse duration {text}: time: invalid duration {duration:?}")),
            None => Err(format!("unrecognized descriptor: {text}")),
        },
    }
}

fn range(text: &str, bounds: &Bounds) -> Result<(), String> {
    let mut halves = text.split('/');
    let (span, step, more) = (halves.next().unwrap_or_default(), halves.next(), halves.next());
    let mut ends = span.split('-');
    let (first, second, third) = (ends.next().unwrap_or_default(), ends.next(), ends.next());
    let (start, mut end) = if first == "*" || first == "?" {
        (bounds.min, bounds.max)
    } else {
        let start = number_or_name(first, bounds)?;
        if third.is_some() {
            return Err(format!("too many hyphens: {text}"));
        }
        (start, second.map_or(Ok(start), |s| number_or_name(s, bounds))?)
    };
    let step = step.map_or(Ok(1), number)?;
    if more.is_some() {
        return Err(format!("too many slashes: {text}"));
    }
    // A single number with a step goes on to the end of the range.
    if second.is_none() && text.contains('/') {
        end = bounds.max;
    }
    if start < bounds.min {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", bounds.min));
    }
    if end > bounds.max {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", bounds.max));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn number_or_name(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let lower = text.to_lowercase();
    match bounds.names.iter().position(|n| *n == lower) {
        Some(index) => Ok(bounds.min + index as u64),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(number) => u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}")),
        Err(error) => {
            let overflow = matches!(error.kind(), std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow);
            let why = if overflow { "value out of range" } else { "invalid syntax" };
            Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}"))
        }
    }
}

/// Go's durations: numbers, each with a unit.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = rest.get(..rest.len() - after.len()).unwrap_or_default();
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        // The longest unit that fits: `ms` is no `m`.
        let unit = units.iter().filter(|u| after.starts_with(**u)).max_by_key(|u| u.len());
        let (Some(unit), Ok(_)) = (unit, number.parse::<f64>()) else { return false };
        rest = after.get(unit.len()..).unwrap_or_default();
    }
    true
}

/// What is wrong with a `timeZone`, if anything.
pub(super) fn time_zone_fault(zone: &str) -> Option<String> {
    if zone.is_empty() {
        return Some("timeZone must be nil or non-empty string".into());
    }
    let good = |part: &str| {
        let length = (1..=ZONE_PART_MAX).contains(&part.len());
        length
            && part != "."
            && part != ".."
            && !part.starts_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
    };
    if !zone.split('/').all(good) {
        return Some(format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("Local") {
        return Some("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".into());
    }
    (!is_known_zone(zone)).then(|| format!("unknown time zone {zone}"))
}

fn is_known_zone(zone: &str) -> bool {
    // The database ignores case, zone names don't.
    matches!(zone, "" | "UTC") || TimeZone::get(zone).is_ok_and(|z| z.iana_name() == Some(zone))
}
