//! The lines that decisions leave in the causal log.
use super::Assumed;
use crate::actors::scheduler::pod::PodInfo;
use crate::protocol::time::now;
use crate::storage::decisions::{Decision, Deed, Subject, Verb};

/// Where a pod went. The pod itself was the cause.
pub fn placed(by: &str, assumed: &Assumed) -> Decision {
    let about = Subject::new("pods", &assumed.pod.key);
    let node = Subject { shelf: "nodes".into(), namespace: "".into(), name: assumed.node.clone() };
    let deeds = vec![Deed { verb: Verb::Bind, object: about.clone() }, Deed { verb: Verb::Bind, object: node }];
    Decision { at: now().as_millisecond(), by: by.into(), about, why: assumed.why.clone(), cause: None, deeds, failure: None }
}

/// Why it has to wait.
pub fn refused(by: &str, pod: &PodInfo, reason: &str, message: &str) -> Decision {
    let about = Subject::new("pods", &pod.key);
    let failure = Some(reason.into());
    Decision { at: now().as_millisecond(), by: by.into(), about, why: message.into(), cause: None, deeds: Vec::new(), failure }
}
