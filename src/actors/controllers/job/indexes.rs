//! Sets of completion indexes, kept as the intervals that a job's status writes: `1,3-5,7`.

/// A set of indexes; its intervals rise and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes {
    ranges: Vec<(i64, i64)>,
}

impl Indexes {
    /// Reads a status' text. Indexes from `end` on, and parts that are no intervals, are left out.
    pub fn parse(text: &str, end: i64) -> Indexes {
        let ends = |part: &str| -> Option<(i64, i64)> {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        let known = text.split(',').filter_map(ends).filter(|(first, last)| *first >= 0 && first <= last && *first < end);
        let mut set = Indexes::default();
        set.add_ranges(known.map(|(first, last)| (first, last.min(end - 1))).collect());
        set
    }

    pub fn contains(&self, index: i64) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= index);
        after.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|(_, last)| index <= *last)
    }

    pub fn len(&self) -> i64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// How many indexes both sets have.
    pub fn shared(&self, other: &Indexes) -> i64 {
        let overlap = |a: &(i64, i64), b: &(i64, i64)| (a.1.min(b.1) - a.0.max(b.0) + 1).max(0);
        self.ranges.iter().map(|a| other.ranges.iter().map(|b| overlap(a, b)).sum::<i64>()).sum()
    }

    pub fn extend(&mut self, indexes: impl Iterator<Item = i64>) {
        let more: Vec<(i64, i64)> = indexes.map(|index| (index, index)).collect();
        if !more.is_empty() {
            self.add_ranges(more);
        }
    }

    fn add_ranges(&mut self, mut more: Vec<(i64, i64)>) {
        more.append(&mut self.ranges);
        more.sort_unstable();
        for (first, last) in more {
            match self.ranges.last_mut() {
                Some(open) if first <= open.1 + 1 => open.1 = open.1.max(last),
                _ => self.ranges.push((first, last)),
            }
        }
    }
}

impl std::fmt::Display for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                // Upstream writes two neighbours one by one.
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_sets() {
        let mut set = Indexes::parse("1,3-5,7", 6);
        assert_eq!((set.to_string().as_str(), set.len(), set.contains(4), set.contains(2)), ("1,3-5", 4, true, false));
        set.extend([2, 9, 8, 2].into_iter());
        assert_eq!((set.to_string().as_str(), set.len()), ("1-5,8,9", 7));
        assert_eq!(set.shared(&Indexes::parse("0-2,5-8", 100)), 4);
        assert_eq!(Indexes::parse("", 3).to_string(), "");
    }
}
