//! The built-in kinds that are checked against a generated type, one static each. To add a kind, add a line here and to [`ALL`].
use super::Codec;
use k8s_openapi::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;

pub static NAMESPACE: Codec = Codec::of::<api::core::v1::Namespace>();
pub static NODE: Codec = Codec::of::<api::core::v1::Node>();
pub static POD: Codec = Codec::of::<api::core::v1::Pod>();
pub static SERVICE: Codec = Codec::of::<api::core::v1::Service>();
pub static CONFIG_MAP: Codec = Codec::of::<api::core::v1::ConfigMap>();
pub static SECRET: Codec = Codec::of::<api::core::v1::Secret>();
pub static EVENT: Codec = Codec::of::<api::core::v1::Event>();
pub static SERVICE_ACCOUNT: Codec = Codec::of::<api::core::v1::ServiceAccount>();
pub static REPLICATION_CONTROLLER: Codec = Codec::of::<api::core::v1::ReplicationController>();
pub static ENDPOINTS: Codec = Codec::of::<api::core::v1::Endpoints>();
pub static POD_TEMPLATE: Codec = Codec::of::<api::core::v1::PodTemplate>();
pub static RESOURCE_QUOTA: Codec = Codec::of::<api::core::v1::ResourceQuota>();
pub static LIMIT_RANGE: Codec = Codec::of::<api::core::v1::LimitRange>();
pub static PERSISTENT_VOLUME: Codec = Codec::of::<api::core::v1::PersistentVolume>();
pub static PERSISTENT_VOLUME_CLAIM: Codec = Codec::of::<api::core::v1::PersistentVolumeClaim>();
pub static COMPONENT_STATUS: Codec = Codec::of::<api::core::v1::ComponentStatus>();
pub static DECISION: Codec = Codec::named::<crate::decision::Decision>("Decision", "impresario.dev/v1");
pub static NODE_METRICS: Codec = Codec::named::<crate::metrics::NodeMetrics>("NodeMetrics", "metrics.k8s.io/v1beta1");
pub static POD_METRICS: Codec = Codec::named::<crate::metrics::PodMetrics>("PodMetrics", "metrics.k8s.io/v1beta1");
pub static BINDING: Codec = Codec::of::<api::core::v1::Binding>();
pub static REPLICA_SET: Codec = Codec::of::<api::apps::v1::ReplicaSet>();
pub static DEPLOYMENT: Codec = Codec::of::<api::apps::v1::Deployment>();
pub static STATEFUL_SET: Codec = Codec::of::<api::apps::v1::StatefulSet>();
pub static DAEMON_SET: Codec = Codec::of::<api::apps::v1::DaemonSet>();
pub static CONTROLLER_REVISION: Codec = Codec::of::<api::apps::v1::ControllerRevision>();
pub static JOB: Codec = Codec::of::<api::batch::v1::Job>();
pub static CRON_JOB: Codec = Codec::of::<api::batch::v1::CronJob>();
pub static LEASE: Codec = Codec::of::<api::coordination::v1::Lease>();
pub static ENDPOINT_SLICE: Codec = Codec::of::<api::discovery::v1::EndpointSlice>();
pub static SCALE: Codec = Codec::of::<api::autoscaling::v1::Scale>();
pub static HORIZONTAL_POD_AUTOSCALER_V1: Codec = Codec::of::<api::autoscaling::v1::HorizontalPodAutoscaler>();
pub static HORIZONTAL_POD_AUTOSCALER: Codec = Codec::of::<api::autoscaling::v2::HorizontalPodAutoscaler>();
pub static INGRESS: Codec = Codec::of::<api::networking::v1::Ingress>();
pub static INGRESS_CLASS: Codec = Codec::of::<api::networking::v1::IngressClass>();
pub static NETWORK_POLICY: Codec = Codec::of::<api::networking::v1::NetworkPolicy>();
pub static POD_DISRUPTION_BUDGET: Codec = Codec::of::<api::policy::v1::PodDisruptionBudget>();
pub static EVICTION: Codec = Codec::of::<api::policy::v1::Eviction>();
pub static STORAGE_CLASS: Codec = Codec::of::<api::storage::v1::StorageClass>();
pub static EVENTS_EVENT: Codec = Codec::of::<api::events::v1::Event>();
pub static IP_ADDRESS: Codec = Codec::of::<api::networking::v1::IPAddress>();
pub static SERVICE_CIDR: Codec = Codec::of::<api::networking::v1::ServiceCIDR>();
pub static CSI_DRIVER: Codec = Codec::of::<api::storage::v1::CSIDriver>();
pub static CSI_NODE: Codec = Codec::of::<api::storage::v1::CSINode>();
pub static CSI_STORAGE_CAPACITY: Codec = Codec::of::<api::storage::v1::CSIStorageCapacity>();
pub static VOLUME_ATTACHMENT: Codec = Codec::of::<api::storage::v1::VolumeAttachment>();
pub static VOLUME_ATTRIBUTES_CLASS: Codec = Codec::of::<api::storage::v1::VolumeAttributesClass>();
pub static ROLE: Codec = Codec::of::<api::rbac::v1::Role>();
pub static ROLE_BINDING: Codec = Codec::of::<api::rbac::v1::RoleBinding>();
pub static CLUSTER_ROLE: Codec = Codec::of::<api::rbac::v1::ClusterRole>();
pub static CLUSTER_ROLE_BINDING: Codec = Codec::of::<api::rbac::v1::ClusterRoleBinding>();
pub static PRIORITY_CLASS: Codec = Codec::of::<api::scheduling::v1::PriorityClass>();
pub static RUNTIME_CLASS: Codec = Codec::of::<api::node::v1::RuntimeClass>();
pub static TOKEN_REVIEW: Codec = Codec::of::<api::authentication::v1::TokenReview>();
pub static TOKEN_REQUEST: Codec = Codec::of::<api::authentication::v1::TokenRequest>();
pub static SELF_SUBJECT_REVIEW: Codec = Codec::of::<api::authentication::v1::SelfSubjectReview>();
pub static SUBJECT_ACCESS_REVIEW: Codec = Codec::of::<api::authorization::v1::SubjectAccessReview>();
pub static LOCAL_SUBJECT_ACCESS_REVIEW: Codec = Codec::of::<api::authorization::v1::LocalSubjectAccessReview>();
pub static SELF_SUBJECT_ACCESS_REVIEW: Codec = Codec::of::<api::authorization::v1::SelfSubjectAccessReview>();
pub static SELF_SUBJECT_RULES_REVIEW: Codec = Codec::of::<api::authorization::v1::SelfSubjectRulesReview>();
pub static CERTIFICATE_SIGNING_REQUEST: Codec = Codec::of::<api::certificates::v1::CertificateSigningRequest>();
pub static CUSTOM_RESOURCE_DEFINITION: Codec = Codec::of::<apiextensions::v1::CustomResourceDefinition>();
pub static API_SERVICE: Codec = Codec::of::<apiregistration::v1::APIService>();
pub static MUTATING_WEBHOOK_CONFIGURATION: Codec = Codec::of::<api::admissionregistration::v1::MutatingWebhookConfiguration>();
pub static VALIDATING_WEBHOOK_CONFIGURATION: Codec = Codec::of::<api::admissionregistration::v1::ValidatingWebhookConfiguration>();
pub static MUTATING_ADMISSION_POLICY: Codec = Codec::of::<api::admissionregistration::v1::MutatingAdmissionPolicy>();
pub static MUTATING_ADMISSION_POLICY_BINDING: Codec = Codec::of::<api::admissionregistration::v1::MutatingAdmissionPolicyBinding>();
pub static VALIDATING_ADMISSION_POLICY: Codec = Codec::of::<api::admissionregistration::v1::ValidatingAdmissionPolicy>();
pub static VALIDATING_ADMISSION_POLICY_BINDING: Codec = Codec::of::<api::admissionregistration::v1::ValidatingAdmissionPolicyBinding>();
pub static FLOW_SCHEMA: Codec = Codec::of::<api::flowcontrol::v1::FlowSchema>();
pub static PRIORITY_LEVEL_CONFIGURATION: Codec = Codec::of::<api::flowcontrol::v1::PriorityLevelConfiguration>();
pub static DEVICE_CLASS: Codec = Codec::of::<api::resource::v1::DeviceClass>();
pub static RESOURCE_CLAIM: Codec = Codec::of::<api::resource::v1::ResourceClaim>();
pub static RESOURCE_CLAIM_TEMPLATE: Codec = Codec::of::<api::resource::v1::ResourceClaimTemplate>();
pub static RESOURCE_SLICE: Codec = Codec::of::<api::resource::v1::ResourceSlice>();
/// Sent with DELETE; clients may give it the version of any group.
pub static DELETE_OPTIONS: Codec = Codec::named::<meta::v1::DeleteOptions>("DeleteOptions", "v1");

