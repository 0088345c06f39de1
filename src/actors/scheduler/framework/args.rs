//! The arguments of plugins, as `pluginConfig` of a profile has them: upstream's `<Name>Args`, its defaults and its rules.
use super::profile::ProfileError;
use crate::protocol::names;
use crate::protocol::status::FieldError;
use crate::protocol::validation::node_selector::{node_selector, node_selector_term};
use crate::protocol::validation::{invalid_each, items};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Upstream's group and version of its configuration.
pub const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";

/// The arguments of one plugin, and where they stand in the cluster file.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    pub plugin: &'a str,
    pub args: &'a Value,
    pub path: &'a str,
}

/// Arguments that can be checked beyond their form.
pub trait Arguments: DeserializeOwned + Default {
    fn faults(&self, path: &str) -> Vec<FieldError>;
}

impl Given<'_> {
    /// The arguments, read and checked; the default ones when there are none.
    pub fn read<T: Arguments>(self) -> Result<T, ProfileError> {
        let Value::Object(fields) = self.args else {
            return match self.args {
                Value::Null => Ok(T::default()),
                _ => Err(self.unreadable("", "has to match plugin args".into())),
            };
        };
        let mut fields = fields.clone();
        let kind = format!("{}Args", self.plugin);
        for (field, want) in [("apiVersion", API_VERSION), ("kind", &*kind)] {
            if let Some(said) = fields.remove(field).filter(|said| said != want) {
                return Err(ProfileError::Wrong(vec![FieldError::not_supported(format!("{}.{field}", self.path), said, &[want])]));
            }
        }
        let read: T = serde_path_to_error::deserialize(Value::Object(fields)).map_err(|e| {
            let at = e.path().to_string();
            self.unreadable(if at == "." { "" } else { &at }, e.inner().to_string())
        })?;
        match read.faults(self.path) {
            faults if faults.is_empty() => Ok(read),
            faults => Err(ProfileError::Wrong(faults)),
        }
    }

    /// For plugins that have none.
    pub fn none(self) -> Result<(), ProfileError> {
        self.read::<NoArgs>().map(drop)
    }

    fn unreadable(self, at: &str, why: String) -> ProfileError {
        let dot = if at.is_empty() { "" } else { "." };
        ProfileError::Unreadable { path: format!("{}{dot}{at}", self.path), why }
    }
}

/// A value that has to be within two others.
fn within(path: String, value: impl Into<i64>, from: i64, to: i64) -> Option<FieldError> {
    let value = value.into();
    (value < from || value > to).then(|| FieldError::invalid(path, value, format!("not in valid range [{from}, {to}]")))
}

/// No arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoArgs {}

impl Arguments for NoArgs {
    fn faults(&self, _path: &str) -> Vec<FieldError> {
        Vec::new()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DefaultPreemptionArgs {
    pub min_candidate_nodes_percentage: i32,
    pub min_candidate_nodes_absolute: i32,
}

impl Default for DefaultPreemptionArgs {
    fn default() -> Self {
        DefaultPreemptionArgs { min_candidate_nodes_percentage: 10, min_candidate_nodes_absolute: 100 }
    }
}

impl Arguments for DefaultPreemptionArgs {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let (percentage, absolute) = (self.min_candidate_nodes_percentage, self.min_candidate_nodes_absolute);
        let (at_percentage, at_absolute) = (format!("{path}.minCandidateNodesPercentage"), format!("{path}.minCandidateNodesAbsolute"));
        let mut faults: Vec<FieldError> = within(at_percentage.clone(), percentage, 0, 100).into_iter().collect();
        if absolute < 0 {
            faults.push(FieldError::invalid(at_absolute.clone(), absolute, "not in valid range [0, inf)"));
        }
        if percentage == 0 && absolute == 0 {
            faults.push(FieldError::invalid(at_percentage, 0, "cannot be zero at the same time as minCandidateNodesAbsolute"));
            faults.push(FieldError::invalid(at_absolute, 0, "cannot be zero at the same time as minCandidateNodesPercentage"));
        }
        faults
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct InterPodAffinityArgs {
    pub hard_pod_affinity_weight: i32,
    pub ignore_preferred_terms_of_existing_pods: bool,
}

impl Default for InterPodAffinityArgs {
    fn default() -> Self {
        InterPodAffinityArgs { hard_pod_affinity_weight: 1, ignore_preferred_terms_of_existing_pods: false }
    }
}

impl Arguments for InterPodAffinityArgs {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        within(format!("{path}.hardPodAffinityWeight"), self.hard_pod_affinity_weight, 0, 100).into_iter().collect()
    }
}

/// A resource and its weight; 0 and none count as 1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResourceSpec {
    pub name: String,
    #[serde(default)]
    pub weight: i64,
}

/// A point of a function that turns utilisation (per cent) into a score (up to 10).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ShapePoint {
    pub utilization: i32,
    pub score: i32,
}

