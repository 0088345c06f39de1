//! Whatever is wished for, limits and rates hold.
use super::behavior::{Policy, Rules, Select};
use super::*;
use crate::actors::controllers::testing::at;
use proptest::prelude::*;

fn policy() -> impl Strategy<Value = Policy> {
    (any::<bool>(), 1i64..120, 1i64..120).prop_map(|(percent, value, period)| Policy { percent, value, period })
}

fn rules() -> impl Strategy<Value = Rules> {
    let select = prop_oneof![Just(Select::Max), Just(Select::Min), Just(Select::Disabled)];
    (0i64..180, select, proptest::collection::vec(policy(), 1..4)).prop_map(|(window, select, policies)| Rules {
        window,
        select,
        policies,
        tolerance: None,
    })
}

/// The replicas at the beginning of a period, from the record of all changes (at, to).
fn then(record: &[(i64, i64)], now: i64, period: i64) -> i64 {
    let before = record.iter().rev().find(|(at, _)| *at <= now - period);
    before.or(record.first()).map_or(0, |(_, replicas)| *replicas)
}

/// Whether a policy allows a number.
fn allows(policy: &Policy, start: i64, replicas: i64) -> bool {
    // Rounding is to the generous side, up as well as down; as upstream, also where a share of 1/5 is not quite that in binary.
    let by = if policy.percent { (start as f64 * policy.value as f64 / 100.0).floor() + 1.0 } else { policy.value as f64 };
    (replicas - start).abs() as f64 <= by
}

proptest! {
    #![proptest_config(crate::actors::properties::property(256))]
    #[test]
    fn limits_and_rates_hold(
        up in rules(), down in rules(), min in 0i64..5, more in 0i64..60,
        wishes in proptest::collection::vec((0i64..120, 1i64..40), 1..60),
    ) {
        let (max, behavior) = (min.max(1) + more, Behavior { up, down });
        let mut history = History::default();
        let mut current = min.max(1);
        let mut record = vec![(-1_000_000, current)];
        let mut wanted: Vec<(i64, i64)> = vec![(0, current)];
        history.begin(current, at(0));
        let mut now = 0;
        for (desired, pause) in wishes {
            now += pause;
            let verdict = history.judge(Wish { current, desired, min, max }, Some(&behavior), at(now));
            let next = verdict.replicas;
            prop_assert!((min..=max).contains(&next), "{next} is not within {min} and {max}");
            let (rules, is_up) = if next > current { (&behavior.up, true) } else { (&behavior.down, false) };
            if next != current {
                prop_assert!(rules.select != Select::Disabled);
                let mut fits = rules.policies.iter().map(|p| {
                    let start = then(&record, now, p.period);
                    // Coming back to where the period began is never too far.
                    (is_up && next <= start) || (!is_up && next >= start) || allows(p, start, next)
                });
                let held = if rules.select == Select::Max { fits.any(|fit| fit) } else { fits.all(|fit| fit) };
                prop_assert!(held, "{current} to {next} at {now} with {rules:?} after {record:?}");
                // Every wish of the window went as far.
                let recent = wanted.iter().filter(|(at, _)| *at > now - rules.window).map(|(_, wish)| *wish).chain([desired]);
                let agreed = recent.into_iter().all(|wish| if is_up { wish >= next } else { wish <= next.max(min) });
                prop_assert!(agreed, "{current} to {next} at {now} with {rules:?} after {wanted:?}");
                history.scaled(current, next, Some(&behavior), at(now));
                record.push((now, next));
                current = next;
            }
            wanted.push((now, desired));
        }
    }

    #[test]
    fn without_rules_as_well(min in 1i64..5, more in 0i64..60, wishes in proptest::collection::vec((0i64..120, 1i64..400), 1..40)) {
        let max = min + more;
        let (mut history, mut current, mut now) = (History::default(), min, 0);
        history.begin(current, at(0));
        for (desired, pause) in wishes {
            now += pause;
            let next = history.judge(Wish { current, desired, min, max }, None, at(now)).replicas;
            prop_assert!((min..=max).contains(&next) && next <= (2 * current).max(4).max(min));
            current = next;
        }
    }
}