/// Every codec above.
pub static ALL: &[&Codec] = &[
    &NAMESPACE,
    &NODE,
    &POD,
    &SERVICE,
    &CONFIG_MAP,
    &SECRET,
    &EVENT,
    &SERVICE_ACCOUNT,
    &REPLICATION_CONTROLLER,
    &ENDPOINTS,
    &POD_TEMPLATE,
    &RESOURCE_QUOTA,
    &LIMIT_RANGE,
    &PERSISTENT_VOLUME,
    &PERSISTENT_VOLUME_CLAIM,
    &COMPONENT_STATUS,
    &BINDING,
    &REPLICA_SET,
    &DEPLOYMENT,
    &STATEFUL_SET,
    &DAEMON_SET,
    &CONTROLLER_REVISION,
    &JOB,
    &CRON_JOB,
    &LEASE,
    &ENDPOINT_SLICE,
    &SCALE,
    &HORIZONTAL_POD_AUTOSCALER_V1,
    &HORIZONTAL_POD_AUTOSCALER,
    &INGRESS,
    &INGRESS_CLASS,
    &NETWORK_POLICY,
    &POD_DISRUPTION_BUDGET,
    &EVICTION,
    &STORAGE_CLASS,
    &EVENTS_EVENT,
    &IP_ADDRESS,
    &SERVICE_CIDR,
    &CSI_DRIVER,
    &CSI_NODE,
    &CSI_STORAGE_CAPACITY,
    &VOLUME_ATTACHMENT,
    &VOLUME_ATTRIBUTES_CLASS,
    &ROLE,
    &ROLE_BINDING,
    &CLUSTER_ROLE,
    &CLUSTER_ROLE_BINDING,
    &PRIORITY_CLASS,
    &RUNTIME_CLASS,
    &TOKEN_REVIEW,
    &TOKEN_REQUEST,
    &SELF_SUBJECT_REVIEW,
    &SUBJECT_ACCESS_REVIEW,
    &LOCAL_SUBJECT_ACCESS_REVIEW,
    &SELF_SUBJECT_ACCESS_REVIEW,
    &SELF_SUBJECT_RULES_REVIEW,
    &CERTIFICATE_SIGNING_REQUEST,
    &CUSTOM_RESOURCE_DEFINITION,
    &API_SERVICE,
    &MUTATING_WEBHOOK_CONFIGURATION,
    &VALIDATING_WEBHOOK_CONFIGURATION,
    &MUTATING_ADMISSION_POLICY,
    &MUTATING_ADMISSION_POLICY_BINDING,
    &VALIDATING_ADMISSION_POLICY,
    &VALIDATING_ADMISSION_POLICY_BINDING,
    &FLOW_SCHEMA,
    &PRIORITY_LEVEL_CONFIGURATION,
    &DEVICE_CLASS,
    &RESOURCE_CLAIM,
    &RESOURCE_CLAIM_TEMPLATE,
    &RESOURCE_SLICE,
    &DELETE_OPTIONS,
];
