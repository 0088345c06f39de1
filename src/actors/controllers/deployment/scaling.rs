//! How many replicas each replica set of a Deployment shall have.
use super::rollout::Rollout;

impl Rollout<'_> {
    /// Sets one set's size and records the Deployment's; true when it changes.
    fn resize(&mut self, at: usize, replicas: i64) -> bool {
        let (wanted, surge) = (self.wanted, self.surge);
        let Some(set) = self.sets.get_mut(at) else { return false };
        set.note_size(wanted, wanted + surge);
        let before = std::mem::replace(&mut set.replicas, replicas);
        if before == replicas {
            return false;
        }
        let direction = if before < replicas { "up" } else { "down" };
        let name = set.name().to_string();
        self.notes.push(format!("Scaled {direction} replica set {name} from {before} to {replicas}"));
        true
    }

    fn size(&self, at: usize) -> i64 {
        self.sets.get(at).map_or(0, |set| set.replicas)
    }

    fn active(&self) -> Vec<usize> {
        (0..self.sets.len()).filter(|at| self.size(*at) > 0).collect()
    }

    /// How many available pods a set will have left. What it says of itself may be from before it was told to shrink.
    fn available(&self, at: usize) -> i64 {
        self.sets.get(at).map_or(0, |set| set.status("availableReplicas").min(set.replicas))
    }

    /// Whether the Deployment was resized since its sets were sized.
    pub fn resized(&self) -> bool {
        self.active().into_iter().filter_map(|at| self.sets.get(at)?.desired()).any(|desired| desired != self.wanted)
    }

    /// Fits the sets to the Deployment's size outside of a rollout's steps: one set alone takes it all; several, in the
    /// middle of a rollout, share the difference by their sizes, so that a bad new template does not get it all.
    pub fn scale(&mut self) {
        let active = self.active();
        let lone = match active.as_slice() {
            [] => self.new.or_else(|| self.sets.len().checked_sub(1)),
            [one] => Some(*one),
            _ => None,
        };
        if let Some(at) = lone {
            self.resize(at, self.wanted);
            return;
        }
        if self.saturated() {
            for at in self.old().filter(|at| active.contains(at)).collect::<Vec<_>>() {
                self.resize(at, 0);
            }
            // A new set of the right size says so too, or the Deployment would count as resized for ever.
            self.fill_new();
            return;
        }
        if !self.recreates() {
            self.share_out(active);
        }
    }

    /// The new set has all its pods, and they are available.
    fn saturated(&self) -> bool {
        let Some(set) = self.new.and_then(|at| self.sets.get(at)) else { return false };
        set.replicas == self.wanted && set.desired() == Some(self.wanted) && set.status("availableReplicas") == self.wanted
    }

    fn share_out(&mut self, mut active: Vec<usize>) {
        let allowed = if self.wanted > 0 { self.wanted + self.surge } else { 0 };
        let to_add = allowed - active.iter().map(|at| self.size(*at)).sum::<i64>();
        // The largest first; among equals the newest grows first, and the oldest shrinks first.
        if to_add > 0 {
            active.reverse();
        }
        active.sort_by_key(|at| -self.size(*at));
        let mut added = 0;
        let mut sizes: Vec<(usize, i64)> = Vec::new();
        for at in active {
            let share = self.proportion(at, to_add, added);
            added += share;
            sizes.push((at, self.size(at) + share));
        }
        for (index, (at, size)) in sizes.into_iter().enumerate() {
            let leftover = if index == 0 { to_add - added } else { 0 };
            self.resize(at, (size + leftover).max(0));
        }
    }

    /// What one set gets of `to_add`, of which `added` is given away already.
    fn proportion(&self, at: usize, to_add: i64, added: i64) -> i64 {
        if to_add == 0 || to_add == added {
            return 0;
        }
        let (share, rest) = (self.fraction(at), to_add - added);
        if to_add > 0 { share.min(rest) } else { share.max(rest) }
    }

    fn fraction(&self, at: usize) -> i64 {
        let size = self.size(at);
        if self.wanted == 0 {
            return -size;
        }
        let Some(set) = self.sets.get(at) else { return 0 };
        let recorded = set.largest().filter(|l| *l > 0);
        let before = recorded.or_else(|| self.object["status"]["replicas"].as_i64()).unwrap_or_default();
        if before <= 0 {
            return 0;
        }
        // Rounded to the nearest; halves away from zero.
        let scaled = size.saturating_mul(self.wanted + self.surge);
        (2 * scaled + before).div_euclid(2 * before) - size
    }

    /// The size that a new set of `now` pods may have beside the others.
    pub fn room_for_new(&self, now: i64) -> i64 {
        let room = self.wanted + self.surge - self.total(|set| set.replicas);
        if room <= 0 { now } else { now + room.min(self.wanted - now) }
    }

    /// A rolling step up; true when something changes.
    pub fn grow_new(&mut self) -> bool {
        let Some(at) = self.new else { return false };
        let size = self.size(at);
        let target = if size > self.wanted { self.wanted } else { self.room_for_new(size) };
        self.resize(at, target)
    }

    /// A rolling step down: first what is broken anyway, then as much as may be unavailable; true when something changes.
    pub fn shrink_old(&mut self) -> bool {
        let old: Vec<usize> = self.old().filter(|at| self.size(*at) > 0).collect();
        let Some(new) = self.new.filter(|_| !old.is_empty()) else { return false };
        let least = self.wanted - self.unavailable;
        let missing = self.size(new) - self.available(new);
        let most = self.total(|set| set.replicas) - least - missing;
        if most <= 0 {
            return false;
        }
        let mut taken = 0;
        for at in &old {
            let broken = (self.size(*at) - self.available(*at)).min(most - taken);
            if broken > 0 {
                taken += broken;
                self.resize(*at, self.size(*at) - broken);
            }
        }
        let spare = (0..self.sets.len()).map(|at| self.available(at)).sum::<i64>() - least;
        let mut scaled = 0;
        for at in &old {
            let step = self.size(*at).min(spare - scaled);
            if step > 0 {
                scaled += step;
                self.resize(*at, self.size(*at) - step);
            }
        }
        taken + scaled > 0
    }

    /// Scales every old set to nothing; true when something changes.
    pub fn empty_old(&mut self) -> bool {
        let old: Vec<usize> = self.old().filter(|at| self.size(*at) > 0).collect();
        let mut changed = false;
        for at in old {
            changed |= self.resize(at, 0);
        }
        changed
    }

    /// Whether pods of old sets are there still, those on their way out included.
    pub fn old_pods_run(&self) -> bool {
        let over = |at: usize| self.sets.get(at).is_some_and(|set| set.spent() && set.status("terminatingReplicas") == 0);
        self.old().any(|at| !over(at))
    }

    pub fn fill_new(&mut self) -> bool {
        self.new.is_some_and(|at| self.resize(at, self.wanted))
    }
}
