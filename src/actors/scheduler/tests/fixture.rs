//! A stage for decisions: nodes and pods put into the model by hand.
use crate::actors::controllers::testing::{Model, mk_node, mk_pod};
use crate::actors::scheduler::cluster::Cluster;
use crate::actors::scheduler::decide::{Decision, Outcome, Search, decide};
use crate::actors::scheduler::framework::happening::Happening;
use crate::actors::scheduler::framework::profile::Profile;
use crate::actors::scheduler::pod::PodInfo;
use crate::config::scheduler::Scheduler as Settings;
use crate::storage::Entry;
use serde_json::{Value, json};
use std::sync::Arc;

/// See the module.
pub struct Stage {
    pub model: Model,
    pub cluster: Cluster,
    pub profile: Profile,
    pub search: Search,
}

impl Stage {
    /// The usual profile; the nodes have 4 CPUs, 8 GiB and 10 pods each and are in zone z1 or z2 by turns.
    pub fn new(nodes: usize) -> Stage {
        let mut stage = Stage::of(Profile::usual().unwrap());
        for at in 0..nodes {
            let mut node = mk_node(&format!("n{at}"), "4", "8Gi", 10);
            node["metadata"]["labels"]["topology.kubernetes.io/zone"] = format!("z{}", at % 2 + 1).into();
            stage.node(node);
        }
        stage
    }

    /// Without nodes.
    pub fn of(profile: Profile) -> Stage {
        Stage { model: Model::default(), cluster: Cluster::default(), profile, search: Search::default() }
    }

    /// With the profile that a cluster file's `scheduler:` describes.
    pub fn configured(yaml: &str) -> Stage {
        let settings: Settings = serde_yaml::from_str(yaml).unwrap();
        Stage::of(Profile::all(&settings).unwrap().remove(0))
    }

    pub fn node(&mut self, node: Value) -> &mut Self {
        let entry = self.model.put("nodes", node);
        self.cluster.node_set(&entry);
        self
    }

    /// Changes the spec of a node.
    pub fn spec(&mut self, name: &str, spec: Value) -> &mut Self {
        let key = crate::protocol::meta::ObjectKey::new("", name);
        // The model holds nodes as the builders make them: without a namespace.
        let entry = self.model.edit("nodes", &key, json!({ "spec": spec }));
        self.cluster.node_set(&entry);
        self
    }

    pub fn object(&mut self, shelf: &str, object: Value) -> &mut Self {
        let entry = self.model.put(shelf, object);
        self.cluster.storage.set(shelf, &entry);
        self.cluster.devices.set(shelf, &entry);
        self
    }

    pub fn entry(&self, object: Value) -> Arc<Entry> {
        self.model.put("pods", object)
    }

    pub fn info(&self, object: Value) -> PodInfo {
        PodInfo::parse(&self.entry(object), &Value::Null, &self.profile.spreads).unwrap()
    }

    /// A pod runs on a node.
    pub fn on(&mut self, node: &str, object: Value) -> &mut Self {
        let resident = self.info(object).resident;
        self.cluster.place(resident, &node.into());
        self
    }

    pub fn decision(&mut self, pod: &PodInfo) -> Decision {
        decide(pod, &mut self.cluster, &self.profile, &mut self.search)
    }

    /// The node chosen, or the first sentence of the message.
    pub fn outcome(&mut self, object: Value) -> String {
        let pod = self.info(object);
        match self.decision(&pod).outcome {
            Outcome::Node { slot } => self.cluster.nodes()[slot].name.to_string(),
            Outcome::Unschedulable { message, .. } => message.split_once(". ").map(|(first, _)| format!("{first}.")).unwrap_or(message),
        }
    }

    /// Every node that would do, sorted.
    pub fn feasible(&mut self, object: Value) -> Vec<String> {
        use crate::actors::scheduler::decide::Filters;
        use crate::actors::scheduler::framework::state::State;
        let pod = self.info(object);
        self.cluster.prepare(&pod);
        let mut state = State::default();
        let filters = Filters::of(&self.profile, &pod, &self.cluster, &mut state);
        let slots = self.cluster.nodes().iter().enumerate().filter(|(slot, node)| {
            let allowed = filters.refused.is_none() && filters.only.as_ref().is_none_or(|(only, _)| only.contains(slot));
            allowed && filters.refuses(&pod, *slot, node, &self.cluster, &state).is_none()
        });
        slots.map(|(_, node)| node.name.to_string()).collect()
    }

    /// The score that one plugin gives each node, normalised.
    pub fn scores(&mut self, plugin: &str, object: Value) -> Vec<i64> {
        use crate::actors::scheduler::framework::state::State;
        let pod = self.info(object);
        self.cluster.prepare(&pod);
        let plugin = &self.profile.plugins.iter().find(|p| p.plugin.name() == plugin).unwrap().plugin;
        let (mut state, slots): (State, Vec<usize>) = (State::default(), (0..self.cluster.nodes().len()).collect());
        if !plugin.pre_score(&pod, &slots, &self.cluster, &mut state) {
            return vec![0; slots.len()];
        }
        let score = |slot: &usize| plugin.score(&pod, *slot, &self.cluster.nodes()[*slot], &self.cluster, &state);
        let mut scores: Vec<i64> = slots.iter().map(score).collect();
        plugin.normalise(&mut scores, &slots, &state);
        scores
    }

    /// Whether a plugin takes something that happened for a help to the pod.
    pub fn helps(&mut self, plugin: &str, object: Value, happening: &Happening) -> bool {
        let pod = self.info(object);
        self.cluster.prepare(&pod);
        let at = self.profile.plugins.iter().position(|p| p.plugin.name() == plugin).unwrap();
        self.profile.helps(1 << at, &pod, happening, &self.cluster)
    }
}

/// A pod with labels and more in its spec.
pub fn pod(name: &str, labels: Value, spec: Value) -> Value {
    let mut object = mk_pod(name, labels);
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

/// The part of a spec that asks for cpu.
pub fn cpu(amount: &str) -> Value {
    json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": amount, "memory": "64Mi"}}}]})
}

/// The same with a priority.
pub fn ranked(amount: &str, priority: i32) -> Value {
    let mut spec = cpu(amount);
    spec["priority"] = priority.into();
    spec
}

/// A term about pods with a label `app`.
pub fn term(app: &str, key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
}
