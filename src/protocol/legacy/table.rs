//! The removed versions, one line for each kind.
use super::small::same;
use super::{Legacy, apiextensions, apps, autoscaling, discovery, ingress, policy, rbac, small, webhooks};
use serde_json::Value;

type Change = fn(&mut Value);

/// A kind that looks like today's.
const fn alike(api_version: &'static str, kind: &'static str, today: &'static str, minors: (u8, u8)) -> Legacy {
    changed(api_version, kind, today, minors, same, same)
}

const fn changed(
    api_version: &'static str,
    kind: &'static str,
    today: &'static str,
    minors: (u8, u8),
    to_today: Change,
    from_today: Change,
) -> Legacy {
    Legacy { api_version, kind, today, deprecated: minors.0, removed: minors.1, to_today, from_today }
}

const EXTENSIONS: &str = "extensions/v1beta1";
const APPS1: &str = "apps/v1beta1";
const APPS2: &str = "apps/v1beta2";
const APPS: &str = "apps/v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";
const RBAC_ALPHA: &str = "rbac.authorization.k8s.io/v1alpha1";
const RBAC_BETA: &str = "rbac.authorization.k8s.io/v1beta1";
const STORAGE: &str = "storage.k8s.io/v1";
const STORAGE_BETA: &str = "storage.k8s.io/v1beta1";
const HOOKS: &str = "admissionregistration.k8s.io/v1";
const HOOKS_BETA: &str = "admissionregistration.k8s.io/v1beta1";
const HOOKS_ALPHA: &str = "admissionregistration.k8s.io/v1alpha1";
const ACCESS: &str = "authorization.k8s.io/v1";
const ACCESS_BETA: &str = "authorization.k8s.io/v1beta1";
const NETWORKING: &str = "networking.k8s.io/v1";
const NETWORKING_BETA: &str = "networking.k8s.io/v1beta1";
const FLOW: &str = "flowcontrol.apiserver.k8s.io/v1";
const FLOW1: &str = "flowcontrol.apiserver.k8s.io/v1beta1";
const FLOW2: &str = "flowcontrol.apiserver.k8s.io/v1beta2";
const FLOW3: &str = "flowcontrol.apiserver.k8s.io/v1beta3";
const HPA: &str = "HorizontalPodAutoscaler";
const LEVEL: &str = "PriorityLevelConfiguration";

