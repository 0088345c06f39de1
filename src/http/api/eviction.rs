//! `pods/eviction`: a deletion that asks the pod's disruption budget first.
use super::bodies::json_body;
use super::gateway::{Answer, Call, Gateway};
use super::options::delete_options;
use super::render;
use super::write::writer;
use crate::actors::kinds::{DeleteOptions, Edit, EditBody, Part, Patch, Served};
use crate::protocol::codec::kinds::EVICTION;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::{ApiError, Cause, Details};
use crate::protocol::time;
use crate::storage::Entry;
use serde_json::{Value, json};
use std::sync::Arc;

/// How often the budget is taken from anew when somebody else changed it meanwhile.
const TRIES: usize = 5;
/// More evicted pods than this are not remembered by a budget: upstream's bound against a controller that does not keep up.
const MAX_DISRUPTED: usize = 2000;

impl Gateway {
    pub(super) async fn evict(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let Call { served, request, query, target, .. } = *call;
        let body = EVICTION.check(&json_body(request)?).map_err(|e| ApiError::bad_request(e.to_string()))?.value;
        let given = body["metadata"]["name"].as_str().unwrap_or(&target.name);
        if given != target.name {
            return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
        }
        let mut writer = writer(call, "CreateOptions")?;
        writer.dry_run |= !body["deleteOptions"]["dryRun"].is_null() && delete_options(said(&body).as_bytes(), query)?.1;
        let entry = self.entry(served, target)?;
        // Others hear of the eviction; that the pod goes is only what follows from it.
        let (body, warnings) = self.kinds.judge_created(&served.kind, &entry.key, "eviction", body, &writer).await?;
        let (options, ..) = delete_options(said(&body).as_bytes(), query)?;
        let pod = entry.parse();
        let options = if needs_budget(&entry, &pod) { self.permitted(&entry, &pod, options, writer.dry_run).await? } else { options };
        if !writer.dry_run && matches!(&entry.light, Light::Pod(light) if !light.phase.finished()) {
            self.mark_evicted(served, &entry).await?;
        }
        self.kinds.delete_unasked(served, entry.key.clone(), options, &writer).await?;
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        let mut answer = render::document(201, &status, &request.accept)?;
        answer.warnings = warnings;
        Ok(answer)
    }

    /// Writes into the pod why it goes: who counts its failures may leave this one out.
    async fn mark_evicted(&self, served: &Served, entry: &Entry) -> Result<(), ApiError> {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
            "lastTransitionTime": time::rfc3339(time::now()), "observedGeneration": entry.meta.generation,
        });
        let patch = json!({ "metadata": { "uid": &*entry.meta.uid }, "status": { "conditions": [condition] } });
        match self.kinds.patch(served, entry.key.clone(), Part::Status, Patch::Strategic(patch), false, false).await {
            Err(error) if error.code != 404 => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes one disruption from the pod's budget, if it has one.
    async fn permitted(&self, entry: &Entry, pod: &Value, options: DeleteOptions, dry_run: bool) -> Result<DeleteOptions, ApiError> {
        let Some(budgets) = self.kinds.find("policy", "poddisruptionbudgets") else { return Ok(options) };
        for _ in 0..TRIES {
            let snapshot = budgets.shelf.snapshot();
            let own: Vec<Arc<Entry>> =
                snapshot.iter_after(Some(&entry.key.namespace), None).filter(|b| selects(&b.parse(), entry)).cloned().collect();
            let budget = match own.as_slice() {
                [] => return Ok(options),
                [one] => one,
                _ => {
                    return Err(ApiError::internal(
                        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                    ));
                }
            };
            let old = budget.parse();
            if healthy_anyway(&old, pod) {
                return Ok(options);
            }
            let new = take_one(&old, &entry.key.name)?;
            let key = ObjectKey::new(entry.key.namespace.clone(), budget.key.name.clone());
            let edit = Edit { key, part: Part::Status, body: EditBody::Update(Box::new(new)) };
            let server = crate::actors::kinds::Writer { dry_run, ..crate::actors::kinds::Writer::internal("apiserver") };
            match self.kinds.edit_as(&budgets, edit, &server).await {
                // Somebody else took one: look again.
                Err(error) if error.code == 409 => {}
                Err(error) => return Err(error),
                // What was looked at is what goes.
                Ok(_) => return Ok(DeleteOptions { uid: options.uid.or_else(|| Some(entry.meta.uid.to_string())), ..options }),
            }
        }
        Err(too_many("couldn't update PodDisruptionBudget due to conflicts", Vec::new()))
    }
}

