//! DefaultBinder: binds by `pods/binding`.
use super::{Plugin, Points};

/// See the module.
pub struct DefaultBinder;

impl Plugin for DefaultBinder {
    fn name(&self) -> &'static str {
        "DefaultBinder"
    }

    fn points(&self) -> Points {
        Points::BIND
    }

    fn binds(&self) -> bool {
        true
    }
}
