//! Policies in CEL that judge and change Deployments.
use super::deployment;
use crate::api::Place;
use serde_json::{Value, json};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// A policy for Deployments of one's own namespace, and its binding; both gone at the end of the namespace's test.
struct Policy<'a> {
    place: &'a Place,
    sort: &'static str,
    name: String,
}

impl<'a> Policy<'a> {
    async fn new(place: &'a Place, sort: &'static str, operations: &[&str], spec: Value) -> Policy<'a> {
        let name = format!("{sort}-{}.policy.example.com", place.namespace);
        let rule = json!({ "operations": operations, "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"] });
        let mine = json!({ "matchLabels": { "kubernetes.io/metadata.name": place.namespace } });
        let mut policy = json!({ "metadata": { "name": name }, "spec": spec });
        policy["spec"]["matchConstraints"] = json!({ "resourceRules": [rule], "namespaceSelector": mine });
        place.api.post(&format!("{GROUP}/{sort}admissionpolicies"), &policy).await.ok();
        let mut binding =
            json!({ "metadata": { "name": name }, "spec": { "policyName": name, "matchResources": { "namespaceSelector": mine } } });
        if sort == "validating" {
            binding["spec"]["validationActions"] = json!(["Deny"]);
        }
        place.api.post(&format!("{GROUP}/{sort}admissionpolicybindings"), &binding).await.ok();
        Policy { place, sort, name }
    }

    async fn remove(self) {
        for what in ["policies", "policybindings"] {
            let what = what.replace("policies", "admissionpolicies").replace("policybindings", "admissionpolicybindings");
            self.place.api.delete(&format!("{GROUP}/{}{what}/{}", self.sort, self.name)).await.ok();
        }
    }

    fn path(&self) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments", self.place.namespace)
    }
}

#[tokio::test]
async fn a_deployment_is_judged() {
    let place = Place::new().await;
    let expressions = json!([
        { "expression": "object.spec.replicas > 1", "messageExpression": "'wants replicas > 1, got ' + string(object.spec.replicas)" },
        { "expression": "namespaceObject.metadata.name == '{}'", "message": "Internal error! Other namespace should not be allowed." },
    ]);
    let expressions: Value = serde_json::from_str(&expressions.to_string().replace("{}", &place.namespace)).expect("JSON");
    let policy = Policy::new(&place, "validating", &["CREATE"], json!({ "validations": expressions })).await;
    let refused = place.api.post(&policy.path(), &deployment("single", 1)).await.refused(422, "Invalid");
    let name = &policy.name;
    let words = format!("ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: wants replicas > 1, got 1");
    assert!(refused.contains(&words), "{refused}");
    place.api.post(&policy.path(), &deployment("replicated", 2)).await.ok();
    policy.remove().await;
    place.api.post(&policy_path(&place), &deployment("single", 1)).await.ok();
}

fn policy_path(place: &Place) -> String {
    format!("/apis/apps/v1/namespaces/{}/deployments", place.namespace)
}

#[tokio::test]
async fn expressions_use_variables() {
    let place = Place::new().await;
    let spec = json!({
        "variables": [{ "name": "replicas", "expression": "object.spec.replicas" }, { "name": "oddReplicas", "expression": "variables.replicas % 2 == 1" }],
        "validations": [
            { "expression": "variables.replicas > 1", "message": "too few" },
            { "expression": "variables.oddReplicas", "messageExpression": "'wants an odd number, got ' + string(variables.replicas)" },
        ],
    });
    let policy = Policy::new(&place, "validating", &["CREATE"], spec).await;
    for (replicas, words) in [(1, "too few"), (2, "wants an odd number, got 2")] {
        let refused = place.api.post(&policy.path(), &deployment("refused", replicas)).await.refused(422, "Invalid");
        assert!(refused.ends_with(words), "{refused}");
    }
    place.api.post(&policy.path(), &deployment("odd", 3)).await.ok();
    policy.remove().await;
}

async fn mutated(more: &[(&str, &str)]) {
    let place = Place::new().await;
    let pairs: Vec<String> = more.iter().map(|(key, value)| format!("\"{key}\": \"{value}\"")).collect();
    let expression = format!("Object{{metadata: Object.metadata{{annotations: {{{}}}}}}}", pairs.join(", "));
    let spec = json!({
        "reinvocationPolicy": "Never", "failurePolicy": "Fail",
        "mutations": [{ "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": expression } }],
    });
    let policy = Policy::new(&place, "mutating", &["CREATE", "UPDATE"], spec).await;
    let mut body = deployment("test-deployment", 2);
    body["metadata"]["annotations"] = json!({ "own": "kept" });
    let made = place.api.post(&policy.path(), &body).await.ok();
    for (key, value) in more.iter().chain(&[("own", "kept")]) {
        assert_eq!(made["metadata"]["annotations"][key], *value, "{made}");
    }
    policy.remove().await;
}

#[tokio::test]
async fn a_deployment_is_changed() {
    mutated(&[("mutated-by", "admission-policy")]).await;
}

#[tokio::test]
async fn a_deployment_gets_annotations() {
    mutated(&[("my-foo-annotation", "myAnnotationValue"), ("another", "value")]).await;
}
