//! What the scheduler's part of a cluster file may say beyond its form: upstream's rules for a `KubeSchedulerConfiguration`.
use super::args::API_VERSION;
use crate::config::scheduler::Scheduler as Settings;
use crate::protocol::status::FieldError;

/// What is wrong with the settings, the arguments of plugins left out.
pub fn faults(settings: &Settings) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (field, said, want) in [("apiVersion", &settings.api_version, API_VERSION), ("kind", &settings.kind, "KubeSchedulerConfiguration")]
    {
        if let Some(said) = said.as_ref().filter(|said| *said != want) {
            faults.push(FieldError::not_supported(format!("scheduler.{field}"), said.as_str(), &[want]));
        }
    }
    if let Some(workers) = settings.parallelism.filter(|n| *n <= 0) {
        faults.push(FieldError::invalid("scheduler.parallelism", workers, "should be an integer value greater than zero"));
    }
    faults.extend(percentage("scheduler.percentageOfNodesToScore", settings.percentage_of_nodes_to_score));
    let (first, longest) = (settings.pod_initial_backoff_seconds, settings.pod_max_backoff_seconds);
    if first <= 0 {
        faults.push(FieldError::invalid("scheduler.podInitialBackoffSeconds", first, "must be greater than 0"));
    }
    if longest < first {
        let why = "must be greater than or equal to PodInitialBackoffSeconds";
        faults.push(FieldError::invalid("scheduler.podMaxBackoffSeconds", longest, why));
    }
    if settings.extenders.as_ref().is_some_and(|list| !list.is_empty()) {
        let why = "extenders are not called here; a scheduler of your own can bind the pods of another schedulerName";
        faults.push(FieldError::forbidden("scheduler.extenders", why));
    }
    for (at, profile) in settings.profiles.iter().enumerate() {
        let path = format!("scheduler.profiles[{at}]");
        if let Some(said) = profile.percentage_of_nodes_to_score {
            faults.extend(percentage(&format!("{path}.percentageOfNodesToScore"), said));
        }
        for (i, config) in profile.plugin_config.iter().enumerate() {
            if profile.plugin_config.iter().take(i).any(|before| before.name == config.name) {
                faults.push(FieldError::duplicate(format!("{path}.pluginConfig[{i}]"), config.name.as_str()));
            }
        }
    }
    faults
}

fn percentage(path: &str, said: i32) -> Option<FieldError> {
    (!(0..=100).contains(&said)).then(|| FieldError::invalid(path, said, "not in valid range [0-100]"))
}
