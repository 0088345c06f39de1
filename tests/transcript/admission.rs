//! What admission does to what one types: limits, standards, quotas.
use super::with_each_kubectl;
use crate::run::wait_for;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const LIMITS: &str = "{apiVersion: v1, kind: LimitRange, metadata: {name: limits}, spec: {limits: [{type: Container, default: {cpu: 100m}, defaultRequest: {cpu: 50m}, max: {cpu: 200m}}]}}";

fn pod(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeSelector: {{no: where}}, containers: [{{name: c, image: i}}], {spec}}}}}"
    )
}

#[test]
fn a_namespace_has_standards_limits_and_a_quota() {
    with_each_kubectl("admission", |kubectl| {
        let space = &kubectl.namespace;
        let kept = kubectl.run("delete namespace default");
        let words = "namespaces \"default\" is forbidden: this namespace may not be deleted";
        assert!(kept.stderr.contains(words), "{kept}");

        kubectl.ok(&format!("label namespace {space} pod-security.kubernetes.io/enforce=baseline"));
        let refused = kubectl.feed("create", &pod("root", "hostNetwork: true"));
        let words = "violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)";
        assert!(refused.stderr.contains(words), "{refused}");

        kubectl.feed("create", LIMITS).ok();
        kubectl.feed("create", &pod("small", "restartPolicy: Never")).ok();
        let small = kubectl.json("get pod small");
        assert_eq!(small["spec"]["containers"][0]["resources"]["limits"]["cpu"], "100m");
        assert!(small["spec"]["volumes"][0]["name"].as_str().is_some_and(|n| n.starts_with("kube-api-access-")), "{small}");

        kubectl.ok("create quota most --hard=pods=2");
        wait_for("the quota is counted", SOON, || (kubectl.json("get quota most")["status"]["used"]["pods"] == "1").then_some(()));
        kubectl.feed("create", &pod("second", "restartPolicy: Never")).ok();
        let refused = kubectl.feed("create", &pod("third", "restartPolicy: Never"));
        let words = "exceeded quota: most, requested: pods=1, used: pods=2, limited: pods=2";
        assert!(refused.stderr.contains(words), "{refused}");
        kubectl.ok("delete pod small");
        kubectl.feed("create", &pod("third", "restartPolicy: Never")).ok();
    });
}
