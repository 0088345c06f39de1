//! Disruption budgets, as far as pre-emption has to mind them.
use crate::actors::scheduler::demand::Resident;
use crate::actors::scheduler::terms::Selector;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The shelf of PodDisruptionBudgets.
pub const BUDGETS: &str = "poddisruptionbudgets.policy";

#[derive(Debug)]
struct Budget {
    selector: Selector,
    allowed: i64,
    /// Pods whose disruption the budget has counted already.
    disrupted: BTreeSet<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Budgets {
    all: BTreeMap<ObjectKey, Budget>,
}

impl Budgets {
    pub fn set(&mut self, entry: &Entry) {
        let object = entry.parse();
        let status = &object["status"];
        let budget = Budget {
            selector: Selector::parse(&object["spec"]["selector"]),
            allowed: status["disruptionsAllowed"].as_i64().unwrap_or_default(),
            disrupted: status["disruptedPods"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect(),
        };
        self.all.insert(entry.key.clone(), budget);
    }

    pub fn gone(&mut self, key: &ObjectKey) {
        self.all.remove(key);
    }

    /// Parts pods into those whose end would break a budget and the others, in the order given. Each counts on those before it.
    pub fn part<'a>(&self, pods: &[(u32, &'a Resident)]) -> (Vec<(u32, &'a Resident)>, Vec<(u32, &'a Resident)>) {
        let mut left: Vec<(&ObjectKey, &Budget, i64)> = self.all.iter().map(|(key, b)| (key, b, b.allowed)).collect();
        pods.iter().copied().partition(|(_, pod)| {
            let labels = &pod.entry.meta.labels;
            let mut breaks = false;
            for (key, budget, left) in &mut left {
                // Pods without labels are in no budget, as upstream has it.
                let meant = key.namespace == pod.key.namespace && !labels.is_empty() && budget.selector.matches(labels);
                if !meant || budget.disrupted.contains(&*pod.key.name) {
                    continue;
                }
                *left -= 1;
                breaks |= *left < 0;
            }
            breaks
        })
    }
}
