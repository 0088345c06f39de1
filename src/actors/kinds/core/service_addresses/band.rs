//! A range of numbers of which some are taken, in two bands: who asks for no particular number gets one of the upper band while there
//! is any, so that those who ask for one of the lower band rarely find it taken.
use std::collections::BTreeSet;

/// The numbers `first..=last`.
#[derive(Clone, Debug)]
pub(super) struct Band {
    first: u32,
    last: u32,
    /// How many numbers the lower band has.
    lower: u32,
    taken: BTreeSet<u32>,
}

/// Why a number cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    OutOfRange,
    Taken,
}

impl Band {
    /// Nothing is taken. `lower` numbers at the start of the range are for those who ask for them.
    pub fn new(first: u32, last: u32, lower: u32) -> Self {
        Band { first, last, lower, taken: BTreeSet::new() }
    }

    pub fn contains(&self, number: u32) -> bool {
        (self.first..=self.last).contains(&number)
    }

    /// Whether `number` may be had.
    pub fn check(&self, number: u32) -> Result<(), Refusal> {
        match number {
            n if !self.contains(n) => Err(Refusal::OutOfRange),
            n if self.taken.contains(&n) => Err(Refusal::Taken),
            _ => Ok(()),
        }
    }

    /// A free number, chosen by `random`; none when all are taken. `also` are taken besides.
    pub fn free(&self, random: u64, also: &BTreeSet<u32>) -> Option<u32> {
        let split = self.first.saturating_add(self.lower);
        let upper = (split <= self.last).then(|| self.free_between(split, self.last, random, also)).flatten();
        let below = split.checked_sub(1).filter(|end| self.lower > 0 && *end >= self.first);
        upper.or_else(|| self.free_between(self.first, below?.min(self.last), random, also))
    }

    /// Starts somewhere and goes on to the first free number, around the end if need be.
    fn free_between(&self, from: u32, to: u32, random: u64, also: &BTreeSet<u32>) -> Option<u32> {
        let size = u64::from(to).checked_sub(u64::from(from))? + 1;
        let start = from + u32::try_from(random % size).unwrap_or_default();
        self.first_free(start, to, also).or_else(|| self.first_free(from, start.checked_sub(1)?, also))
    }

    fn first_free(&self, from: u32, to: u32, also: &BTreeSet<u32>) -> Option<u32> {
        if from > to {
            return None;
        }
        let mut candidate = from;
        // Only the run of taken numbers right after the start is looked at.
        let mut taken = self.taken.range(from..=to).peekable();
        loop {
            if taken.next_if_eq(&&candidate).is_none() && !also.contains(&candidate) {
                return Some(candidate);
            }
            candidate = candidate.checked_add(1).filter(|c| *c <= to)?;
        }
    }

    /// Notes that somebody has `number`; numbers outside of the range are nobody's.
    pub fn take(&mut self, number: u32) {
        if self.contains(number) {
            self.taken.insert(number);
        }
    }

    pub fn release(&mut self, number: u32) {
        self.taken.remove(&number);
    }

    #[cfg(test)]
    pub fn taken(&self) -> &BTreeSet<u32> {
        &self.taken
    }
}
