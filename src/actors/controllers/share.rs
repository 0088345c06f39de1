//! Amounts that are a number or a percentage of something: `maxSurge: 25%`.
use serde_json::Value;

/// The amount that `value` says of `total`, rounded up or down; `None` when it says nothing readable.
pub fn scaled(value: &Value, total: i64, up: bool) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let percent: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    let hundredths = percent.saturating_mul(total);
    Some(if up { hundredths.saturating_add(99).div_euclid(100) } else { hundredths.div_euclid(100) })
}

/// How many pods a rolling update may add and miss: surge is rounded up and unavailability down; when both come out as
/// nothing, one may be missing, or nothing would ever move.
pub fn surge_and_unavailable(surge: &Value, unavailable: &Value, total: i64) -> (i64, i64) {
    let surge = scaled(surge, total, true).unwrap_or_default();
    let unavailable = scaled(unavailable, total, false).unwrap_or_default();
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_are_rounded_apart() {
        assert_eq!(surge_and_unavailable(&json!("25%"), &json!("25%"), 10), (3, 2));
        assert_eq!(surge_and_unavailable(&json!("10%"), &json!("10%"), 1), (1, 0));
        assert_eq!(surge_and_unavailable(&json!(0), &json!("10%"), 1), (0, 1));
        assert_eq!(surge_and_unavailable(&json!(2), &json!(0), 1), (2, 0));
    }
}
