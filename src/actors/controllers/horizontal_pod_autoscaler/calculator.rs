//! From measured values to a number of replicas. All values are in thousandths, all times in milliseconds; pure.
use super::pods::{Groups, PodFacts, group, requests};
use std::collections::BTreeMap;

/// Replicas are counted in 32 bits.
pub const MOST: i64 = i32::MAX as i64;

/// A pod's measured value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The end of the window.
    pub at: i64,
    pub window: i64,
    pub value: i64,
}

/// Measured values by the pods' names.
pub type Values = BTreeMap<Box<str>, Measured>;

/// How far a ratio may be from 1 before anything is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    pub down: f64,
    pub up: f64,
}

impl Tolerances {
    fn hold(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// What a calculation rests on beside the values.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// The pods that the target selects.
    pub pods: &'a [PodFacts],
    /// The replicas that the target asks for now.
    pub current: i64,
    pub tolerances: Tolerances,
    /// What is measured, when it is a resource: CPU of pods that start is not counted.
    pub resource: Option<&'a str>,
    pub now: i64,
}

/// A ratio of the measured to the wanted, with what is shown of the measured.
struct Ratio {
    ratio: f64,
    percent: i64,
    average: i64,
}

/// Replicas for a wanted percentage of the pods' requests; with the percentage and the average value now.
///
/// # Errors
/// In upstream's words.
pub fn by_utilization(basis: &Basis<'_>, values: &Values, container: &str, target: i64) -> Result<(i64, i64, i64), String> {
    let (values, groups) = sorted(basis, values)?;
    let requests = requests(basis.pods, container, basis.resource.unwrap_or_default())?;
    let shown = utilization(&values, &requests, target)?;
    let whole = target.max(100);
    let missing = |name: &str| requests.get(name).copied().unwrap_or(0).saturating_mul(whole) / 100;
    let again = |values: &Values| utilization(values, &requests, target).map(|r| r.ratio);
    let replicas = conclude(basis, values, &groups, shown.ratio, missing, again)?;
    Ok((replicas, shown.percent, shown.average))
}

/// Replicas for a wanted average value over the pods; with the average now.
///
/// # Errors
/// In upstream's words.
pub fn by_average(basis: &Basis<'_>, values: &Values, target: i64) -> Result<(i64, i64), String> {
    let (values, groups) = sorted(basis, values)?;
    let ratio = |values: &Values| {
        let average = average(values);
        (average as f64 / target as f64, average)
    };
    let (first, shown) = ratio(&values);
    let replicas = conclude(basis, values, &groups, first, |_| target, |values| Ok(ratio(values).0))?;
    Ok((replicas, shown))
}

/// Replicas for a wanted value of something that is measured as one.
///
/// # Errors
/// When there are no pods though there should be some.
pub fn by_total(basis: &Basis<'_>, value: i64, target: i64) -> Result<i64, String> {
    let ratio = value as f64 / target as f64;
    if basis.current == 0 {
        // From nothing, only the ratio counts.
        return Ok(ceil(ratio));
    }
    if basis.tolerances.hold(ratio) {
        return Ok(basis.current);
    }
    if basis.pods.is_empty() {
        return Err("unable to calculate ready pods: no pods returned by selector while calculating replica count".into());
    }
    let ready = basis.pods.iter().filter(|pod| pod.is_running_and_ready()).count();
    Ok(ceil(ratio * ready as f64))
}

/// Replicas when each shall have so much of a value; with what each has now. `running`: the replicas that there are.
pub fn by_share(value: i64, target: i64, running: i64, tolerances: Tolerances) -> (i64, i64) {
    let ratio = value as f64 / (target as f64 * running as f64);
    let replicas = if tolerances.hold(ratio) { running } else { ceil(value as f64 / target as f64) };
    let each = if running > 0 { (value as f64 / running as f64).ceil() as i64 } else { value };
    (replicas, each)
}

/// The values that count at once, and the pods by what they are good for.
fn sorted(basis: &Basis<'_>, values: &Values) -> Result<(Values, Groups), String> {
    if basis.pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".into());
    }
    let groups = group(basis.pods, values, basis.resource == Some("cpu"), basis.now);
    let left_out = |name: &str| groups.ignored.contains(name) || groups.unready.contains(name);
    let counted: Values = values.iter().filter(|(name, _)| !left_out(name)).map(|(name, value)| (name.clone(), *value)).collect();
    if counted.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".into());
    }
    Ok((counted, groups))
}

/// The replicas for a ratio. Where pods are not ready or not measured, the ratio is looked at again with the cautious
/// assumption about them: that they use nothing when there should be more, and all they may when there should be fewer.
fn conclude(
    basis: &Basis<'_>,
    mut values: Values,
    groups: &Groups,
    ratio: f64,
    missing: impl Fn(&str) -> i64,
    again: impl Fn(&Values) -> Result<f64, String>,
) -> Result<i64, String> {
    let more_with_unready = !groups.unready.is_empty() && ratio > 1.0;
    if !more_with_unready && groups.missing.is_empty() {
        let held = basis.tolerances.hold(ratio);
        return Ok(if held { basis.current } else { ceil(ratio * groups.ready as f64) });
    }
    let assume = |value| Measured { at: 0, window: 0, value };
    for name in &groups.missing {
        if ratio < 1.0 {
            values.insert(name.clone(), assume(missing(name)));
        } else if ratio > 1.0 {
            values.insert(name.clone(), assume(0));
        }
    }
    if more_with_unready {
        values.extend(groups.unready.iter().map(|name| (name.clone(), assume(0))));
    }
    let new = again(&values)?;
    if basis.tolerances.hold(new) || (ratio < 1.0 && new > 1.0) || (ratio > 1.0 && new < 1.0) {
        return Ok(basis.current);
    }
    let replicas = ceil(new * values.len() as f64);
    // The assumption may not turn the direction either.
    let turned = (new < 1.0 && replicas > basis.current) || (new > 1.0 && replicas < basis.current);
    Ok(if turned { basis.current } else { replicas })
}

fn utilization(values: &Values, requests: &BTreeMap<Box<str>, i64>, target: i64) -> Result<Ratio, String> {
    let known = values.iter().filter_map(|(name, value)| Some((value.value, *requests.get(name)?)));
    let (mut used, mut asked, mut count) = (0i64, 0i64, 0i64);
    for (value, request) in known {
        (used, asked, count) = (used.saturating_add(value), asked.saturating_add(request), count + 1);
    }
    if asked == 0 {
        return Err("no metrics returned matched known pods".into());
    }
    let percent = used.saturating_mul(100) / asked;
    Ok(Ratio { ratio: percent as f64 / target as f64, percent, average: used / count })
}

fn average(values: &Values) -> i64 {
    let sum = values.values().fold(0i64, |sum, measured| sum.saturating_add(measured.value));
    sum / i64::try_from(values.len().max(1)).unwrap_or(1)
}

/// Rounded up, within what replicas can be.
fn ceil(replicas: f64) -> i64 {
    (replicas.ceil() as i64).clamp(0, MOST)
}
