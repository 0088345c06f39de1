//! Autoscalers in both versions, by table.
use super::v1::{from_stored, to_stored};
use crate::actors::kinds::Part;
use crate::actors::kinds::tests::{create, findings, kind, settled, stored, update};
use serde_json::{Value, json};

fn autoscaler(extra: Value) -> Value {
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" });
    let mut body =
        json!({ "apiVersion": "autoscaling/v2", "metadata": { "name": "h" }, "spec": { "scaleTargetRef": target, "maxReplicas": 5 } });
    for (key, value) in extra.as_object().into_iter().flatten() {
        body["spec"][key] = value.clone();
    }
    body
}

#[test]
fn defaults_as_upstream() {
    let made = create("HorizontalPodAutoscaler", autoscaler(json!({ "behavior": { "scaleDown": { "stabilizationWindowSeconds": 60 } } })))
        .expect("good");
    let spec = &made["spec"];
    assert_eq!(spec["minReplicas"], 1);
    assert_eq!(
        spec["metrics"],
        json!([{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }])
    );
    assert_eq!(
        spec["behavior"],
        json!({
            "scaleUp": { "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                "policies": [{ "type": "Pods", "value": 4, "periodSeconds": 15 }, { "type": "Percent", "value": 100, "periodSeconds": 15 }] },
            "scaleDown": { "stabilizationWindowSeconds": 60, "selectPolicy": "Max", "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 15 }] },
        })
    );
    assert_eq!(made["status"], json!({ "desiredReplicas": 0 }));
    assert!(made["metadata"].get("generation").is_none());
    settled("HorizontalPodAutoscaler", &made);
    let row = (kind("HorizontalPodAutoscaler").row)(&made, 0);
    assert_eq!(row[1..6], [json!("Deployment/web"), json!("cpu: <unknown>/80%"), json!("1"), json!(5), json!(0)]);
}

#[test]
fn bad_bodies() {
    let metric = |metric: Value| json!({ "metrics": [metric] });
    let cases = [
        (
            json!({ "minReplicas": 0 }),
            vec![
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            ],
        ),
        (json!({ "minReplicas": 6 }), vec!["spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"]),
        (
            json!({ "scaleTargetRef": { "kind": "a/b", "name": "" } }),
            vec!["spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'", "spec.scaleTargetRef.name: Required value"],
        ),
        (
            metric(json!({ "type": "Resource" })),
            vec!["spec.metrics[0].resource: Required value: must populate information for the given metric source"],
        ),
        (
            metric(json!({ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization" } } })),
            vec![
                "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
            ],
        ),
        (
            metric(
                json!({ "type": "Pods", "pods": { "metric": { "name": "" }, "target": { "type": "AverageValue", "averageValue": "0" } } }),
            ),
            vec![
                "spec.metrics[0].pods.metric.name: Required value: must specify a metric name",
                "spec.metrics[0].pods.target.averageValue: Invalid value: \"0\": must be positive",
            ],
        ),
        (
            json!({ "behavior": { "scaleUp": { "policies": [{ "type": "Odd", "value": 0, "periodSeconds": 1801 }], "selectPolicy": "Some" } } }),
            vec![
                "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"Some\": supported values: \"Disabled\", \"Max\", \"Min\"",
                "spec.behavior.scaleUp.policies[0].type: Unsupported value: \"Odd\": supported values: \"Percent\", \"Pods\"",
                "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
            ],
        ),
    ];
    for (extra, said) in cases {
        assert_eq!(findings(create("HorizontalPodAutoscaler", autoscaler(extra.clone()))), said, "{extra}");
    }
    let old = stored("HorizontalPodAutoscaler", autoscaler(json!({})));
    let zero = findings(update("HorizontalPodAutoscaler", Part::Main, &old, |o| o["spec"]["minReplicas"] = 0.into()));
    assert!(zero.contains(&"spec.minReplicas: Invalid value: 0: must be greater than or equal to 1".to_string()), "{zero:?}");
}

#[test]
fn v1_is_a_view() {
    let full = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "h", "annotations": { "mine": "x" } },
        "spec": { "maxReplicas": 5, "minReplicas": 1, "scaleTargetRef": { "kind": "Deployment", "name": "web" },
            "behavior": { "scaleDown": { "selectPolicy": "Max", "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 15 }] } },
            "metrics": [
                { "type": "Resource", "resource": { "name": "memory", "target": { "type": "AverageValue", "averageValue": "1Gi" } } },
                { "type": "Pods", "pods": { "metric": { "name": "rps" }, "target": { "type": "AverageValue", "averageValue": "10" } } },
                { "type": "Object", "object": { "describedObject": { "kind": "Ingress", "name": "i" }, "metric": { "name": "hits" }, "target": { "type": "Value", "value": "2k" } } },
                { "type": "External", "external": { "metric": { "name": "queue", "selector": { "matchLabels": { "q": "a" } } }, "target": { "type": "AverageValue", "averageValue": "30" } } },
                { "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } } },
            ] },
        "status": { "desiredReplicas": 2, "currentReplicas": 1, "conditions": [{ "type": "AbleToScale", "status": "True" }],
            "currentMetrics": [{ "type": "Resource", "resource": { "name": "cpu", "current": { "averageUtilization": 20, "averageValue": "100m" } } }] },
    });
    let mut view = full.clone();
    from_stored(&mut view);
    assert_eq!(
        view["spec"],
        json!({ "maxReplicas": 5, "minReplicas": 1, "scaleTargetRef": { "kind": "Deployment", "name": "web" }, "targetCPUUtilizationPercentage": 70 })
    );
    assert_eq!(view["status"], json!({ "desiredReplicas": 2, "currentReplicas": 1, "currentCPUUtilizationPercentage": 20 }));
    let annotations = &view["metadata"]["annotations"];
    let parsed = |name: &str| -> Value {
        serde_json::from_str(annotations[format!("autoscaling.alpha.kubernetes.io/{name}")].as_str().unwrap()).unwrap()
    };
    assert_eq!(parsed("metrics")[1], json!({ "type": "Pods", "pods": { "metricName": "rps", "targetAverageValue": "10" } }));
    assert_eq!(parsed("behavior")["ScaleDown"]["Policies"][0]["PeriodSeconds"], 15);
    assert_eq!(parsed("conditions")[0]["type"], "AbleToScale");
    to_stored(&mut view);
    assert_eq!(view, full);

    let mut plain = json!({ "apiVersion": "autoscaling/v1", "metadata": { "name": "h", "annotations": { "autoscaling.alpha.kubernetes.io/metrics": "no json" } },
        "spec": { "maxReplicas": 2, "targetCPUUtilizationPercentage": 50 } });
    to_stored(&mut plain);
    assert_eq!(plain["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    assert!(plain["metadata"].get("annotations").is_none());
}
