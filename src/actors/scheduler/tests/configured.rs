//! What the cluster file can say, and how a mistake is told.
use crate::actors::scheduler::framework::Points;
use crate::actors::scheduler::framework::profile::Profile;
use crate::config::scheduler::Scheduler as Settings;

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
        ("profiles: [{plugins: {score: {enabled: [{name: Nope}]}}}]", "scheduler.profiles[0].plugins: there is no plugin Nope"),
        ("profiles: [{pluginConfig: [{name: Nope}]}]", "scheduler.profiles[0].pluginConfig: there is no plugin Nope"),
        ("profiles: [{}, {schedulerName: default-scheduler}]", "scheduler.profiles[1]: default-scheduler has a profile already"),
        ("profiles: [{plugins: {bind: {disabled: [{name: '*'}]}}}]", "scheduler.profiles[0]: at least one bind plugin is needed"),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Best}}}]}]",
            "scheduler.profiles[0].pluginConfig: NodeResourcesFit: scoringStrategy.type: Best is none of LeastAllocated, MostAllocated, RequestedToCapacityRatio",
        ),
    ];
    for (yaml, want) in cases {
        assert_eq!(profiles(yaml).err().as_deref(), Some(want), "{yaml}");
    }
}
