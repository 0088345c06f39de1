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

#[tokio::test]
async fn variables_are_evaluated_when_needed_and_rights_are_asked_for() {
    let rig = Rig::new(Plugins::default());
    let right = "authorizer.group('').resource('secrets').namespace('ns').name('x').check('get')";
    policy(
        &rig,
        "validating",
        json!({
            "variables": [
                { "name": "one", "expression": "1" },
                { "name": "two", "expression": "variables.one + 1" },
                { "name": "broken", "expression": "object.nothing" },
            ],
            "matchConditions": [{ "name": "m", "expression": "variables.two == 2 && !authorizer.requestResource.check('get').allowed()" }],
            "validations": [
                { "expression": "variables.two == 2 || variables.broken" },
                { "expression": format!("!{right}.allowed() && !{right}.errored() && {right}.reason() == ''") },
                { "expression": "!authorizer.path('/healthz').check('get').allowed() && !authorizer.serviceAccount('ns', 'default').group('apps').resource('deployments').subresource('scale').check('update').allowed()" },
            ],
        }),
    );
    bind(&rig, "validating", json!({}));
    let refused = judge(&rig, pod(|_| {})).await.expect_err("three checks are more than one expression may cost");
    assert!(refused.message.ends_with("resulted in error: operation cancelled: actual cost limit exceeded"), "{refused}");
    policy(
        &rig,
        "validating",
        json!({ "variables": [{ "name": "broken", "expression": "object.nothing" }], "validations": [
        { "expression": "true || variables.broken" }, { "expression": "variables.broken == 1" },
    ] }),
    );
    let refused = judge(&rig, pod(|_| {})).await.expect_err("a variable that fails");
    assert!(refused.message.ends_with("composited variable \"broken\" fails to evaluate: no such key: nothing"), "{refused}");
}

#[tokio::test]
async fn a_cost_bomb_ends_with_a_clear_error() {
    let rig = Rig::new(Plugins::default());
    let bomb = "lists.range(3000).all(a, lists.range(3000).all(b, a + b >= 0))";
    let begun = std::time::Instant::now();
    policy(&rig, "validating", json!({ "validations": [{ "expression": bomb }] }));
    bind(&rig, "validating", json!({}));
    let refused = judge(&rig, pod(|_| {})).await.expect_err("it costs too much");
    assert!(refused.message.ends_with("resulted in error: operation cancelled: actual cost limit exceeded"), "{refused}");
    // Each stays below the limit of an expression; together they exceed that of the policy.
    let costly = "lists.range(100).all(a, lists.range(700).all(b, a + b >= 0))";
    let twenty: Vec<Value> = (0..40).map(|_| json!({ "expression": costly })).collect();
    policy(&rig, "validating", json!({ "validations": twenty }));
    let refused = judge(&rig, pod(|_| {})).await.expect_err("they cost too much");
    assert!(refused.message.ends_with("running out of cost budget, no further validation rules will be run"), "{refused}");
    // As a condition, and in a chain of variables each of which doubles the one before.
    policy(
        &rig,
        "validating",
        json!({ "matchConditions": [{ "name": "m", "expression": bomb }], "validations": [{ "expression": "true" }] }),
    );
    assert!(judge(&rig, pod(|_| {})).await.expect_err("it costs too much").message.contains("cost limit exceeded"));
    let doubled = |at: usize| json!({ "name": format!("v{at}"), "expression": format!("variables.v{0} + variables.v{0}", at - 1) });
    let chain: Vec<Value> = std::iter::once(json!({ "name": "v0", "expression": "'0123456789'" })).chain((1..200).map(doubled)).collect();
    policy(&rig, "validating", json!({ "variables": chain, "validations": [{ "expression": "variables.v30.size() > 0" }] }));
    judge(&rig, pod(|_| {})).await.expect_err("it costs too much");
    policy(&rig, "validating", json!({ "variables": chain, "validations": [{ "expression": "variables.v199.size() > 0" }] }));
    assert!(judge(&rig, pod(|_| {})).await.expect_err("too deep").message.contains("nested deeper than"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn mutations_escape_keys_skip_failed_tests_and_name_what_does_not_fit() {
    let rig = Rig::new(Plugins::default());
    let run = async |expression: &str, patch: bool| {
        let mutation = match patch {
            true => json!({ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } }),
            false => json!({ "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": expression } }),
        };
        policy(&rig, "mutating", json!({ "mutations": [mutation] }));
        let key = ObjectKey::new("ns", "p");
        let labelled = pod(|p| {
            p["metadata"]["labels"] = json!({ "a": "b" });
            (p["apiVersion"], p["kind"]) = ("v1".into(), "Pod".into());
        });
        let asked = Admission::ask_mutating(&rig.chain, rig.attributes("pods", Operation::Create, &key), labelled, None).await;
        asked.map(|(object, _)| object["metadata"]["labels"].clone()).map_err(|e| e.message)
    };
    bind(&rig, "mutating", json!({}));
    let escaped = "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('x.io/y~z'), value: 'v'}]";
    assert_eq!(run(escaped, true).await, Ok(json!({ "a": "b", "x.io/y~z": "v" })));
    let tested = "[JSONPatch{op: 'test', path: '/metadata/labels/a', value: 'c'}, JSONPatch{op: 'remove', path: '/metadata/labels'}]";
    assert_eq!(run(tested, true).await, Ok(json!({ "a": "b" })));
    let optional = "Object{metadata: Object.metadata{labels: {?'n': object.?metadata.?labels['none'], 'k': 'v'}}}";
    assert_eq!(run(optional, false).await, Ok(json!({ "a": "b", "k": "v" })));
    let wrong = run("Object{spec: Object.wrong{hostname: 'h'}}", false).await.expect_err("it has another name");
    assert!(wrong.contains("type mismatch: unexpected type name \"Object.wrong\", expected \"Object.spec\""), "{wrong}");
    // What could only be replaced as a whole is left to patches; a list with keys is merged.
    let whole = "Object{spec: Object.spec{nodeSelector: {'a': 'b'}, containers: [Object.spec.containers{name: 'c', command: ['x']}]}}";
    let wrong = run(whole, false).await.expect_err("atomic");
    let words = "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ";
    let places = wrong.split_once(words).expect("upstream's words").1;
    assert!(places.contains(".spec.nodeSelector") && places.contains(".spec.containers[0].command"), "{wrong}");
    let wrong = run("Object{spec: Object.spec{nonsense: 'h'}}", false).await.expect_err("nobody knows it");
    assert!(wrong.contains("failed to convert patch object to typed object: .spec.nonsense: field not declared in schema"), "{wrong}");
}
