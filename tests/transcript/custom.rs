//! A custom resource, from its definition to its end.
use super::with_each_kubectl;
use crate::run::{run, wait_for};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The definition; every kubectl has a group of its own, as they share a cluster.
fn definition(group: &str) -> String {
    format!(
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{ name: crontabs.{group} }}
spec:
  group: {group}
  scope: Namespaced
  names: {{ plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [timers] }}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [cronSpec]
            properties:
              cronSpec: {{ type: string, description: When it runs. }}
              replicas: {{ type: integer, minimum: 1, maximum: 10, default: 1 }}
          status:
            type: object
            properties: {{ replicas: {{ type: integer }} }}
    subresources:
      status: {{}}
      scale: {{ specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas }}
    additionalPrinterColumns:
    - {{ name: Spec, type: string, jsonPath: .spec.cronSpec }}
    - {{ name: Replicas, type: integer, jsonPath: .spec.replicas }}
    - {{ name: Age, type: date, jsonPath: .metadata.creationTimestamp }}
"
    )
}

#[test]
fn custom_resources_come_and_go() {
    with_each_kubectl("custom", |kubectl| {
        let group = format!("v{}.stable.example.com", kubectl.tool.minor);
        let crontabs = format!("crontabs.{group}");
        assert!(kubectl.feed("apply", &definition(&group)).ok().contains("created"));
        kubectl.ok(&format!("wait --for=condition=Established crd/{crontabs} --timeout=10s"));
        let object = format!("{{apiVersion: {group}/v1, kind: CronTab, metadata: {{name: mine}}, spec: {{cronSpec: '* * * * */5'}}}}");
        assert!(kubectl.feed("apply", &object).ok().contains("mine created"));
        assert!(kubectl.feed("apply", &object).ok().contains("mine unchanged"));
        let table = kubectl.ok(&format!("get {crontabs}"));
        let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["NAME", "SPEC", "REPLICAS", "AGE"]);
        assert_eq!(lines[1][..7], ["mine", "*", "*", "*", "*", "*/5", "1"], "{table}");
        let told = kubectl.ok(&format!("explain {crontabs}.spec.cronSpec"));
        assert!(told.contains("When it runs."), "{told}");
        assert!(kubectl.ok(&format!("api-resources --api-group={group}")).contains("ct"));
        let said = kubectl.feed("apply", &object.replace("cronSpec: '* * * * */5'", "cronSpec: 5")).refused();
        assert!(said.contains("spec.cronSpec"), "{said}");
        kubectl.ok(&format!("scale {crontabs}/mine --replicas=3"));
        assert_eq!(kubectl.json(&format!("get {crontabs} mine"))["spec"]["replicas"], 3);
        let patch = r#"{"spec":{"replicas":11}}"#;
        let said = run(&mut kubectl.command(&["patch", &crontabs, "mine", "--type=merge", "-p", patch])).refused();
        assert!(said.contains("should be less than or equal to 10"), "{said}");
        kubectl.ok(&format!("delete crd {crontabs}"));
        wait_for("the kind is gone", SOON, || (kubectl.run(&format!("get {crontabs}")).code != Some(0)).then_some(()));
    });
}