/// The deletion's options in an eviction, as text; empty for none.
fn said(eviction: &Value) -> String {
    match &eviction["deleteOptions"] {
        Value::Null => String::new(),
        options => options.to_string(),
    }
}

/// A pod that has not begun, has ended, or is going already is no disruption.
fn needs_budget(entry: &Entry, pod: &Value) -> bool {
    let pending = matches!(&entry.light, Light::Pod(light) if light.phase.finished()) || pod["status"]["phase"] == "Pending";
    !pending && entry.meta.deleting.is_none()
}

fn selects(budget: &Value, pod: &Entry) -> bool {
    LabelSelector::from_object(&budget["spec"]["selector"]).is_ok_and(|selector| selector.matches(&pod.meta.labels))
}

/// An unready pod may go without the budget: always by the policy `AlwaysAllow`, otherwise while enough others are healthy.
fn healthy_anyway(budget: &Value, pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True") {
        return false;
    }
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        || (number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0)
}

/// The budget with one disruption less and the pod remembered, or why there is none to take.
fn take_one(budget: &Value, pod: &str) -> Result<Value, ApiError> {
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let cause = |message: String| vec![Cause { reason: "DisruptionBudget".into(), message, field: String::new() }];
    let refused = "Cannot evict pod as it would violate the pod's disruption budget.";
    if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
        return Err(too_many(refused, cause(format!("The disruption budget {name} is still being processed by the server."))));
    }
    if number("disruptionsAllowed") < 0 {
        return Err(ApiError::forbidden("policy", "poddisruptionbudgets", name, "pdb disruptions allowed is negative"));
    }
    if budget["status"]["disruptedPods"].as_object().is_some_and(|pods| pods.len() > MAX_DISRUPTED) {
        return Err(ApiError::forbidden(
            "policy",
            "poddisruptionbudgets",
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if number("disruptionsAllowed") == 0 {
        let why = format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            number("desiredHealthy"),
            number("currentHealthy")
        );
        return Err(too_many(refused, cause(why)));
    }
    let mut new = budget.clone();
    new["status"]["disruptionsAllowed"] = (number("disruptionsAllowed") - 1).into();
    if !new["status"]["disruptedPods"].is_object() {
        new["status"]["disruptedPods"] = json!({});
    }
    new["status"]["disruptedPods"][pod] = time::rfc3339(time::now()).into();
    Ok(new)
}

fn too_many(why: &str, causes: Vec<Cause>) -> ApiError {
    let mut error = ApiError::new(429, "TooManyRequests", why);
    error.details = Some(Details { causes, ..Default::default() });
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(allowed: i64) -> Value {
        json!({
            "metadata": { "name": "b", "generation": 2 },
            "status": { "observedGeneration": 2, "disruptionsAllowed": allowed, "desiredHealthy": 3, "currentHealthy": 3 },
        })
    }

    #[test]
    fn a_budget_is_taken_from_until_it_is_empty() {
        let left = take_one(&budget(1), "p").expect("one is left");
        assert_eq!((&left["status"]["disruptionsAllowed"], left["status"]["disruptedPods"]["p"].is_string()), (&json!(0), true));
        let error = take_one(&left, "q").expect_err("none is left");
        assert_eq!((error.code, error.message.as_str()), (429, "Cannot evict pod as it would violate the pod's disruption budget."));
        let causes = error.details.expect("told why").causes;
        assert_eq!(causes[0].message, "The disruption budget b needs 3 healthy pods and has 3 currently");
        let mut stale = budget(1);
        stale["metadata"]["generation"] = 3.into();
        assert_eq!(take_one(&stale, "p").expect_err("not seen yet").code, 429);
    }

    #[test]
    fn an_unready_pod_needs_no_permission_while_enough_are_healthy() {
        let unready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
        let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        assert!(healthy_anyway(&budget(0), &unready) && !healthy_anyway(&budget(0), &ready));
        let mut few = budget(0);
        few["status"]["currentHealthy"] = 2.into();
        assert!(!healthy_anyway(&few, &unready));
        few["spec"] = json!({ "unhealthyPodEvictionPolicy": "AlwaysAllow" });
        assert!(healthy_anyway(&few, &unready));
    }
}
