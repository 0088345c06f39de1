use super::pod_preset::{Outcome, POD_PRESET, apply_presets};
use super::*;
use crate::codec::codec;
use serde_json::json;

/// The old object as today's, without the names of its type.
fn up(api_version: &str, kind: &str, mut object: Value) -> Value {
    find(api_version, kind).unwrap().upgrade(&mut object);
    let members = object.as_object_mut().unwrap();
    members.remove("apiVersion");
    members.remove("kind");
    object
}

fn down(api_version: &str, kind: &str, mut object: Value) -> Value {
    find(api_version, kind).unwrap().downgrade(&mut object);
    let members = object.as_object_mut().unwrap();
    members.remove("apiVersion");
    members.remove("kind");
    object
}

/// `old` becomes `today`, which becomes `old` again.
fn both_ways(api_version: &str, kind: &str, old: Value, today: Value) {
    assert_eq!(up(api_version, kind, old.clone()), today, "{api_version} {kind}");
    assert_eq!(down(api_version, kind, today.clone()), old, "{api_version} {kind}");
    assert_eq!(up(api_version, kind, today.clone()), today, "{api_version} {kind}: twice");
}

#[test]
fn warnings_are_upstreams() {
    let said = |v: &str, k: &str| find(v, k).unwrap().warning();
    assert_eq!(
        said("extensions/v1beta1", "Deployment"),
        "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment"
    );
    assert_eq!(
        said("autoscaling/v2beta2", "HorizontalPodAutoscaler"),
        "autoscaling/v2beta2 HorizontalPodAutoscaler is deprecated in v1.23+, unavailable in v1.26+; use autoscaling/v2 HorizontalPodAutoscaler"
    );
    assert!(gone("policy", "v1beta1", "podsecuritypolicies").is_some() && gone("policy", "v1", "podsecuritypolicies").is_none());
}

#[test]
fn every_line_takes_anything_and_settles() {
    let odd = [
        json!({}),
        json!({"spec": null}),
        json!({"spec": 1, "metadata": []}),
        json!({"spec": {"selector": 1, "template": 2, "rules": {},
        "metrics": [1, {"resource": 2}], "versions": [3, {}], "limited": 4, "validation": 5, "conversion": 6}, "webhooks": [1], "subjects": [2],
        "endpoints": [3, {"topology": 4}], "metadata": {"annotations": 5}, "status": {"conditions": [6]}}),
    ];
    for legacy in TABLE {
        assert!(TABLE.iter().filter(|l| (l.api_version, l.kind) == (legacy.api_version, legacy.kind)).count() == 1);
        assert!(legacy.deprecated < legacy.removed, "{} {}", legacy.api_version, legacy.kind);
        for object in &odd {
            let mut once = object.clone();
            legacy.upgrade(&mut once);
            let mut twice = once.clone();
            legacy.upgrade(&mut twice);
            assert_eq!(once, twice, "{} {}", legacy.api_version, legacy.kind);
            legacy.downgrade(&mut once);
        }
    }
}

