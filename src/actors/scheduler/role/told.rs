//! The lines that decisions leave in the causal log.
use super::Assumed;
use crate::actors::scheduler::pod::PodInfo;
use crate::actors::scheduler::preemption::Victims;
use crate::protocol::time::now;
use crate::storage::decisions::{Decision, Deed, Subject, Verb};

/// Victims that a line names; the others are among its deeds.
const NAMED: usize = 5;

/// Where a pod went. The pod itself was the cause.
pub fn placed(by: &str, assumed: &Assumed) -> Decision {
    let about = Subject::new("pods", &assumed.pod.key);
    let node = Subject { shelf: "nodes".into(), namespace: "".into(), name: assumed.node.clone() };
    let deeds = vec![Deed { verb: Verb::Bind, object: about.clone() }, Deed { verb: Verb::Bind, object: node }];
    Decision { at: now().as_millisecond(), by: by.into(), about, why: assumed.why.clone(), cause: None, deeds, failure: None }
}

/// Why it has to wait, and who makes room for it.
pub fn refused(by: &str, pod: &PodInfo, reason: &str, message: &str, victims: Option<&Victims>) -> Decision {
    let about = Subject::new("pods", &pod.key);
    let failure = Some(reason.into());
    let (mut why, mut deeds) = (message.to_string(), Vec::new());
    if let Some(victims) = victims {
        let names: Vec<&str> = victims.pods.iter().take(NAMED).map(|(key, _)| &*key.name).collect();
        let more = if victims.pods.len() > NAMED { " and more" } else { "" };
        why = format!("{why} Pre-empts {}{more} on {}.", names.join(", "), victims.node);
        deeds.extend(victims.pods.iter().map(|(key, _)| Deed { verb: Verb::Delete, object: Subject::new("pods", key) }));
    }
    Decision { at: now().as_millisecond(), by: by.into(), about, why, cause: None, deeds, failure }
}
