//! What evaluation may cost.
use super::Fault;

/// Units that one expression may cost, upstream's `PerCallLimit`.
pub const CALL_LIMIT: u64 = 1_000_000;
/// Units that all the expressions for one object may cost together, upstream's `RuntimeCELCostBudget`.
pub const OBJECT_BUDGET: u64 = 10_000_000;
/// Units that all the match conditions of a webhook or policy may cost together, upstream's `RuntimeCELCostBudgetMatchConditions`.
pub const CONDITIONS_BUDGET: u64 = OBJECT_BUDGET / 4;
/// Characters of text that are looked at for one unit.
const TEXT_PER_UNIT: u64 = 10;

/// What is left to spend. A unit is about one step of the evaluator: some tens of nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u64,
    /// What the expression under way may still use.
    call: u64,
}

impl Default for Budget {
    /// For everything that is evaluated for one object.
    fn default() -> Self {
        Budget::new(OBJECT_BUDGET)
    }
}

impl Budget {
    pub fn new(units: u64) -> Self {
        Budget { left: units, call: CALL_LIMIT.min(units) }
    }

    /// Units left.
    pub fn left(&self) -> u64 {
        self.left
    }

    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Begins the next expression.
    pub(super) fn begin(&mut self) {
        self.call = CALL_LIMIT.min(self.left);
    }

    pub(super) fn spend(&mut self, units: u64) -> Result<(), Fault> {
        if units > self.call {
            self.left = self.left.saturating_sub(self.call);
            self.call = 0;
            return Err(if self.left == 0 { Fault::OutOfBudget } else { Fault::CostLimit });
        }
        self.call -= units;
        self.left = self.left.saturating_sub(units);
        Ok(())
    }

    /// Lets an expression be evaluated in the middle of another one: it has a call of its own, and pays from the same purse.
    pub(super) fn aside<T>(&mut self, evaluate: impl FnOnce(&mut Budget) -> T) -> T {
        let call = self.call;
        let outcome = evaluate(self);
        self.call = call.min(self.left);
        outcome
    }

    /// Pays for looking at that many characters.
    pub(super) fn spend_text(&mut self, characters: usize) -> Result<(), Fault> {
        self.spend(1 + characters as u64 / TEXT_PER_UNIT)
    }
}