fn shape_faults(shape: &[ShapePoint], path: &str) -> Vec<FieldError> {
    if shape.is_empty() {
        return vec![FieldError::required(path, "at least one point must be specified")];
    }
    let mut faults = Vec::new();
    let pairs = shape.iter().zip(shape.iter().skip(1)).enumerate();
    if let Some((at, (_, later))) = pairs.into_iter().find(|(_, (a, b))| a.utilization >= b.utilization) {
        let field = format!("{path}[{}].utilization", at + 1);
        faults.push(FieldError::invalid(field, later.utilization, "values must be sorted in increasing order"));
    }
    for (at, point) in shape.iter().enumerate() {
        faults.extend(within(format!("{path}[{at}].utilization"), point.utilization, 0, 100));
        faults.extend(within(format!("{path}[{at}].score"), point.score, 0, 10));
    }
    faults
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct NodeResourcesFitArgs {
    pub ignored_resources: Vec<String>,
    pub ignored_resource_groups: Vec<String>,
    pub scoring_strategy: Option<ScoringStrategy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ScoringStrategy {
    #[serde(rename = "type")]
    pub sort: String,
    pub resources: Vec<ResourceSpec>,
    pub requested_to_capacity_ratio: Option<RequestedToCapacityRatio>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RequestedToCapacityRatio {
    pub shape: Vec<ShapePoint>,
}

/// The name of the strategy that has a shape.
pub const BY_SHAPE: &str = "RequestedToCapacityRatio";

impl Arguments for NodeResourcesFitArgs {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for (at, name) in self.ignored_resources.iter().enumerate() {
            faults.extend(invalid_each(&format!("{path}.ignoredResources[{at}]"), name, names::qualified_name(name)));
        }
        for (at, group) in self.ignored_resource_groups.iter().enumerate() {
            let path = format!("{path}.ignoredResourceGroups[{at}]");
            if group.contains('/') {
                faults.push(FieldError::invalid(path.clone(), group.as_str(), "resource group name can't contain '/'"));
            }
            faults.extend(invalid_each(&path, group, names::qualified_name(group)));
        }
        if let Some(strategy) = &self.scoring_strategy {
            faults.extend(strategy.faults(&format!("{path}.scoringStrategy")));
        }
        faults
    }
}

impl ScoringStrategy {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let known = ["LeastAllocated", "MostAllocated", BY_SHAPE];
        if !known.contains(&self.sort.as_str()) {
            faults.push(FieldError::not_supported(format!("{path}.type"), self.sort.as_str(), &known));
        }
        for (at, resource) in self.resources.iter().enumerate().filter(|(_, r)| r.weight < 0 || r.weight > 100) {
            let why = format!("resource weight of {} not in valid range (0, 100]", resource.name);
            faults.push(FieldError::invalid(format!("{path}.resources[{at}].weight"), resource.weight, why));
        }
        let field = format!("{path}.requestedToCapacityRatio");
        match &self.requested_to_capacity_ratio {
            None if self.sort == BY_SHAPE => {
                faults.push(FieldError::required(field, "must be specified when type is RequestedToCapacityRatio"))
            }
            Some(_) if self.sort != BY_SHAPE => {
                faults.push(FieldError::forbidden(field, "must be nil when type is not RequestedToCapacityRatio"))
            }
            Some(ratio) => faults.extend(shape_faults(&ratio.shape, &format!("{field}.shape"))),
            None => {}
        }
        faults
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct BalancedAllocationArgs {
    pub resources: Vec<ResourceSpec>,
}

impl Arguments for BalancedAllocationArgs {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for (at, resource) in self.resources.iter().enumerate() {
            if self.resources.iter().take(at).any(|before| before.name == resource.name) {
                faults.push(FieldError::duplicate(format!("{path}.resources[{at}].name"), resource.name.as_str()));
            }
            if !matches!(resource.weight, 0 | 1) {
                faults.push(FieldError::invalid(format!("{path}.resources[{at}].weight"), resource.weight, "must be 1"));
            }
        }
        faults
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct PodTopologySpreadArgs {
    pub default_constraints: Vec<Constraint>,
    /// `System` (also when empty) or `List`.
    pub defaulting_type: String,
}

/// A constraint as a pod has it; what selects is not said, for that depends on the pod.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Constraint {
    pub max_skew: i32,
    pub topology_key: String,
    pub when_unsatisfiable: String,
    pub label_selector: Option<Value>,
    pub min_domains: Option<i32>,
    pub node_affinity_policy: Option<String>,
    pub node_taints_policy: Option<String>,
    pub match_label_keys: Option<Vec<String>>,
}

impl Arguments for PodTopologySpreadArgs {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let (mut faults, sort) = (Vec::new(), self.defaulting_type.as_str());
        if !matches!(sort, "" | "System" | "List") {
            faults.push(FieldError::not_supported(format!("{path}.defaultingType"), sort, &["System", "List"]));
        } else if sort != "List" && !self.default_constraints.is_empty() {
            faults.push(FieldError::invalid(format!("{path}.defaultingType"), "System", "when .defaultConstraints are not empty"));
        }
        for (at, constraint) in self.default_constraints.iter().enumerate() {
            let path = format!("{path}.defaultConstraints[{at}]");
            faults.extend(constraint.faults(&path));
            let pair = |c: &Constraint| (c.topology_key.clone(), c.when_unsatisfiable.clone());
            if self.default_constraints.iter().take(at).any(|before| pair(before) == pair(constraint)) {
                faults.push(FieldError::duplicate(path, format!("{{{}, {}}}", constraint.topology_key, constraint.when_unsatisfiable)));
            }
        }
        faults
    }
}

impl Constraint {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if self.max_skew <= 0 {
            faults.push(FieldError::invalid(format!("{path}.maxSkew"), self.max_skew, "not in valid range (0, inf)"));
        }
        let key = format!("{path}.topologyKey");
        if self.topology_key.is_empty() {
            faults.push(FieldError::required(key, "can not be empty"));
        } else {
            faults.extend(invalid_each(&key, &self.topology_key, names::qualified_name(&self.topology_key)));
        }
        match self.when_unsatisfiable.as_str() {
            "DoNotSchedule" | "ScheduleAnyway" => {}
            "" => faults.push(FieldError::required(format!("{path}.whenUnsatisfiable"), "can not be empty")),
            other => {
                faults.push(FieldError::not_supported(format!("{path}.whenUnsatisfiable"), other, &["DoNotSchedule", "ScheduleAnyway"]));
            }
        }
        if self.label_selector.is_some() {
            let why = "constraint must not define a selector, as they deduced for each pod";
            faults.push(FieldError::forbidden(format!("{path}.labelSelector"), why));
        }
        faults
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct NodeAffinityArgs {
    pub added_affinity: Option<AddedAffinity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddedAffinity {
    /// A `NodeSelector`.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Value,
    /// Of `PreferredSchedulingTerm`s.
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Value,
}

impl Arguments for NodeAffinityArgs {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let Some(AddedAffinity { required, preferred }) = &self.added_affinity else { return Vec::new() };
        let (at, mut faults) = (format!("{path}.addedAffinity"), Vec::new());
        let field = format!("{at}.requiredDuringSchedulingIgnoredDuringExecution");
        if !required.is_null() {
            faults.extend(unknown(required, &field, &["nodeSelectorTerms"]));
            faults.extend(node_selector(required, &field));
            items(required, &field, "nodeSelectorTerms").for_each(|(path, term)| faults.extend(term_faults(term, &path)));
        }
        let wrapped = serde_json::json!({ "preferredDuringSchedulingIgnoredDuringExecution": preferred });
        for (path, wish) in items(&wrapped, &at, "preferredDuringSchedulingIgnoredDuringExecution") {
            faults.extend(unknown(wish, &path, &["weight", "preference"]));
            let weight = wish["weight"].as_i64().unwrap_or_default();
            if !(1..=100).contains(&weight) {
                faults.push(FieldError::invalid(format!("{path}.weight"), wish["weight"].clone(), "must be in the range 1-100"));
            }
            let path = format!("{path}.preference");
            node_selector_term(&wish["preference"], &path, false, &mut faults);
            faults.extend(term_faults(&wish["preference"], &path));
        }
        faults
    }
}

/// Fields of a term, and of its requirements, that there are not.
fn term_faults(term: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = unknown(term, path, &["matchExpressions", "matchFields"]);
    for list in ["matchExpressions", "matchFields"] {
        items(term, path, list).for_each(|(path, one)| faults.extend(unknown(one, &path, &["key", "operator", "values"])));
    }
    faults
}

fn unknown(value: &Value, path: &str, known: &[&str]) -> Vec<FieldError> {
    let Some(fields) = value.as_object() else { return vec![FieldError::invalid(path, value.clone(), "must be an object")] };
    let others = fields.keys().filter(|field| !known.contains(&field.as_str()));
    others.map(|field| FieldError::forbidden(format!("{path}.{field}"), "unknown field")).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct VolumeBindingArgs {
    pub bind_timeout_seconds: i64,
    pub shape: Option<Vec<ShapePoint>>,
}

impl Default for VolumeBindingArgs {
    fn default() -> Self {
        VolumeBindingArgs { bind_timeout_seconds: 600, shape: None }
    }
}

impl Arguments for VolumeBindingArgs {
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if self.bind_timeout_seconds < 0 {
            let why = "invalid BindTimeoutSeconds, should not be a negative value";
            faults.push(FieldError::invalid(format!("{path}.bindTimeoutSeconds"), self.bind_timeout_seconds, why));
        }
        if self.shape.is_some() {
            let why = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring";
            faults.push(FieldError::forbidden(format!("{path}.shape"), why));
        }
        faults
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DynamicResourcesArgs {
    pub filter_timeout: Option<String>,
    pub binding_timeout: Option<String>,
}

impl Arguments for DynamicResourcesArgs {
    /// The search for devices is bounded by its steps, not by time; devices with binding conditions are refused.
    fn faults(&self, path: &str) -> Vec<FieldError> {
        let off = [
            ("filterTimeout", &self.filter_timeout, "DRASchedulingFilterTimeout feature gate is disabled"),
            (
                "bindingTimeout",
                &self.binding_timeout,
                "DRADeviceBindingConditions or DRAResourceClaimDeviceStatus feature gate is disabled",
            ),
        ];
        off.into_iter()
            .filter(|(_, said, _)| said.is_some())
            .map(|(name, _, why)| FieldError::forbidden(format!("{path}.{name}"), why))
            .collect()
    }
}