/// All of them. Versions of one group stand newest first.
pub static TABLE: &[Legacy] = &[
    changed(EXTENSIONS, "DaemonSet", APPS, (8, 16), apps::extensions_daemon_set, apps::old_daemon_set),
    changed(EXTENSIONS, "Deployment", APPS, (8, 16), apps::extensions_deployment, apps::old_deployment),
    changed(EXTENSIONS, "ReplicaSet", APPS, (8, 16), apps::replica_set, same),
    changed(EXTENSIONS, "Ingress", NETWORKING, (14, 22), ingress::to_today, ingress::from_today),
    alike(EXTENSIONS, "NetworkPolicy", NETWORKING, (9, 16)),
    alike(APPS2, "ControllerRevision", APPS, (9, 16)),
    changed(APPS2, "DaemonSet", APPS, (9, 16), apps::apps_daemon_set, apps::old_daemon_set),
    alike(APPS2, "Deployment", APPS, (9, 16)),
    alike(APPS2, "ReplicaSet", APPS, (9, 16)),
    alike(APPS2, "StatefulSet", APPS, (9, 16)),
    alike(APPS1, "ControllerRevision", APPS, (8, 16)),
    changed(APPS1, "Deployment", APPS, (8, 16), apps::apps_deployment, apps::old_deployment),
    changed(APPS1, "StatefulSet", APPS, (8, 16), apps::stateful_set, same),
    alike("batch/v1beta1", "CronJob", "batch/v1", (21, 25)),
    alike("batch/v2alpha1", "CronJob", "batch/v1", (8, 21)),
    changed(NETWORKING_BETA, "Ingress", NETWORKING, (19, 22), ingress::to_today, ingress::from_today),
    alike(NETWORKING_BETA, "IngressClass", NETWORKING, (19, 22)),
    changed("policy/v1beta1", "PodDisruptionBudget", "policy/v1", (21, 25), policy::budget_to_today, policy::budget_from_today),
    alike("policy/v1beta1", "Eviction", "policy/v1", (22, 25)),
    alike(RBAC_BETA, "ClusterRole", RBAC, (17, 22)),
    alike(RBAC_BETA, "ClusterRoleBinding", RBAC, (17, 22)),
    alike(RBAC_BETA, "Role", RBAC, (17, 22)),
    alike(RBAC_BETA, "RoleBinding", RBAC, (17, 22)),
    alike(RBAC_ALPHA, "ClusterRole", RBAC, (17, 22)),
    changed(RBAC_ALPHA, "ClusterRoleBinding", RBAC, (17, 22), rbac::binding_to_today, rbac::binding_from_today),
    alike(RBAC_ALPHA, "Role", RBAC, (17, 22)),
    changed(RBAC_ALPHA, "RoleBinding", RBAC, (17, 22), rbac::binding_to_today, rbac::binding_from_today),
    alike("autoscaling/v2beta2", HPA, "autoscaling/v2", (23, 26)),
    changed("autoscaling/v2beta1", HPA, "autoscaling/v2", (22, 25), autoscaling::to_today, autoscaling::from_today),
    alike(STORAGE_BETA, "CSIDriver", STORAGE, (19, 22)),
    alike(STORAGE_BETA, "CSINode", STORAGE, (17, 22)),
    alike(STORAGE_BETA, "CSIStorageCapacity", STORAGE, (24, 27)),
    alike(STORAGE_BETA, "StorageClass", STORAGE, (19, 22)),
    alike(STORAGE_BETA, "VolumeAttachment", STORAGE, (19, 22)),
    alike("scheduling.k8s.io/v1beta1", "PriorityClass", "scheduling.k8s.io/v1", (14, 22)),
    alike("scheduling.k8s.io/v1alpha1", "PriorityClass", "scheduling.k8s.io/v1", (14, 22)),
    alike("coordination.k8s.io/v1beta1", "Lease", "coordination.k8s.io/v1", (19, 22)),
    changed(
        "discovery.k8s.io/v1beta1",
        "EndpointSlice",
        "discovery.k8s.io/v1",
        (21, 25),
        discovery::slice_to_today,
        discovery::slice_from_today,
    ),
    alike("events.k8s.io/v1beta1", "Event", "events.k8s.io/v1", (22, 25)),
    alike("node.k8s.io/v1beta1", "RuntimeClass", "node.k8s.io/v1", (22, 25)),
    changed(
        "node.k8s.io/v1alpha1",
        "RuntimeClass",
        "node.k8s.io/v1",
        (20, 24),
        small::runtime_class_to_today,
        small::runtime_class_from_today,
    ),
    changed(
        "certificates.k8s.io/v1beta1",
        "CertificateSigningRequest",
        "certificates.k8s.io/v1",
        (19, 22),
        small::signing_request_to_today,
        same,
    ),
    changed(HOOKS_BETA, "MutatingWebhookConfiguration", HOOKS, (16, 22), webhooks::to_today, same),
    changed(HOOKS_BETA, "ValidatingWebhookConfiguration", HOOKS, (16, 22), webhooks::to_today, same),
    changed(
        "apiextensions.k8s.io/v1beta1",
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        (16, 22),
        apiextensions::to_today,
        apiextensions::from_today,
    ),
    alike(HOOKS_BETA, "ValidatingAdmissionPolicy", HOOKS, (31, 34)),
    alike(HOOKS_BETA, "ValidatingAdmissionPolicyBinding", HOOKS, (31, 34)),
    alike(HOOKS_ALPHA, "ValidatingAdmissionPolicy", HOOKS, (29, 32)),
    alike(HOOKS_ALPHA, "ValidatingAdmissionPolicyBinding", HOOKS, (29, 32)),
    alike("apiregistration.k8s.io/v1beta1", "APIService", "apiregistration.k8s.io/v1", (19, 22)),
    alike("authentication.k8s.io/v1beta1", "TokenReview", "authentication.k8s.io/v1", (19, 22)),
    alike("authentication.k8s.io/v1beta1", "SelfSubjectReview", "authentication.k8s.io/v1", (30, 33)),
    alike("authentication.k8s.io/v1alpha1", "SelfSubjectReview", "authentication.k8s.io/v1", (29, 32)),
    changed(ACCESS_BETA, "LocalSubjectAccessReview", ACCESS, (19, 22), small::access_review_to_today, small::access_review_from_today),
    alike(ACCESS_BETA, "SelfSubjectAccessReview", ACCESS, (19, 22)),
    alike(ACCESS_BETA, "SelfSubjectRulesReview", ACCESS, (19, 22)),
    changed(ACCESS_BETA, "SubjectAccessReview", ACCESS, (19, 22), small::access_review_to_today, small::access_review_from_today),
    alike(FLOW3, "FlowSchema", FLOW, (29, 32)),
    changed(FLOW3, LEVEL, FLOW, (29, 32), small::priority_level_v1beta3_to_today, small::priority_level_v1beta3_from_today),
    alike(FLOW2, "FlowSchema", FLOW, (26, 29)),
    changed(FLOW2, LEVEL, FLOW, (26, 29), small::priority_level_to_today, small::priority_level_from_today),
    alike(FLOW1, "FlowSchema", FLOW, (23, 26)),
    changed(FLOW1, LEVEL, FLOW, (23, 26), small::priority_level_to_today, small::priority_level_from_today),
];
