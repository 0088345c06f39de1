//! What the cluster file can say, and how a mistake is told.
use crate::actors::scheduler::framework::Points;
use crate::actors::scheduler::framework::profile::Profile;
use crate::config::scheduler::Scheduler as Settings;
use std::time::Duration;

fn profiles(yaml: &str) -> Result<Vec<Profile>, String> {
    let settings: Settings = serde_yaml::from_str(yaml).map_err(|e| e.to_string())?;
    Profile::all(&settings).map_err(|e| e.to_string())
}

fn weights(profile: &Profile) -> Vec<(&str, i64)> {
    profile.at(Points::SCORE).map(|(_, p)| (p.plugin.name(), p.weight)).collect()
}

#[test]
fn the_usual_weights() {
    let usual = profiles("{}").unwrap();
    assert_eq!(
        weights(&usual[0]),
        [
            ("TaintToleration", 3),
            ("NodeAffinity", 2),
            ("NodeResourcesFit", 1),
            ("PodTopologySpread", 2),
            ("InterPodAffinity", 2),
            ("NodeResourcesBalancedAllocation", 1),
            ("ImageLocality", 1),
        ]
    );
    assert_eq!(&*usual[0].name, "default-scheduler");
}

#[test]
fn points_and_weights_can_be_changed() {
    let changed = profiles(
        "profiles: [{schedulerName: s, percentageOfNodesToScore: 70, plugins: {multiPoint: {disabled: [{name: ImageLocality}], enabled: [{name: NodeAffinity, weight: 7}]}, \
         score: {disabled: [{name: PodTopologySpread}], enabled: [{name: TaintToleration, weight: 9}]}, postFilter: {disabled: [{name: '*'}]}}}]",
    )
    .unwrap();
    let profile = &changed[0];
    assert_eq!(
        weights(profile),
        [
            ("TaintToleration", 9),
            ("NodeAffinity", 7),
            ("NodeResourcesFit", 1),
            ("InterPodAffinity", 2),
            ("NodeResourcesBalancedAllocation", 1)
        ]
    );
    assert!(profile.at(Points::FILTER).any(|(_, p)| p.plugin.name() == "PodTopologySpread"));
    assert!(profile.preemption.is_none() && profile.percentage == Some(70));
}

#[test]
fn mistakes_are_told() {
    let cases = [
        ("profiles: [{plugins: {sccore: {}}}]", "scheduler.profiles[0].plugins.sccore: there is no such extension point"),
        (
            "profiles: [{plugins: {score: {enabled: [{name: Nope}]}}}]",
            "scheduler.profiles[0].plugins.score.enabled[0]: there is no plugin Nope",
        ),
        ("profiles: [{pluginConfig: [{name: Nope}]}]", "scheduler.profiles[0].pluginConfig[0]: there is no plugin Nope"),
        ("profiles: [{}, {schedulerName: default-scheduler}]", "scheduler.profiles[1]: default-scheduler has a profile already"),
        ("profiles: [{plugins: {bind: {disabled: [{name: '*'}]}}}]", "scheduler.profiles[0]: at least one bind plugin is needed"),
        ("{podInitialBackoffSeconds: 0}", "scheduler.podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
        (
            "{podInitialBackoffSeconds: 5, podMaxBackoffSeconds: 2}",
            "scheduler.podMaxBackoffSeconds: Invalid value: 2: must be greater than or equal to PodInitialBackoffSeconds",
        ),
        ("{percentageOfNodesToScore: 101}", "scheduler.percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"),
        (
            "profiles: [{percentageOfNodesToScore: -1}]",
            "scheduler.profiles[0].percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]",
        ),
        ("{parallelism: 0}", "scheduler.parallelism: Invalid value: 0: should be an integer value greater than zero"),
        (
            "{apiVersion: kubescheduler.config.k8s.io/v1beta3}",
            "scheduler.apiVersion: Unsupported value: \"kubescheduler.config.k8s.io/v1beta3\": supported values: \"kubescheduler.config.k8s.io/v1\"",
        ),
        ("{kind: Nope}", "scheduler.kind: Unsupported value: \"Nope\": supported values: \"KubeSchedulerConfiguration\""),
        (
            "extenders: [{urlPrefix: 'https://x'}]",
            "scheduler.extenders: Forbidden: extenders are not called here; a scheduler of your own can bind the pods of another schedulerName",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodePorts}, {name: NodePorts}]}]",
            "scheduler.profiles[0].pluginConfig[1]: Duplicate value: \"NodePorts\"",
        ),
    ];
    for (yaml, want) in cases {
        assert_eq!(profiles(yaml).err().as_deref(), Some(want), "{yaml}");
    }
}

/// Pairs of a plugin's configuration and what is told about its arguments.
fn told(cases: &[(&str, &str)]) {
    for (config, want) in cases {
        let said = profiles(&format!("profiles: [{{pluginConfig: [{{name: {config}}}]}}]")).err().unwrap_or_default();
        let rest = said.strip_prefix("scheduler.profiles[0].pluginConfig[0].args").unwrap_or(&said).trim_start_matches([':', '.', ' ']);
        assert!(rest.starts_with(want), "{config}: {said}");
    }
}

