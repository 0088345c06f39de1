//! Bounds of estimated costs, and how they are told.

/// What one rule may be estimated to cost for one object, upstream's `StaticEstimatedCostLimit`.
pub const RULE_ESTIMATE_LIMIT: u64 = 10_000_000;
/// What all rules of one schema may, upstream's `StaticEstimatedCRDCostLimit`.
pub const SCHEMA_ESTIMATE_LIMIT: u64 = 100_000_000;
/// The size of what no schema bounds: as much as fits into a request.
pub(super) const UNBOUNDED_SIZE: u64 = 3 * 1024 * 1024;

/// `estimated rule cost exceeds budget by factor of …`
pub fn cost_message(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_string()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}
