use super::{bindings, policies, webhooks};
use crate::actors::kinds::{Kind, Part, begin_create, prepare_create, prepare_update};
use serde_json::{Value, json};

fn create(kind: &Kind, body: Value) -> Result<Value, String> {
    let checked = kind.check(body.to_string().as_bytes()).map_err(|e| e.to_string())?;
    let mut object = checked.value;
    begin_create(kind, "", &mut object).map_err(|e| e.message)?;
    prepare_create(kind, object, "2026-01-01T00:00:00Z", "uid", *b"abcde").map_err(|e| e.message)
}

fn refused(kind: &Kind, bodies: Vec<(Value, &str)>) {
    for (body, message) in bodies {
        let error = create(kind, body).expect_err(message);
        assert!(error.contains(message), "{error}\n    lacks {message}");
    }
}

fn changed(base: &Value, pointer: &str, value: Value) -> Value {
    let mut object = base.clone();
    *object.pointer_mut(pointer).expect("a place in the object") = value;
    object
}

fn rule() -> Value {
    json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]})
}

fn webhook() -> Value {
    json!({"metadata": {"name": "w"}, "webhooks": [{
        "name": "a.example.com", "clientConfig": {"service": {"namespace": "n", "name": "s", "path": "/x"}},
        "admissionReviewVersions": ["v1"], "sideEffects": "None", "rules": [rule()], "timeoutSeconds": null,
        "matchConditions": [{"name": "c", "expression": "true"}],
    }]})
}

#[test]
fn webhooks_defaults() {
    let made = create(&webhooks::MUTATING, webhook()).unwrap();
    let hook = &made["webhooks"][0];
    let wanted = json!({
        "failurePolicy": "Fail", "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
        "timeoutSeconds": 10, "reinvocationPolicy": "Never",
    });
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(&hook[field], value, "{field}");
    }
    assert_eq!((&hook["rules"][0]["scope"], &hook["clientConfig"]["service"]["port"]), (&json!("*"), &json!(443)));
    assert!(create(&webhooks::VALIDATING, webhook()).unwrap()["webhooks"][0].get("reinvocationPolicy").is_none());
    let mut next = made.clone();
    next["webhooks"][0]["timeoutSeconds"] = 5.into();
    assert_eq!(prepare_update(&webhooks::MUTATING, Part::Main, &made, next).unwrap()["metadata"]["generation"], 2);
    assert_eq!(webhooks::MUTATING.row(&made, 0)[1], 1);
}

#[test]
fn webhooks_refused() {
    let base = webhook();
    let with = |field: &str, value: Value| changed(&base, &format!("/webhooks/0/{field}"), value);
    let url = |url: &str| with("clientConfig", json!({"url": url}));
    let mut empty = base.clone();
    empty["webhooks"][0]["matchPolicy"] = "".into();
    let bodies = vec![
        (empty, "webhooks[0].matchPolicy: Unsupported value: \"\": supported values: \"Equivalent\", \"Exact\""),
        (
            with("name", "a.b".into()),
            "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots",
        ),
        (with("sideEffects", Value::Null), "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"),
        (
            with("sideEffects", "Some".into()),
            "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
        ),
        (with("timeoutSeconds", 31.into()), "the timeout value must be between 1 and 30 seconds"),
        (with("admissionReviewVersions", json!(["v2"])), "must include at least one of v1, v1beta1"),
        (
            with("admissionReviewVersions", json!(["v1", "v1"])),
            "webhooks[0].admissionReviewVersions[1]: Invalid value: \"v1\": duplicate version",
        ),
        (with("clientConfig", json!({})), "webhooks[0].clientConfig: Required value: exactly one of url or service is required"),
        (url("http://a"), "'https' is the only allowed URL scheme; desired format: https://host[/path]"),
        (url("https://a/b?c=d"), "query parameters are not permitted in the URL"),
        (with("clientConfig/service/path", "x".into()), "must start with a '/'"),
        (with("rules/0/operations", json!(["*", "CREATE"])), "webhooks[0].rules[0].operations: Invalid value"),
        (with("rules/0/resources", json!(["*/*", "pods"])), "if '*/*' is present, must not specify other resources"),
        (with("rules/0/resources", json!(["pods/*", "pods/status"])), "if 'pods/*' is present, must not specify pods/status"),
        (
            with("matchConditions/0/expression", "a &&".into()),
            "webhooks[0].matchConditions[0].expression: Invalid value: \"a &&\": compilation failed",
        ),
        (with("matchConditions/0/expression", " ".into()), "webhooks[0].matchConditions[0].expression: Required value"),
    ];
    refused(&webhooks::VALIDATING, bodies);
}

fn policy() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {
        "matchConstraints": {"resourceRules": [rule()]}, "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [{"name": "a", "expression": "1"}],
        "validations": [{"expression": "object.spec.replicas <= variables.a", "message": "no"}],
        "auditAnnotations": [{"key": "k", "valueExpression": "'x'"}],
    }})
}

