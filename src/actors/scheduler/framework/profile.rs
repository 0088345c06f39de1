//! A profile: the plugins that decide about the pods of one `schedulerName`, and at which points.
use super::args::{Given, VolumeBindingArgs};
use super::happening::{Happening, NODE};
use super::registry::{Made, PLUGINS, make};
use super::{Points, Rank, Shared};
use crate::actors::scheduler::cluster::Cluster;
use crate::actors::scheduler::plugins::default_preemption::DefaultPreemption;
use crate::actors::scheduler::plugins::pod_topology_spread::PodTopologySpread;
use crate::actors::scheduler::pod::{PodInfo, SpreadDefaults};
use crate::config::scheduler::{Profile as Said, Scheduler as Settings};
use crate::protocol::status::FieldError;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The scheduler that pods get when they name none.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// Why a profile cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProfileError {
    #[error("scheduler.profiles[{profile}].plugins.{point}: there is no such extension point")]
    Point { profile: usize, point: String },
    #[error("scheduler.profiles[{profile}].{field}: {why}")]
    Plugin { profile: usize, field: String, why: String },
    #[error("scheduler.profiles[{profile}]: {name} has a profile already")]
    Twice { profile: usize, name: String },
    /// A field is not of its type, or there is none of that name.
    #[error("{path}: {why}")]
    Unreadable { path: String, why: String },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Wrong(Vec<FieldError>),
    #[error("scheduler.profiles[{profile}]: {why}")]
    Incomplete { profile: usize, why: &'static str },
}

/// A plugin at its place.
pub struct Slot {
    pub plugin: Shared,
    pub weight: i64,
    pub points: Points,
}

/// See the module.
pub struct Profile {
    pub name: Arc<str>,
    /// The name as the source of events: there are as many as the cluster file has profiles, and they live as long as it.
    pub component: &'static str,
    /// In the order in which they are asked. A plugin's place is its bit in sets of plugins.
    pub plugins: Vec<Slot>,
    /// Per cent of the nodes that are enough to choose from; `None`: fewer the larger the cluster is.
    pub percentage: Option<usize>,
    pub spreads: SpreadDefaults,
    /// How long a pod's volumes may take to be bound.
    pub patience: Duration,
    /// Unless pre-emption is off.
    pub preemption: Option<DefaultPreemption>,
}

impl Profile {
    /// The plugins of one point, with their places.
    pub fn at(&self, point: Points) -> impl Iterator<Item = (usize, &Slot)> {
        self.plugins.iter().enumerate().filter(move |(_, slot)| slot.points.has(point))
    }

    /// Whether the pod may enter the queue.
    pub fn admits(&self, pod: &PodInfo) -> bool {
        self.at(Points::PRE_ENQUEUE).all(|(_, slot)| slot.plugin.pre_enqueue(pod))
    }

    /// When the pod is decided about: smaller is earlier.
    pub fn rank(&self, pod: &PodInfo, number: u64) -> Rank {
        self.at(Points::QUEUE_SORT).next().map_or((0, number), |(_, slot)| slot.plugin.rank(pod, number))
    }

    /// The plugins of a set.
    fn of(&self, set: u32) -> impl Iterator<Item = &Slot> {
        self.plugins.iter().enumerate().filter(move |(at, _)| set & (1 << at) != 0).map(|(_, slot)| slot)
    }

    /// What could turn the refusal of these plugins into a yes. No plugin refuses a pod where there are no nodes: it waits for one.
    pub fn interests(&self, rejected_by: u32) -> u32 {
        if rejected_by == 0 {
            return NODE;
        }
        self.of(rejected_by).fold(0, |all, slot| all | slot.plugin.interests())
    }

    /// Whether something that happened can help a pod that these plugins refused.
    pub fn helps(&self, rejected_by: u32, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        let mask = happening.mask();
        (rejected_by == 0 && mask & NODE != 0)
            || self.of(rejected_by).any(|slot| slot.plugin.interests() & mask != 0 && slot.plugin.helps(pod, happening, cluster))
    }

    /// Upstream's usual profile.
    #[cfg(test)]
    pub fn usual() -> Result<Profile, ProfileError> {
        Profile::make(0, &Said::default(), &Settings::default())
    }

    /// All profiles of the cluster file; the usual one when it has none.
    pub fn all(settings: &Settings) -> Result<Vec<Profile>, ProfileError> {
        let faults = super::checks::faults(settings);
        if !faults.is_empty() {
            return Err(ProfileError::Wrong(faults));
        }
        if settings.profiles.is_empty() {
            return Ok(vec![Profile::make(0, &Said::default(), settings)?]);
        }
        let mut made: Vec<Profile> = Vec::new();
        for (at, said) in settings.profiles.iter().enumerate() {
            let profile = Profile::make(at, said, settings)?;
            if made.iter().any(|p| p.name == profile.name) {
                return Err(ProfileError::Twice { profile: at, name: profile.name.to_string() });
            }
            made.push(profile);
        }
        Ok(made)
    }

