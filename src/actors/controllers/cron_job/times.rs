//! When a schedule is due.
use crate::actors::kinds::batch::schedule::{ClockTimes, Rhythm, Schedule};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// A schedule that is never due within so many years is never due.
const YEARS: i16 = 5;
/// More missed times than this are not counted one by one.
const MANY: usize = 100;

/// The times since a moment that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub latest: Timestamp,
    pub many: bool,
}

/// The first time after `after` that fits, by the clock of a zone.
pub(super) fn next(schedule: &Schedule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    match &schedule.rhythm {
        Rhythm::Every(seconds) => {
            let whole = Timestamp::from_second(after.as_second()).ok()?;
            whole.checked_add(i64::try_from(*seconds).ok()?.seconds()).ok()
        }
        Rhythm::Clock(times) => next_by_clock(times, zone, after),
    }
}

/// Walks the time line by what does not fit: months, days, hours, minutes. Hours that the clock skips are never due, and those
/// that it shows twice are due twice, as upstream has it.
fn next_by_clock(times: &ClockTimes, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let minute = after.as_second().div_euclid(60) + 1;
    let mut at: Zoned = Timestamp::from_second(minute * 60).ok()?.to_zoned(zone.clone());
    let last = at.year() + YEARS;
    let has = |set: u64, number: i8| u32::try_from(number).is_ok_and(|n| (set >> n) & 1 == 1);
    while at.year() <= last {
        if !has(times.months, at.month()) {
            at = at.first_of_month().ok()?.checked_add(1.month()).ok()?.start_of_day().ok()?;
            continue;
        }
        let (day, weekday) = (has(times.days, at.day()), has(times.weekdays, at.weekday().to_sunday_zero_offset()));
        if !(if times.any_day { day && weekday } else { day || weekday }) {
            at = at.tomorrow().ok()?.start_of_day().ok()?;
            continue;
        }
        if !has(times.hours, at.hour()) {
            at = at.checked_add((60 - i64::from(at.minute())).minutes()).ok()?;
            continue;
        }
        if has(times.minutes, at.minute()) {
            return Some(at.timestamp());
        }
        at = at.checked_add(1.minute()).ok()?;
    }
    None
}

/// The latest time after `since`, and not after `now`.
pub(super) fn due(schedule: &Schedule, zone: &TimeZone, since: Timestamp, now: Timestamp) -> Option<Due> {
    let mut latest = next(schedule, zone, since).filter(|t| *t <= now)?;
    let mut count = 1;
    while let Some(later) = next(schedule, zone, latest).filter(|t| *t <= now) {
        count += 1;
        latest = later;
        if count > MANY {
            return Some(Due { latest: near(schedule, zone, now).unwrap_or(latest).max(latest), many: true });
        }
    }
    Some(Due { latest, many: false })
}

/// The last time before `now`, found from ever further back, so that a long silence is not walked through.
fn near(schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    for minutes in [2, 60, 24 * 60, 32 * 24 * 60, 366 * 24 * 60, 5 * 366 * 24 * 60] {
        let mut at = next(schedule, zone, now.checked_sub((minutes * 60).seconds()).ok()?)?;
        if at > now {
            continue;
        }
        while let Some(later) = next(schedule, zone, at).filter(|t| *t <= now) {
            at = later;
        }
        return Some(at);
    }
    None
}
