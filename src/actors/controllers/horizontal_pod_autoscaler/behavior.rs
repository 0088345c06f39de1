//! How fast an autoscaler may go: what it wanted before, what it did before, and the rules about both. Pure; times are of the
//! clock that never jumps.
use crate::protocol::quantity::Quantity;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Seconds for which going down waits when nothing is said.
const DOWN_WINDOW: i64 = 300;
/// Things remembered of one autoscaler. A well-behaved one has a wish every 15 s and a longest window of an hour.
const REMEMBERED: usize = 1024;

/// The rules for one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Seconds.
    pub window: i64,
    pub select: Select,
    pub policies: Vec<Policy>,
    pub tolerance: Option<f64>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    Max,
    Min,
    Disabled,
}

/// So many pods, or so many percent of them, within a period of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub percent: bool,
    pub value: i64,
    pub period: i64,
}

/// `spec.behavior`, with defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    pub up: Rules,
    pub down: Rules,
}

impl Behavior {
    /// `None` when the autoscaler says nothing about it.
    pub fn parse(behavior: &Value) -> Option<Behavior> {
        let up = [Policy { percent: false, value: 4, period: 15 }, Policy { percent: true, value: 100, period: 15 }];
        let down = [Policy { percent: true, value: 100, period: 15 }];
        behavior.as_object()?;
        Some(Behavior { up: rules(&behavior["scaleUp"], 0, &up), down: rules(&behavior["scaleDown"], DOWN_WINDOW, &down) })
    }
}

fn rules(rules: &Value, window: i64, policies: &[Policy]) -> Rules {
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let policy = |p: &Value| Policy { percent: p["type"] == "Percent", value: number(&p["value"]), period: number(&p["periodSeconds"]) };
    let tolerance = rules["tolerance"].as_str().and_then(|t| t.parse::<Quantity>().ok());
    Rules {
        window: rules["stabilizationWindowSeconds"].as_i64().unwrap_or(window),
        select: match rules["selectPolicy"].as_str() {
            Some("Disabled") => Select::Disabled,
            Some("Min") => Select::Min,
            _ => Select::Max,
        },
        policies: rules["policies"].as_array().map_or_else(|| policies.to_vec(), |list| list.iter().map(policy).collect()),
        tolerance: tolerance.map(|q| q.milli_value() as f64 / 1000.0),
    }
}

/// What metrics ask for, and what may be at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub current: i64,
    pub desired: i64,
    pub min: i64,
    pub max: i64,
}

/// What comes of a wish. The conditions are told as reason and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub replicas: i64,
    pub able: Told,
    /// Whether the number was cut.
    pub limited: bool,
    pub limit: Told,
}

/// A condition's reason and message.
pub type Told = (&'static str, &'static str);

const READY: Told = ("ReadyForNewScale", "recommended size matches current size");
const UP_STABILIZED: Told =
    ("ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation");
const DOWN_STABILIZED: Told =
    ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation");
const WITHIN: Told = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_FAST_UP: Told = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const TOO_FAST_DOWN: Told = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const TOO_MANY: Told = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Told = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");

/// What one autoscaler wanted and did lately. It does not outlive the process, as upstream's does not.
#[derive(Clone, Debug, Default)]
pub struct History {
    wishes: Vec<(Timestamp, i64)>,
    ups: Vec<(Timestamp, i64)>,
    downs: Vec<(Timestamp, i64)>,
}

impl History {
    /// At first sight, what is there counts as wanted.
    pub fn begin(&mut self, current: i64, now: Timestamp) {
        if self.wishes.is_empty() {
            self.wishes.push((now, current));
        }
    }

    /// Cuts a wish to what may be now, and remembers it.
    pub fn judge(&mut self, wish: Wish, behavior: Option<&Behavior>, now: Timestamp) -> Verdict {
        let (stable, told) = self.stabilize(wish, behavior, now);
        let able = if stable == wish.desired { READY } else { told };
        let stable_wish = Wish { desired: stable, ..wish };
        let (replicas, limit) = match behavior {
            Some(behavior) => self.limit(stable_wish, behavior, now),
            None => limit_plainly(stable_wish),
        };
        Verdict { replicas, able, limited: replicas != stable, limit }
    }

    /// The target was scaled.
    pub fn scaled(&mut self, from: i64, to: i64, behavior: Option<&Behavior>, now: Timestamp) {
        // Without rules about rates nobody asks for it.
        let Some(behavior) = behavior else { return };
        let (list, rules) = if to > from { (&mut self.ups, &behavior.up) } else { (&mut self.downs, &behavior.down) };
        let longest = rules.policies.iter().map(|p| p.period).max().unwrap_or_default();
        remember(list, (now, (to - from).abs()), longest, now);
    }