#[test]
fn arguments_about_resources_are_checked() {
    told(&[
        ("NodeResourcesFit, args: {scoringStrateggy: {}}", "scoringStrateggy: unknown field"),
        ("NodeResourcesFit, args: {ignoredResources: cpu}", "ignoredResources: invalid type"),
        ("NodeResourcesFit, args: {ignoredResources: ['a b']}", "ignoredResources[0]: Invalid value: \"a b\": name part must consist of"),
        (
            "NodeResourcesFit, args: {ignoredResourceGroups: [a/b]}",
            "ignoredResourceGroups[0]: Invalid value: \"a/b\": resource group name can't contain '/'",
        ),
        (
            "NodeResourcesFit, args: {scoringStrategy: {type: Best}}",
            "scoringStrategy.type: Unsupported value: \"Best\": supported values: \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\"",
        ),
        (
            "NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 101}]}}",
            "scoringStrategy.resources[0].weight: Invalid value: 101: resource weight of cpu not in valid range (0, 100]",
        ),
        (
            "NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 5, score: 11}, {utilization: 5, score: 1}]}}}",
            "scoringStrategy.requestedToCapacityRatio.shape[1].utilization: Invalid value: 5: values must be sorted in increasing order, \
             scheduler.profiles[0].pluginConfig[0].args.scoringStrategy.requestedToCapacityRatio.shape[0].score: Invalid value: 11: not in valid range [0, 10]",
        ),
        (
            "NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio}}",
            "scoringStrategy.requestedToCapacityRatio: Required value: must be specified when type is RequestedToCapacityRatio",
        ),
        (
            "NodeResourcesBalancedAllocation, args: {resources: [{name: cpu, weight: 2}]}",
            "resources[0].weight: Invalid value: 2: must be 1",
        ),
    ]);
}

#[test]
fn arguments_are_checked() {
    let affinity = "NodeAffinity, args: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: ";
    told(&[
        ("InterPodAffinity, args: {hardPodAffinityWeight: 101}", "hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]"),
        ("InterPodAffinity, args: {hardPodAffinityWeight: many}", "hardPodAffinityWeight: invalid type: string \"many\", expected i32"),
        (
            "DefaultPreemption, args: {minCandidateNodesPercentage: 101}",
            "minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, 100]",
        ),
        (
            "DefaultPreemption, args: {minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}",
            "minCandidateNodesPercentage: Invalid value: 0: cannot be zero at the same time as minCandidateNodesAbsolute",
        ),
        (
            "PodTopologySpread, args: {defaultConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}",
            "defaultingType: Invalid value: \"System\": when .defaultConstraints are not empty",
        ),
        (
            "PodTopologySpread, args: {defaultingType: List, defaultConstraints: [{maxSkew: 0, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}",
            "defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, inf)",
        ),
        (
            "VolumeBinding, args: {bindTimeoutSeconds: -1}",
            "bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be a negative value",
        ),
        ("NodePorts, args: {x: 1}", "x: unknown field"),
        ("NodePorts, args: 1", "has to match plugin args"),
        (
            "NodeAffinity, args: {kind: NodeResourcesFitArgs}",
            "kind: Unsupported value: \"NodeResourcesFitArgs\": supported values: \"NodeAffinityArgs\"",
        ),
        ("NodeAffinity, args: {addedAfinity: {}}", "addedAfinity: unknown field"),
        (
            &format!("{affinity}{{nodeSelectorTerms: [{{matchExpressions: [{{key: k, operator: Is}}]}}]}}}}}}"),
            "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: \"Is\"",
        ),
        (
            &format!("{affinity}{{nodeSelectorTerms: [{{matchLabels: {{}}}}]}}}}}}"),
            "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchLabels: Forbidden: unknown field",
        ),
    ]);
}

#[test]
fn a_configuration_of_upstreams_can_be_pasted() {
    let pasted = profiles(
        "{apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration, parallelism: 16, leaderElection: {leaderElect: true}, \
         clientConnection: {kubeconfig: /etc/kubernetes/scheduler.conf}, enableProfiling: false, profiles: [{schedulerName: default-scheduler, pluginConfig: [\
         {name: VolumeBinding, args: {apiVersion: kubescheduler.config.k8s.io/v1, kind: VolumeBindingArgs, bindTimeoutSeconds: 30}},\
         {name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio, resources: [{name: cpu}], requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}}}},\
         {name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}},\
         {name: NodeAffinity, args: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: k, operator: Exists}]}]}}}},\
         {name: DefaultPreemption, args: {minCandidateNodesPercentage: 20}}]}]}",
    )
    .unwrap();
    let profile = &pasted[0];
    assert_eq!((profile.patience, profile.spreads.system), (Duration::from_secs(30), false));
    assert_eq!(profile.spreads.constraints[0]["topologyKey"], "zone");
    let preemption = profile.preemption.as_ref().unwrap();
    assert_eq!((preemption.percentage, preemption.minimum), (20, 100));
    assert_eq!(profiles("{}").unwrap()[0].patience, Duration::from_secs(600));
}