#[test]
fn a_body_is_checked_by_todays_codec() {
    let legacy = find("apps/v1beta2", "ReplicaSet").unwrap();
    let codec = codec("apps/v1", "ReplicaSet").unwrap();
    let body =
        br#"{"apiVersion":"apps/v1beta2","kind":"ReplicaSet","metadata":{"name":"a"},"spec":{"replicas":1,"replicas":3,"replica":2}}"#;
    let checked = legacy.check(codec, body).unwrap();
    assert_eq!((&checked.value["apiVersion"], &checked.value["spec"]), (&json!("apps/v1"), &json!({"replicas": 3, "selector": {}})));
    assert_eq!(checked.findings(), ["duplicate field \"spec.replicas\"", "unknown field \"spec.replica\""]);
    let error = |body: &[u8]| legacy.check(codec, body).unwrap_err().to_string();
    assert!(error(br#"{"apiVersion":"apps/v1"}"#).contains("data (apps/v1) does not match the expected API version (apps/v1beta2)"));
    assert!(error(br#"{"kind":"Pod"}"#).starts_with("Pod in version \"v1beta2\" cannot be handled as a ReplicaSet"));
    let wrong = "ReplicaSet in version \"v1beta2\" cannot be handled as a ReplicaSet: json: cannot unmarshal string";
    assert!(error(br#"{"spec":{"replicas":"x"}}"#).starts_with(wrong));
    assert!(error(b"{").contains("unexpected end of JSON input") && error(b"[]").contains("v1beta2"));
}

#[test]
fn workloads() {
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}});
    let selector = json!({"matchLabels": {"app": "a"}});
    let deployment = up("extensions/v1beta1", "Deployment", json!({"spec": {"template": template, "rollbackTo": {"revision": 3}}}));
    assert_eq!(
        deployment,
        json!({"metadata": {"labels": {"app": "a"}, "annotations": {"deprecated.deployment.rollback.to": "3"}}, "spec": {
            "template": template, "selector": selector, "revisionHistoryLimit": 2147483647, "progressDeadlineSeconds": 2147483647,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}}})
    );
    let old = down("extensions/v1beta1", "Deployment", deployment);
    assert_eq!((&old["spec"]["rollbackTo"], &old["metadata"]), (&json!({"revision": 3}), &json!({"labels": {"app": "a"}})));
    let spec = up("apps/v1beta1", "Deployment", json!({"spec": {"strategy": {"type": "Recreate"}}}))["spec"].clone();
    assert_eq!(spec, json!({"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 2, "progressDeadlineSeconds": 600}));
    assert_eq!(up("apps/v1beta2", "Deployment", json!({"spec": {}})), json!({"spec": {}}));

    let set = up(
        "extensions/v1beta1",
        "DaemonSet",
        json!({"metadata": {"labels": {"own": "1"}}, "spec": {"template": template, "templateGeneration": 4}}),
    );
    assert_eq!(
        set,
        json!({"metadata": {"labels": {"own": "1"}, "annotations": {"deprecated.daemonset.template.generation": "4"}},
            "spec": {"template": template, "selector": selector, "updateStrategy": {"type": "OnDelete"}}})
    );
    assert_eq!(down("apps/v1beta2", "DaemonSet", set)["spec"]["templateGeneration"], 4);
    assert_eq!(up("apps/v1beta1", "StatefulSet", json!({"spec": {}}))["spec"]["updateStrategy"]["type"], "OnDelete");
    assert_eq!(up("extensions/v1beta1", "ReplicaSet", json!({"spec": {"template": template}}))["spec"]["selector"], selector);
}

#[test]
fn ingresses() {
    let old = json!({"spec": {"backend": {"serviceName": "a", "servicePort": 80}, "rules": [{"host": "h", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"serviceName": "b", "servicePort": "web"}}]}}]}});
    let today = json!({"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}, "rules": [{"host": "h", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "b", "port": {"name": "web"}}}}]}}]}});
    both_ways("extensions/v1beta1", "Ingress", old, today);
    let plain = up(
        "networking.k8s.io/v1beta1",
        "Ingress",
        json!({"spec": {"rules": [{"http": {"paths": [{"backend": {"resource": {"kind": "K"}}}]}}]}}),
    );
    assert_eq!(
        plain["spec"]["rules"][0]["http"]["paths"][0],
        json!({"pathType": "ImplementationSpecific", "backend": {"resource": {"kind": "K"}}})
    );
}

#[test]
fn autoscalers() {
    let old = json!({"spec": {"metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}},
        {"type": "Pods", "pods": {"metricName": "m", "targetAverageValue": "1k", "selector": {"matchLabels": {"a": "b"}}}},
        {"type": "Object", "object": {"target": {"kind": "Service", "name": "s"}, "metricName": "m", "targetValue": "2"}},
        {"type": "External", "external": {"metricName": "q", "metricSelector": {}, "targetValue": "30"}}]},
        "status": {"currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "currentAverageUtilization": 7, "currentAverageValue": "5m"}}]}});
    let today = json!({"spec": {"metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
        {"type": "Pods", "pods": {"metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}}, "target": {"type": "AverageValue", "averageValue": "1k"}}},
        {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "2"}}},
        {"type": "External", "external": {"metric": {"name": "q", "selector": {}}, "target": {"type": "Value", "value": "30"}}}]},
        "status": {"currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7, "averageValue": "5m"}}}]}});
    both_ways("autoscaling/v2beta1", "HorizontalPodAutoscaler", old, today);
    let behavior = json!({"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}});
    let kept = down("autoscaling/v2beta1", "HorizontalPodAutoscaler", behavior.clone());
    assert!(kept["spec"].get("behavior").is_none());
    let back = up("autoscaling/v2beta1", "HorizontalPodAutoscaler", kept);
    assert_eq!(back["spec"], behavior["spec"]);
}

#[test]
fn small_differences() {
    let budget = |selector: Value| json!({"spec": {"selector": selector}});
    let label = |operator: &str| json!({"matchExpressions": [{"key": "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match", "operator": operator}]});
    let pdb = ("policy/v1beta1", "PodDisruptionBudget");
    both_ways(pdb.0, pdb.1, budget(json!({"matchLabels": {"a": "b"}})), budget(json!({"matchLabels": {"a": "b"}})));
    assert_eq!(up(pdb.0, pdb.1, budget(json!({}))), budget(label("Exists")));
    assert_eq!(down(pdb.0, pdb.1, budget(label("Exists"))), budget(json!({})));
    assert_eq!(down(pdb.0, pdb.1, budget(json!({}))), budget(label("DoesNotExist")));
    both_ways(
        "rbac.authorization.k8s.io/v1alpha1",
        "RoleBinding",
        json!({"subjects": [{"kind": "User", "name": "*", "apiVersion": "rbac.authorization.k8s.io/v1alpha1"}, {"kind": "ServiceAccount", "name": "s", "apiVersion": "v1"}]}),
        json!({"subjects": [{"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount", "name": "s"}]}),
    );
    both_ways(
        "discovery.k8s.io/v1beta1",
        "EndpointSlice",
        json!({"endpoints": [{"nodeName": "n", "topology": {"kubernetes.io/hostname": "n", "topology.kubernetes.io/zone": "z", "other": "o"}}, {}]}),
        json!({"endpoints": [{"nodeName": "n", "zone": "z", "deprecatedTopology": {"other": "o"}}, {}]}),
    );
    both_ways(
        "node.k8s.io/v1alpha1",
        "RuntimeClass",
        json!({"spec": {"runtimeHandler": "h", "overhead": {"podFixed": {}}}}),
        json!({"handler": "h", "overhead": {"podFixed": {}}}),
    );
    both_ways("authorization.k8s.io/v1beta1", "SubjectAccessReview", json!({"spec": {"group": ["a"]}}), json!({"spec": {"groups": ["a"]}}));
    let level = |name: &str, shares: i64| json!({"spec": {"limited": {name: shares}}});
    both_ways(
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "PriorityLevelConfiguration",
        level("assuredConcurrencyShares", 5),
        level("nominalConcurrencyShares", 5),
    );
    let v3 = ("flowcontrol.apiserver.k8s.io/v1beta3", "PriorityLevelConfiguration");
    let zero = level("nominalConcurrencyShares", 0);
    assert_eq!(up(v3.0, v3.1, zero.clone()), level("nominalConcurrencyShares", 30));
    let kept = down(v3.0, v3.1, zero);
    assert_eq!(up(v3.0, v3.1, kept)["spec"]["limited"]["nominalConcurrencyShares"], 0);
    let csr = up(
        "certificates.k8s.io/v1beta1",
        "CertificateSigningRequest",
        json!({"spec": {}, "status": {"conditions": [{"type": "Approved"}]}}),
    );
    assert_eq!(csr["spec"], json!({"signerName": "kubernetes.io/legacy-unknown", "usages": ["digital signature", "key encipherment"]}));
    assert_eq!(csr["status"]["conditions"][0]["status"], "True");
    let hooks = up("admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration", json!({"webhooks": [{"name": "a.b.c"}]}));
    assert_eq!(
        hooks["webhooks"][0],
        json!({"name": "a.b.c", "failurePolicy": "Ignore", "matchPolicy": "Exact", "timeoutSeconds": 30, "sideEffects": "NoneOnDryRun",
            "admissionReviewVersions": ["v1beta1"]})
    );
}

#[test]
fn presets() {
    let preset = |name: &str, spec: Value| json!({"metadata": {"name": name, "resourceVersion": "7"}, "spec": spec});
    let pod = json!({"metadata": {"labels": {"app": "a"}}, "spec": {
        "containers": [{"name": "c", "env": [{"name": "A", "value": "1"}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        "initContainers": [{"name": "i"}]}});
    let full = preset(
        "p",
        json!({"selector": {"matchLabels": {"app": "a"}}, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "envFrom": [{"configMapRef": {"name": "m"}}], "volumes": [{"name": "w"}], "volumeMounts": [{"name": "w", "mountPath": "/w"}]}),
    );
    let Outcome::Changed(changed) = apply_presets(&pod, std::slice::from_ref(&full)) else { panic!("it applies") };
    let container = &changed["spec"]["containers"][0];
    assert_eq!(container["env"], json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]));
    assert_eq!(container["volumeMounts"].as_array().unwrap().len(), 2);
    assert_eq!(changed["spec"]["initContainers"][0]["envFrom"], json!([{"configMapRef": {"name": "m"}}]));
    assert_eq!(changed["spec"]["volumes"], json!([{"name": "w"}]));
    assert_eq!(changed["metadata"]["annotations"], json!({"podpreset.admission.kubernetes.io/podpreset-p": "7"}));

    let other = preset("q", json!({"selector": {"matchLabels": {"app": "b"}}, "env": [{"name": "A", "value": "9"}]}));
    assert_eq!(apply_presets(&pod, std::slice::from_ref(&other)), Outcome::Unchanged);
    let everywhere = |spec: Value| preset("r", spec);
    for (spec, on) in [
        (json!({"env": [{"name": "A", "value": "9"}]}), "merging env for r has a conflict on A"),
        (
            json!({"selector": {}, "volumeMounts": [{"name": "x", "mountPath": "/v"}]}),
            "volume mounts for r has a conflict on mount path /v",
        ),
    ] {
        let Outcome::Conflict(why) = apply_presets(&pod, &[full.clone(), everywhere(spec)]) else { panic!("{on}") };
        assert!(why.contains(on) && why.contains("podpresets: p,r"), "{why}");
    }
    let mut excluded = pod.clone();
    excluded["metadata"]["annotations"] = json!({"podpreset.admission.kubernetes.io/exclude": "true"});
    assert_eq!(apply_presets(&excluded, &[full]), Outcome::Unchanged);

    let checked = POD_PRESET.check(br#"{"metadata":{"name":"a"},"spec":{"env":[{"name":"A"}],"x":1}}"#).unwrap();
    assert_eq!((checked.value["kind"].as_str(), checked.unknown), (Some("PodPreset"), vec!["spec.x".to_string()]));
    assert!(
        POD_PRESET.check(br#"{"apiVersion":"v1","kind":"PodPreset"}"#).unwrap_err().to_string().contains("does not match the expected")
    );
}
