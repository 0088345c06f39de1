//! From a plan that was carried out to a line of the causal log.
use super::difference::turns;
use super::executor::Outcome;
use super::feed::Change;
use super::plan::Action;
use super::runner::Key;
use super::world::World;
use crate::storage::decisions::{Cause, Decision, Deed, Subject, Verb};
use jiff::Timestamp;

/// The change that made a key worth a look.
pub(super) fn cause(change: &Change) -> Cause {
    Cause { object: Subject::new(&change.kind, &change.entry.key), deleted: change.deleted, revision: change.revision }
}

/// A status that says something new, by what it says: not a count only.
pub(super) type Turn = (Subject, String);

/// The statuses that a plan turns.
pub(super) fn turning(actions: &[Action], world: &dyn World) -> Vec<Turn> {
    let mut turning = Vec::new();
    for action in actions {
        let Action::Patch(patch) = action else { continue };
        let status = &patch.patch["status"];
        if patch.subresource != Some("status") || (status.get("conditions").is_none() && status.get("phase").is_none()) {
            continue;
        }
        let Some(held) = world.get(&patch.kind, &patch.key) else { continue };
        let told = turns(&held.parse()["status"], status);
        if !told.is_empty() {
            turning.push((Subject::new(&patch.kind, &patch.key), told.join(", ")));
        }
    }
    turning
}

/// What is worth remembering of a plan: `None` when nothing was done but to write down counts, and nothing went wrong either.
pub(super) fn decision(
    by: &'static str,
    at: Timestamp,
    key: &Key,
    why: String,
    cause: Option<Cause>,
    turning: Vec<Turn>,
    outcome: &mut Outcome,
) -> Option<Decision> {
    let mut deeds = std::mem::take(&mut outcome.deeds);
    let about = Subject::new(&key.kind, &key.object);
    let turned: Vec<Turn> = turning.into_iter().filter(|(object, _)| outcome.statuses.contains(object)).collect();
    let why = if why.is_empty() { said(&about, &turned) } else { why };
    for (object, _) in turned {
        // A pod that is marked and then deleted was not done two things to.
        if !deeds.iter().any(|deed| deed.object == object) {
            deeds.push(Deed { verb: Verb::Patch, object });
        }
    }
    let failure = outcome.failure.as_ref().map(|f| f.message.clone());
    if why.is_empty() || (deeds.is_empty() && failure.is_none()) {
        return None;
    }
    Some(Decision { at: at.as_millisecond(), by: by.into(), about, why, cause, deeds, failure })
}

/// The first status that turned says why, when the plan did not.
fn said(about: &Subject, turned: &[Turn]) -> String {
    let Some((object, told)) = turned.iter().find(|(object, _)| object == about).or(turned.first()) else { return String::new() };
    format!("{} {}: {told}", object.shelf, object.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::controllers::executor::execute;
    use crate::actors::controllers::feed::Objects;
    use crate::actors::controllers::index::{Index, Parts};
    use crate::actors::controllers::plan::Patch;
    use crate::actors::controllers::testing::{Model, at, key, mk_rs};
    use crate::actors::controllers::world::View;
    use serde_json::{Value, json};

    async fn told(model: &Model, why: &str, status: Value) -> Option<Decision> {
        let index = Index::new(Parts::default());
        let (kind, key) = ("replicasets.apps", key("web"));
        let patch = Patch {
            kind: kind.into(),
            key: key.clone(),
            uid: None,
            subresource: Some("status"),
            patch: json!({ "status": status }),
            expect_revision: None,
        };
        let actions = [Action::Patch(patch)];
        let turning = turning(&actions, &View { objects: model, index: &index });
        let mut outcome = execute(&actions, model).await;
        decision("replicaset", at(0), &Key::of(kind, &key), why.into(), None, turning, &mut outcome)
    }

    #[tokio::test]
    async fn conditions_are_decisions_and_counts_are_not() {
        let model = Model::default();
        model.put("replicasets.apps", mk_rs("web", 1, "web"));
        assert_eq!(told(&model, "counted", json!({"replicas": 1})).await, None);
        let failed = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]);
        let decision = told(&model, "", json!({"replicas": 2, "conditions": failed})).await.unwrap();
        assert_eq!(decision.why, "replicasets.apps web: ReplicaFailure is True (FailedCreate)");
        assert_eq!(decision.deeds, [Deed { verb: Verb::Patch, object: decision.about.clone() }]);
        assert_eq!(told(&model, "again", json!({"replicas": 3, "conditions": failed})).await, None, "it said so before");
        assert!(model.get("replicasets.apps", &key("web")).is_some());
    }
}
