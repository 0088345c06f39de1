//! Prefer nodes with few pods of the same making, so that a fresh replica set spreads.
use super::{Field, MAX};

pub(super) fn score(of_group: u32, field: &Field) -> i64 {
    let most = i64::from(field.most_of_group);
    if most == 0 { MAX } else { MAX * (most - i64::from(of_group)) / most }
}