    fn make(at: usize, said: &Said, settings: &Settings) -> Result<Profile, ProfileError> {
        let known = |name: &str| PLUGINS.iter().any(|(n, _)| *n == name);
        let nobody = |field: String, name: &str| ProfileError::Plugin { profile: at, field, why: format!("there is no plugin {name}") };
        if let Some((i, config)) = said.plugin_config.iter().enumerate().find(|(_, c)| !known(&c.name)) {
            return Err(nobody(format!("pluginConfig[{i}]"), &config.name));
        }
        let unknown = |point: &&String| *point != "multiPoint" && !Points::NAMED.iter().any(|(n, _)| n == point);
        if let Some(point) = said.plugins.keys().find(unknown) {
            return Err(ProfileError::Point { profile: at, point: point.clone() });
        }
        for (point, set) in &said.plugins {
            if let Some((i, reference)) = set.enabled.iter().enumerate().find(|(_, r)| !known(&r.name)) {
                return Err(nobody(format!("plugins.{point}.enabled[{i}]"), &reference.name));
            }
        }
        let given = |name: &str| {
            let place = said.plugin_config.iter().enumerate().find(|(_, c)| c.name == name);
            place.map_or((&Value::Null, String::new()), |(i, c)| (&c.args, format!("scheduler.profiles[{at}].pluginConfig[{i}].args")))
        };
        let mut plugins = Vec::new();
        for (name, weight) in PLUGINS {
            let (args, path) = given(name);
            plugins.extend(slot(said, name, weight, make(Given { plugin: name, args, path: &path })?));
        }
        let on = |name: &str| plugins.iter().any(|p: &Slot| p.plugin.name() == name);
        let (args, path) = given("PodTopologySpread");
        let spread = PodTopologySpread::new(&Given { plugin: "PodTopologySpread", args, path: &path }.read()?, args);
        let (args, path) = given("DefaultPreemption");
        let preemption = DefaultPreemption::new(&Given { plugin: "DefaultPreemption", args, path: &path }.read()?);
        let (args, path) = given("VolumeBinding");
        let volumes: VolumeBindingArgs = Given { plugin: "VolumeBinding", args, path: &path }.read()?;
        let name = if said.scheduler_name.is_empty() { DEFAULT_SCHEDULER } else { &said.scheduler_name };
        let percentage = said.percentage_of_nodes_to_score.unwrap_or(settings.percentage_of_nodes_to_score);
        let profile = Profile {
            name: name.into(),
            component: if name == DEFAULT_SCHEDULER { DEFAULT_SCHEDULER } else { String::from(name).leak() },
            percentage: usize::try_from(percentage).ok().filter(|p| *p > 0),
            spreads: if on("PodTopologySpread") { spread.defaults } else { SpreadDefaults::default() },
            preemption: on("DefaultPreemption").then_some(preemption),
            patience: Duration::from_secs(u64::try_from(volumes.bind_timeout_seconds).unwrap_or_default()),
            plugins,
        };
        for (point, why) in [(Points::QUEUE_SORT, "no queue sort plugin is enabled"), (Points::BIND, "at least one bind plugin is needed")]
        {
            if profile.at(point).next().is_none() {
                return Err(ProfileError::Incomplete { profile: at, why });
            }
        }
        Ok(profile)
    }
}

/// A plugin with what the file says about its points and weight. `None`: it is off everywhere.
fn slot(said: &Said, name: &str, usual: i64, made: Made) -> Option<Slot> {
    let Made { plugin, mut points } = made;
    let mut weight = usual;
    if let Some(all) = said.plugins.get("multiPoint") {
        if all.disabled.iter().any(|r| r.name == "*" || r.name == name) {
            points = Points::default();
        }
        if let Some(on) = all.enabled.iter().find(|r| r.name == name) {
            points = plugin.points();
            weight = if on.weight > 0 { on.weight.into() } else { weight };
        }
    }
    for (point_name, point) in Points::NAMED {
        let Some(set) = said.plugins.get(point_name) else { continue };
        if set.disabled.iter().any(|r| r.name == "*" || r.name == name) {
            points = points.without(point);
        }
        if let Some(on) = set.enabled.iter().find(|r| r.name == name)
            && plugin.points().has(point)
        {
            points = points.and(point);
            weight = if on.weight > 0 { on.weight.into() } else { weight };
        }
    }
    (points != Points::default()).then(|| Slot { plugin, weight: weight.max(1), points })
}
