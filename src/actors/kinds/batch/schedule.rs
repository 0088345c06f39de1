//! The schedules of cron jobs: five fields, or `@hourly` and its like. Says what is wrong in the words of the parser that upstream
//! uses; when a schedule is due is for the controller to compute.
use crate::protocol::duration::go_duration;
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

/// A schedule, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The zone that the schedule itself names.
    pub zone: Option<String>,
    pub rhythm: Rhythm,
}

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// Whenever the clock on the wall shows a time of these sets.
    Clock(Box<ClockTimes>),
    /// That many seconds after the last time.
    Every(u64),
}

/// Sets of numbers as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClockTimes {
    pub minutes: u64,
    pub hours: u64,
    pub days: u64,
    pub months: u64,
    /// 0 is Sunday.
    pub weekdays: u64,
    /// One of the two kinds of days is not restricted: then both have to fit, otherwise either.
    pub any_day: bool,
}

/// Checks a schedule; it may begin with a `TZ=` or `CRON_TZ=` of its own.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    parse(schedule).map(drop)
}

/// Reads a schedule; the error is upstream's sentence.
pub(crate) fn parse(schedule: &str) -> Result<Schedule, String> {
    if schedule.is_empty() {
        return Err("empty spec string".into());
    }
    let mut rest = schedule;
    let mut own = None;
    if let Some(zoned) = schedule.strip_prefix("TZ=").or_else(|| schedule.strip_prefix("CRON_TZ=")) {
        let (zone, after) = zoned.split_once(' ').unwrap_or((zoned, ""));
        if !is_known_zone(zone) {
            return Err(format!("provided bad location {zone}: unknown time zone {zone}"));
        }
        own = Some(zone.to_string());
        rest = after.trim();
    }
    let rhythm = if rest.starts_with('@') { descriptor(rest)? } else { clock_times(rest)? };
    Ok(Schedule { zone: own, rhythm })
}

fn clock_times(text: &str) -> Result<Rhythm, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    let mut sets = [(0, false); 5];
    for ((field, bounds), set) in fields.iter().zip(&FIELDS).zip(&mut sets) {
        for part in field.split(',').filter(|part| !part.is_empty()) {
            let (bits, open) = range(part, bounds)?;
            *set = (set.0 | bits, set.1 | open);
        }
    }
    let [minutes, hours, days, months, weekdays] = sets;
    Ok(Rhythm::Clock(Box::new(ClockTimes {
        minutes: minutes.0,
        hours: hours.0,
        days: days.0,
        months: months.0,
        weekdays: weekdays.0,
        any_day: days.1 || weekdays.1,
    })))
}

fn descriptor(text: &str) -> Result<Rhythm, String> {
    match text {
        "@yearly" | "@annually" => clock_times("0 0 1 1 *"),
        "@monthly" => clock_times("0 0 1 * *"),
        "@weekly" => clock_times("0 0 * * 0"),
        "@daily" | "@midnight" => clock_times("0 0 * * *"),
        "@hourly" => clock_times("0 * * * *"),
        _ => match text.strip_prefix("@every ") {
            // Whole seconds, and never less than one.
            Some(duration) => go_duration(duration)
                .map(|seconds| Rhythm::Every((seconds.max(0.0) as u64).max(1)))
                .map_err(|why| format!("failed to parse duration {text}: {why}")),
            None => Err(format!("unrecognized descriptor: {text}")),
        },
    }
}

/// The numbers of one part as bits, and whether it is unrestricted.
fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let mut halves = text.split('/');
    let (span, step, more) = (halves.next().unwrap_or_default(), halves.next(), halves.next());
    let mut ends = span.split('-');
    let (first, second, third) = (ends.next().unwrap_or_default(), ends.next(), ends.next());
    let star = first == "*" || first == "?";
    let (start, mut end) = if star {
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
    let bits = (start..=end).filter(|n| (n - start) % step == 0).fold(0, |bits, n| bits | 1u64 << n);
    Ok((bits, star && step == 1))
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
