use crate::actors::admission::Plugins;
use crate::actors::admission::tests::{Rig, pod};
use crate::actors::kinds::{Admission, Operation};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use serde_json::{Value, json};

fn rules() -> Value {
    json!({ "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }] })
}

fn bind(rig: &Rig, sort: &str, extra: Value) {
    let mut binding = json!({ "metadata": { "name": "b" }, "spec": { "policyName": "p", "validationActions": ["Deny"] } });
    for (key, value) in extra.as_object().into_iter().flatten() {
        binding["spec"][key] = value.clone();
    }
    rig.put(&format!("{sort}admissionpolicybindings.admissionregistration.k8s.io"), binding);
}

fn policy(rig: &Rig, sort: &str, mut spec: Value) {
    spec["matchConstraints"] = rules();
    let object = json!({ "metadata": { "name": "p" }, "spec": spec });
    rig.put(&format!("{sort}admissionpolicies.admissionregistration.k8s.io"), object);
}

async fn judge(rig: &Rig, object: Value) -> Result<Vec<String>, ApiError> {
    let key = ObjectKey::new("ns", "p");
    let a = rig.attributes("pods", Operation::Create, &key);
    assert!(rig.chain.asks(&a));
    Ok(Admission::ask_validating(&rig.chain, a, Some(&object), None).await?.1)
}

#[tokio::test]
async fn a_validating_policy_denies_in_upstreams_words() {
    let rig = Rig::new(Plugins::default());
    policy(
        &rig,
        "validating",
        json!({
            "paramKind": { "apiVersion": "v1", "kind": "ConfigMap" },
            "variables": [{ "name": "images", "expression": "object.spec.containers.map(c, c.image)" }],
            "validations": [
                { "expression": "variables.images.all(i, i.startsWith(params.data.registry))", "messageExpression": "'images must come from ' + params.data.registry", "reason": "Forbidden" },
                { "expression": "namespaceObject.metadata.name == 'ns' && request.userInfo.username == 'jane'" },
            ],
        }),
    );
    bind(&rig, "validating", json!({ "paramRef": { "name": "params", "parameterNotFoundAction": "Deny" } }));
    let missing = judge(&rig, pod(|_| {})).await.expect_err("no parameters");
    assert!(
        missing.message.ends_with("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction")
    );
    rig.put("configmaps", json!({ "metadata": { "name": "params", "namespace": "ns" }, "data": { "registry": "good/" } }));
    let refused = judge(&rig, pod(|_| {})).await.expect_err("a foreign image");
    let words = "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: images must come from good/";
    assert_eq!((refused.code, refused.reason.as_str(), refused.message.as_str()), (403, "Forbidden", words));
    let good = pod(|p| p["spec"]["containers"][0]["image"] = "good/i".into());
    assert_eq!(judge(&rig, good).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_policy_may_only_warn_and_errors_count_by_its_policy() {
    let rig = Rig::new(Plugins::default());
    policy(&rig, "validating", json!({ "validations": [{ "expression": "has(object.metadata.labels)" }] }));
    bind(&rig, "validating", json!({ "validationActions": ["Warn"] }));
    let words = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: has(object.metadata.labels)";
    assert_eq!(judge(&rig, pod(|_| {})).await, Ok(vec![words.to_string()]));
    policy(&rig, "validating", json!({ "validations": [{ "expression": "object.nothing.here == 1" }] }));
    bind(&rig, "validating", json!({}));
    let refused = judge(&rig, pod(|_| {})).await.expect_err("an error");
    assert!(refused.code == 422 && refused.message.contains("expression 'object.nothing.here == 1' resulted in error: "), "{refused}");
    policy(&rig, "validating", json!({ "failurePolicy": "Ignore", "validations": [{ "expression": "object.nothing.here == 1" }] }));
    assert_eq!(judge(&rig, pod(|_| {})).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_mutating_policy_applies_and_patches() {
    let rig = Rig::new(Plugins::default());
    let apply = "Object{ metadata: Object.metadata{ labels: {'team': 'a'} }, spec: Object.spec{ containers: [Object.spec.containers{ name: 'c', workingDir: '/w' }] } }";
    let patch = "[JSONPatch{ op: 'add', path: '/spec/hostname', value: object.metadata.labels.team }]";
    policy(
        &rig,
        "mutating",
        json!({ "mutations": [
            { "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": apply } },
            { "patchType": "JSONPatch", "jsonPatch": { "expression": patch } },
        ] }),
    );
    bind(&rig, "mutating", json!({}));
    let key = ObjectKey::new("ns", "p");
    let asked = Admission::ask_mutating(&rig.chain, rig.attributes("pods", Operation::Create, &key), pod(|_| {}), None).await;
    let object = asked.expect("granted").0;
    assert_eq!((&object["metadata"]["labels"]["team"], &object["spec"]["hostname"]), (&json!("a"), &json!("a")));
    let container = &object["spec"]["containers"][0];
    assert_eq!((&container["image"], &container["workingDir"]), (&json!("i"), &json!("/w")));
}