    /// The nearest to the present number that all recent wishes in the direction agree on.
    fn stabilize(&mut self, wish: Wish, behavior: Option<&Behavior>, now: Timestamp) -> (i64, Told) {
        let (up, down) = behavior.map_or((0, DOWN_WINDOW), |b| (b.up.window, b.down.window));
        let recent = |window: i64| self.wishes.iter().filter(move |(at, _)| *at > before(now, window)).map(|(_, wanted)| *wanted);
        let lowest = recent(up).fold(wish.desired, i64::min);
        let highest = recent(down).fold(wish.desired, i64::max);
        let stable = match behavior {
            Some(_) => wish.current.max(lowest).min(highest),
            // Without rules only going down waits, and for the highest wish, wherever the present number lies.
            None => highest,
        };
        remember(&mut self.wishes, (now, wish.desired), up.max(down), now);
        (stable, if behavior.is_some() && wish.desired >= wish.current { UP_STABILIZED } else { DOWN_STABILIZED })
    }

    fn limit(&self, wish: Wish, behavior: &Behavior, now: Timestamp) -> (i64, Told) {
        let Wish { current, desired, min, max } = wish;
        if desired > current {
            let fastest = self.fastest_up(current, &behavior.up, now).max(current);
            let (most, told) = if max > fastest { (fastest, TOO_FAST_UP) } else { (max, TOO_MANY) };
            if desired > most {
                return (most, told);
            }
        } else if desired < current {
            let fastest = self.fastest_down(current, &behavior.down, now).min(current);
            let (fewest, told) = if min < fastest { (fastest, TOO_FAST_DOWN) } else { (min, TOO_FEW) };
            if desired < fewest {
                return (fewest, told);
            }
        }
        (desired, WITHIN)
    }

    /// The number that there was a period ago, as far as this autoscaler changed it.
    fn period_start(&self, current: i64, period: i64, now: Timestamp) -> i64 {
        let changed =
            |list: &[(Timestamp, i64)]| -> i64 { list.iter().filter(|(at, _)| *at > before(now, period)).map(|(_, by)| by).sum() };
        current - changed(&self.ups) + changed(&self.downs)
    }

    fn fastest_up(&self, current: i64, rules: &Rules, now: Timestamp) -> i64 {
        let proposals = rules.policies.iter().map(|policy| {
            let start = self.period_start(current, policy.period, now);
            // Rounded up: a few percent of few pods must lead somewhere.
            if policy.percent {
                (start as f64 * (1.0 + policy.value as f64 / 100.0)).ceil() as i64
            } else {
                start.saturating_add(policy.value)
            }
        });
        match rules.select {
            Select::Disabled => None,
            Select::Min => proposals.min(),
            Select::Max => proposals.max(),
        }
        .unwrap_or(current)
    }

    fn fastest_down(&self, current: i64, rules: &Rules, now: Timestamp) -> i64 {
        let proposals = rules.policies.iter().map(|policy| {
            let start = self.period_start(current, policy.period, now);
            if policy.percent { (start as f64 * (1.0 - policy.value as f64 / 100.0)) as i64 } else { start.saturating_sub(policy.value) }
        });
        match rules.select {
            Select::Disabled => None,
            // The smallest change leaves the most.
            Select::Min => proposals.max(),
            Select::Max => proposals.min(),
        }
        .unwrap_or(current)
    }
}

/// The limits of an autoscaler without rules: to the double, or to four, at once.
fn limit_plainly(wish: Wish) -> (i64, Told) {
    let fastest = wish.current.saturating_mul(2).max(4);
    let (most, told) = if wish.max > fastest { (fastest, TOO_FAST_UP) } else { (wish.max, TOO_MANY) };
    match wish.desired {
        few if few < wish.min => (wish.min, TOO_FEW),
        many if many > most => (most, told),
        within => (within, WITHIN),
    }
}

fn before(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

/// Adds to a list, and drops what is older than so many seconds.
fn remember(list: &mut Vec<(Timestamp, i64)>, new: (Timestamp, i64), seconds: i64, now: Timestamp) {
    list.retain(|(at, _)| *at >= before(now, seconds));
    if list.len() >= REMEMBERED {
        list.remove(0);
    }
    list.push(new);
}
