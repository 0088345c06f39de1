//! What happens in the cluster, brought into the scheduler's model and queue.
use super::Scheduler;
use crate::actors::controllers::feed::Change;
use crate::actors::scheduler::cluster::Cluster;
use crate::actors::scheduler::cluster::budgets::BUDGETS;
use crate::actors::scheduler::cluster::devices;
use crate::actors::scheduler::cluster::storage::{CAPACITIES, CLAIMS, CLASSES, CSI_DRIVERS, CSI_NODES, VOLUMES};
use crate::actors::scheduler::demand::Resident;
use crate::actors::scheduler::framework::happening::Happening;
use crate::actors::scheduler::pod::PodInfo;
use crate::actors::scheduler::queue::Queue;
use crate::protocol::light::{Light, PodLight};
use crate::storage::entry::Entry;
use std::sync::Arc;
use std::time::Instant;

/// What the scheduler follows, in the order in which it is read.
pub const SHELVES: [&str; 14] = [
    "namespaces",
    "services",
    CLASSES,
    CSI_DRIVERS,
    CSI_NODES,
    CAPACITIES,
    VOLUMES,
    CLAIMS,
    devices::CLASSES,
    devices::SLICES,
    devices::CLAIMS,
    BUDGETS,
    "nodes",
    "pods",
];

impl Scheduler {
    /// Everything anew, from the snapshots. Binds under way keep their room.
    pub(super) fn read(&mut self) {
        let promised = std::mem::take(&mut self.cluster.devices.promised);
        self.cluster = Cluster::default();
        self.cluster.devices.promised = promised;
        self.queue = Queue::new(self.rules.pauses);
        for kind in SHELVES {
            if kind == "pods" {
                let under_way = self.binding.values().chain(self.unready.values().map(|waiting| &waiting.assumed));
                for assumed in under_way.cloned().collect::<Vec<_>>() {
                    self.cluster.place(assumed.pod.resident.clone(), &assumed.node);
                }
            }
            for entry in self.source.list(kind, None) {
                self.changed(&Change { kind: kind.into(), revision: entry.revision, entry, deleted: false });
            }
        }
        self.happened.clear();
        self.stirred = true;
    }

    pub(super) fn take_in(&mut self, changes: &[Change]) {
        for change in changes {
            self.changed(change);
        }
    }

    fn changed(&mut self, change: &Change) {
        let (entry, deleted) = (&change.entry, change.deleted);
        match &*change.kind {
            "pods" => self.pod_changed(entry, deleted),
            "nodes" if deleted => {
                self.cluster.node_gone(&entry.key.name);
                self.stirred = true;
            }
            "nodes" => {
                let delta = self.cluster.node_set(entry);
                if let Some(slot) = self.cluster.slot(&entry.key.name).filter(|_| delta.any()) {
                    self.happened.push(Happening::Node { slot, delta });
                }
            }
            "services" => self.kin.service(entry, deleted),
            "namespaces" => {
                let labels = (!deleted).then_some(&*entry.meta.labels);
                if self.cluster.namespace(&entry.key.name, labels) {
                    self.happened.push(Happening::Namespace);
                }
            }
            BUDGETS if deleted => self.cluster.budgets.gone(&entry.key),
            BUDGETS => self.cluster.budgets.set(entry),
            devices::CLASSES | devices::SLICES | devices::CLAIMS => self.devices_changed(change),
            shelf => self.storage_changed(shelf, entry, deleted),
        }
    }

    fn storage_changed(&mut self, shelf: &str, entry: &Entry, deleted: bool) {
        let Some(shelf) = SHELVES.into_iter().find(|s| *s == shelf) else { return };
        if deleted {
            self.cluster.storage.gone(shelf, &entry.key);
        } else if !self.cluster.storage.set(shelf, entry) {
            return;
        }
        // A volume or claim that is gone helps nobody; a driver that is gone counts nothing any more.
        let helps = !deleted || matches!(shelf, CSI_DRIVERS | CSI_NODES);
        self.cluster.touched();
        self.stirred = true;
        if helps {
            self.happened.push(Happening::Storage { shelf, key: entry.key.clone() });
        }
    }

    fn devices_changed(&mut self, change: &Change) {
        let Some(shelf) = SHELVES.into_iter().find(|s| *s == &*change.kind) else { return };
        let (devices, key) = (&mut self.cluster.devices, &change.entry.key);
        let had = shelf == devices::CLAIMS && devices.has_some(key);
        if change.deleted {
            devices.gone(shelf, key);
        } else {
            devices.set(shelf, &change.entry);
        }
        let freed = had && !devices.has_some(key);
        self.cluster.touched();
        self.stirred = true;
        if freed || !change.deleted {
            self.happened.push(Happening::Devices { shelf, key: key.clone(), freed });
        }
    }

    pub(super) fn pod_changed(&mut self, entry: &Arc<Entry>, deleted: bool) {
        let Light::Pod(light) = &entry.light else { return };
        if deleted || light.phase.finished() {
            self.dismiss(entry);
            self.queue.remove(&entry.key);
            self.cluster.denominate(&entry.key);
            if let Some((slot, pod)) = self.cluster.forget(&entry.key, Some(&entry.meta.uid)) {
                self.happened.push(Happening::PodLeft { slot, pod: Box::new(pod) });
            }
        } else if !light.node.is_empty() {
            self.dismiss(entry);
            self.queue.remove(&entry.key);
            self.cluster.denominate(&entry.key);
            self.placed(entry, light);
        } else {
            self.waiting(entry, light);
        }
    }

    /// A pod is on a node.
    fn placed(&mut self, entry: &Arc<Entry>, light: &PodLight) {
        let pod = match self.cluster.known(entry, &light.node) {
            Some(known) if known.entry.meta.labels == entry.meta.labels => return self.cluster.renew(entry),
            Some(known) => Some(Resident { entry: entry.clone(), ..known.clone() }),
            None => Resident::read(entry, self.cluster.extended()),
        };
        let before = self.cluster.forget(&entry.key, None);
        let Some(pod) = pod else { return };
        self.cluster.place(pod.clone(), &light.node);
        let Some(slot) = self.cluster.slot(&light.node) else { return };
        if let Some((slot, before)) = before {
            self.happened.push(Happening::PodLeft { slot, pod: Box::new(before) });
        }
        self.happened.push(Happening::PodCame { slot, pod: Box::new(pod) });
    }

    /// A pod has no node.
    fn waiting(&mut self, entry: &Arc<Entry>, light: &PodLight) {
        let profile = self.rules.profiles.iter().position(|p| p.name == light.scheduler);
        let Some(profile) = profile.filter(|_| entry.meta.deleting.is_none()) else {
            self.queue.remove(&entry.key);
            return self.cluster.denominate(&entry.key);
        };
        // What is being bound says so itself soon; its older states don't matter.
        if self.cluster.holds(&entry.key, &entry.meta.uid) {
            return;
        }
        let Some(rules) = self.rules.profiles.get(profile) else { return };
        let kin = if rules.spreads.constraints.is_empty() { Default::default() } else { self.kin.selector(entry, &*self.source) };
        if let Some(pod) = PodInfo::parse(entry, &kin, &rules.spreads) {
            let pod = Arc::new(pod);
            let known = self.queue.get(&entry.key).is_some_and(|known| known.nominated == pod.nominated && known.uid == pod.uid);
            if !known {
                self.cluster.nominate(&pod, pod.nominated.as_deref());
            }
            self.queue.put(pod, profile, &self.rules.profiles, Instant::now());
        }
    }
}
