//! Disruption budgets and evictions.
use super::*;

const POLICY: &str = "policy/v1";
const BUDGETS: &str = "poddisruptionbudgets";

fn budget(name: &str, least: i64) -> Value {
    json!({"metadata": {"name": name}, "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}}})
}

#[test]
fn budgets_are_made_changed_listed_and_told() {
    let mut place = Place::new("budgets");
    place.create(POLICY, BUDGETS, &budget("b", 1));
    let path = &format!("{BUDGETS}/b");
    place.until("it is counted", POLICY, path, |b| b["status"]["observedGeneration"] == 1);
    place.change(POLICY, path, |budget| budget["spec"]["minAvailable"] = 2.into());
    place.patch(POLICY, path, &json!({"spec": {"minAvailable": "50%"}}));
    place.until("the change is seen", POLICY, path, |b| b["status"]["observedGeneration"] == 3);
    place.create("apps/v1", "replicasets", &workload("web", 2, &sleeper("web")));
    let counted = place.until("both are counted", POLICY, path, |b| b["status"]["currentHealthy"] == 2);
    assert_eq!((&counted["status"]["expectedPods"], &counted["status"]["disruptionsAllowed"]), (&2.into(), &1.into()));
    assert_eq!(holds(&counted, "DisruptionAllowed").as_deref(), Some("SufficientPods"));
    // What somebody writes into the status is there to be read, until the controller knows better.
    let pods = json!({"status": {"disruptedPods": {"ghost": "2026-01-01T00:00:00Z"}}});
    assert!(place.patch(POLICY, &format!("{path}/status"), &pods)["status"]["disruptedPods"]["ghost"].is_string());
    place.delete(POLICY, path);
    place.collection(POLICY, BUDGETS, &budget("x", 1));
}

#[test]
fn an_eviction_waits_for_its_budget() {
    let mut place = Place::new("evictions");
    place.create("apps/v1", "replicasets", &workload("web", 3, &sleeper("web")));
    let pods = place.until_items("three are ready", "v1", "pods", |pods| pods.len() == 3 && pods.iter().all(ready));
    place.create(POLICY, BUDGETS, &budget("b", 3));
    place.until("it is counted", POLICY, &format!("{BUDGETS}/b"), |b| b["status"]["currentHealthy"] == 3);
    let victim = name(&pods[0]);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": victim}});
    let path = place.path("v1", &format!("pods/{victim}/eviction"));
    let refused = place.client.post(&path, &eviction).expect("an answer");
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.header("retry-after"), None, "clients would ask again in silence");
    assert_eq!(refused.json()["details"]["causes"][0]["reason"], "DisruptionBudget");
    place.patch(POLICY, &format!("{BUDGETS}/b"), &json!({"spec": {"minAvailable": 2}}));
    let client = &mut place.client;
    wait_for("it is allowed", SOON, || (client.post(&path, &eviction).ok()?.status == 201).then_some(()));
    place
        .until_items("another takes its place", "v1", "pods", |pods| pods.len() == 3 && pods.iter().all(|p| ready(p) && name(p) != victim));
}