#[test]
fn policies_validated() {
    let base = policy();
    let made = create(&policies::VALIDATING, base.clone()).unwrap();
    let constraints = &made["spec"]["matchConstraints"];
    assert_eq!((&made["spec"]["failurePolicy"], &constraints["matchPolicy"]), (&json!("Fail"), &json!("Equivalent")));
    assert_eq!((&constraints["objectSelector"], &constraints["resourceRules"][0]["scope"]), (&json!({}), &json!("*")));
    assert_eq!(policies::VALIDATING.row(&made, 0)[1..3], [json!(1), json!("v1/ConfigMap")]);
    let with = |pointer: &str, value: Value| changed(&base, &format!("/spec/{pointer}"), value);
    let bodies = vec![
        (with("matchConstraints", Value::Null), "spec.matchConstraints: Required value"),
        (with("matchConstraints/resourceRules", json!([])), "spec.matchConstraints.resourceRules: Required value"),
        (with("paramKind/apiVersion", "a/b/c".into()), "unexpected GroupVersion string: a/b/c"),
        (with("variables/0/name", "in".into()), "spec.variables[0].name: Invalid value: \"in\": name is not a valid CEL identifier"),
        (with("validations/0/expression", "(".into()), "spec.validations[0].expression: Invalid value: \"(\": compilation failed"),
        (with("validations/0/expression", "1 + 1".into()), "must evaluate to bool but got int"),
        (with("validations/0/expression", "request.nmae == ''".into()), "compilation failed: ERROR: <input>:1:8: undefined field 'nmae'"),
        (with("validations/0/expression", "variables.b == 1".into()), "undefined field 'b'"),
        (with("validations/0/expression", "Object{}".into()), "undeclared reference to 'Object'"),
        (with("validations/0/expression", "authorizer.grupp('').allowed()".into()), "found no matching overload for 'grupp'"),
        (with("validations/0/message", "a\nb".into()), "message must not contain line breaks"),
        (
            with("validations/0", json!({"expression": "true", "reason": "Because"})),
            "spec.validations[0].reason: Unsupported value: \"Because\"",
        ),
        (with("auditAnnotations/0/key", "a b".into()), "spec.auditAnnotations[0].key: Invalid value: \"p/a b\""),
        (json!({"metadata": {"name": "p"}, "spec": {}}), "validations or auditAnnotations must contain at least one item"),
    ];
    refused(&policies::VALIDATING, bodies);
    let mutating = json!({"metadata": {"name": "p"}, "spec": {
        "matchConstraints": {"resourceRules": [rule()]}, "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
    }});
    create(&policies::MUTATING, mutating.clone()).unwrap();
    let with = |pointer: &str, value: Value| changed(&mutating, &format!("/spec/{pointer}"), value);
    let bodies = vec![
        (with("mutations", json!([])), "spec.mutations: Required value: mutations must contain at least one item"),
        (
            with("mutations/0/patchType", "other".into()),
            "spec.mutations[0].patchType: Unsupported value: \"other\": supported values: \"ApplyConfiguration\", \"JSONPatch\"",
        ),
        (with("mutations/0/jsonPatch/expression", "Object{}".into()), "must evaluate to list(JSONPatch) but got Object"),
        (with("mutations/0/jsonPatch/expression", "[JSONPatch{opp: 'add'}]".into()), "undefined field 'opp'"),
        (
            with("reinvocationPolicy", "other".into()),
            "spec.reinvocationPolicy: Unsupported value: \"other\": supported values: \"Never\", \"IfNeeded\"",
        ),
    ];
    refused(&policies::MUTATING, bodies);
}

#[test]
fn bindings_validated() {
    let base = json!({"metadata": {"name": "b"}, "spec": {
        "policyName": "p", "validationActions": ["Deny"], "matchResources": {},
        "paramRef": {"name": "x", "namespace": "n", "parameterNotFoundAction": "Deny"},
    }});
    let made = create(&bindings::VALIDATING, base.clone()).unwrap();
    assert_eq!(made["spec"]["matchResources"], json!({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}));
    assert_eq!(bindings::VALIDATING.row(&made, 0)[1..3], [json!("p"), json!("n/x")]);
    let with = |pointer: &str, value: Value| changed(&base, &format!("/spec/{pointer}"), value);
    let bodies = vec![
        (with("policyName", "".into()), "spec.policyName: Required value"),
        (with("validationActions", json!([])), "spec.validationActions: Required value: at least one validation action is required"),
        (with("validationActions", json!(["Deny", "Warn"])), "must not contain both Deny and Warn"),
        (
            with("paramRef", json!({"parameterNotFoundAction": "Deny"})),
            "spec.paramRef: Required value: one of name or selector must be specified",
        ),
        (with("paramRef/parameterNotFoundAction", "".into()), "spec.paramRef.parameterNotFoundAction: Required value"),
    ];
    refused(&bindings::VALIDATING, bodies);
}
